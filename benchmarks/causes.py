"""How well clusters and causes are found where the truth is known, and how fast; seeded.

Clusters: windows of the parametric families that the library was not built from. Causes: a simulated retailer with
true causes, decoys (promotions, campaigns and signals that move nothing) and anomalies without any cause; measured
once as it is, and once with the true causes left out of the feeds. A simulation that shares its assumptions with the
model flatters it: read the figures as a check of the mechanism, not as a promise for real sales.

    nice -n 10 python -m benchmarks.causes
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mrs_assets.attribution.stage import ATTRIBUTION_STAGE
from mrs_assets.clustering.features import vectors
from mrs_assets.clustering.library import build_library, match
from mrs_assets.clustering.shapes import FAMILIES, simulate
from mrs_assets.clustering.stage import CLUSTERING_STAGE
from mrs_assets.cohorting.stage import COHORTING_STAGE
from mrs_assets.contracts import ids
from mrs_assets.contracts.calendar import day_start
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.feeds.campaigns import CAMPAIGNS
from mrs_assets.contracts.feeds.contextual_events import CONTEXTUAL_EVENTS
from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.feeds.stores import STORES
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Retailer, Settings
from mrs_assets.contracts.stage import Inputs, Stage

FIRST, DAYS, TESTED_FROM = date(2023, 1, 1), 300, 200
STORES_COUNT, SKUS_COUNT = 40, 30
RETAILER = Retailer(timezone="America/New_York", country="US")
SETTINGS = Settings(home=Path(), retailers={"acme": RETAILER})
SCOPE = Scope(FIRST + timedelta(days=TESTED_FROM), FIRST + timedelta(days=DAYS - 1), "acme")
STARTS = [day_start(FIRST + timedelta(days=n), RETAILER).astimezone(UTC) for n in range(DAYS + 1)]
SIGNALS = {"weather": "up", "competitor": "up", "social": "up", "operational": "down"}
Report = tuple[str, int, int, int, int, float]
"""report_id, store, product, first day, days, ratio."""

TRUE_EVENTS, CAUSELESS, DECOY_SIGNALS, DECOY_CAMPAIGNS, PROMOTED_SHARE = 120, 300, 120, 12, 0.05


class Simulated:
    """One retailer: units, feeds, reports, and the cause that each report truly has."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.expected = np.exp(self.rng.uniform(1.5, 4.5, (STORES_COUNT, SKUS_COUNT)))
        self.ratio = np.ones((DAYS, STORES_COUNT, SKUS_COUNT))
        self.busy = np.zeros((DAYS, STORES_COUNT, SKUS_COUNT), dtype=bool)
        self.truth: dict[str, str] = {}
        self.reports: list[Report] = []
        self.feeds: dict[str, list[dict[str, Any]]] = {"promotions": [], "campaigns": [], "contextual_events": []}
        for n in range(TRUE_EVENTS):
            self._event(n)
        for _ in range(CAUSELESS):
            store, sku = int(self.rng.integers(STORES_COUNT)), int(self.rng.integers(SKUS_COUNT))
            ratio = float(self.rng.choice([0.3, 0.5, 1.6, 2.5, 3.5]))
            self._move((store, sku), self._day(), int(self.rng.integers(2, 8)), ratio, "unknown")
        self._decoys()
        self.units = self.rng.poisson(self.expected * self.ratio)

    def _day(self) -> int:
        return int(self.rng.integers(TESTED_FROM, DAYS - 12))

    def _event(self, n: int) -> None:
        kind = ("promotion", "campaign", *SIGNALS, "stock-out")[n % 7]
        start, length, region = self._day(), int(self.rng.integers(3, 8)), int(self.rng.integers(4))
        skus = self.rng.choice(SKUS_COUNT, 1 if kind in ("promotion", "stock-out") else 6, replace=False)
        stores = [s for s in range(STORES_COUNT) if s % 4 == region]
        stores = stores[:1] if kind == "stock-out" else stores[: 1 if kind == "operational" else 10]
        name = f"T{n}"
        if kind == "promotion":
            cause = f"Promotion {name} on k{skus[0]}"
            self.feeds["promotions"] += [self._promotion(name, s, skus[0], start, length) for s in stores]
        elif kind == "campaign":
            cause = f"Campaign {name}"
            self.feeds["campaigns"].append(self._campaign(name, skus, start, length))
            stores = list(range(STORES_COUNT))
        elif kind == "stock-out":
            cause = f"Stock-out of k{skus[0]} in store s{stores[0]}"
        else:
            cause = name
            where = stores if kind == "operational" else None
            self.feeds["contextual_events"].append(self._signal(name, kind, region, (start, length), where))
        ratio = 0.0 if kind == "stock-out" else 0.3 if kind == "operational" else float(self.rng.uniform(1.8, 3.5))
        for store in stores:
            for sku in skus:
                if kind == "stock-out" or self.rng.random() < 0.7:
                    lag = 0 if kind == "stock-out" else int(self.rng.integers(0, 2))
                    self._move((store, sku), start + lag, length, ratio, f"{kind}|{cause}")

    def _move(self, at: tuple[int, int], start: int, length: int, ratio: float, cause: str) -> None:
        store, sku = at
        span = slice(max(0, start - 3), start + length + 3)
        if self.busy[span, store, sku].any():
            return
        self.busy[span, store, sku] = True
        self.ratio[start : start + length, store, sku] = ratio
        report = ids.report_id("acme", f"s{store}", f"k{sku}", STARTS[start])
        self.truth[report] = cause
        self.reports.append((report, store, sku, start, length, ratio))

    def _promotion(self, name: str, store: int, sku: int, start: int, length: int) -> dict[str, Any]:
        row = {"promotion_id": name, "store_id": f"s{store}", "sku": f"k{sku}", "mechanic": name}
        return row | _span(start, length)

    def _campaign(self, name: str, skus: Any, start: int, length: int) -> dict[str, Any]:
        return {"campaign_id": name, "skus": [f"k{k}" for k in skus]} | _span(start, length)

    def _signal(
        self, name: str, kind: str, region: int, days: tuple[int, int], stores: list[int] | None = None
    ) -> dict[str, Any]:
        start, length = days
        return {
            "event_id": name,
            "signal_type": kind,
            "title": name,
            "direction": SIGNALS[kind],
            "starts_at": STARTS[start],
            "ends_at": STARTS[min(DAYS, start + length)],
            "regions": [f"r{region}"],
            "stores": None if stores is None else [f"s{s}" for s in stores],
            "business_day": FIRST + timedelta(days=start),
        }

    def _decoys(self) -> None:
        for n in range(DECOY_SIGNALS):
            kind = str(self.rng.choice(list(SIGNALS)))
            start, length = int(self.rng.integers(100, DAYS - 8)), int(self.rng.integers(1, 6))
            row = self._signal(f"D{n}", kind, int(self.rng.integers(4)), (start, length))
            self.feeds["contextual_events"].append(row)
        for n in range(DECOY_CAMPAIGNS):
            skus = self.rng.choice(SKUS_COUNT, 8, replace=False)
            self.feeds["campaigns"].append(self._campaign(f"D{n}", skus, int(self.rng.integers(100, DAYS - 30)), 28))
        for week in range(14, DAYS // 7):
            chosen = np.argwhere(self.rng.random((STORES_COUNT, SKUS_COUNT)) < PROMOTED_SHARE)
            self.feeds["promotions"] += [self._promotion(f"W{week}", s, k, week * 7, 7) for s, k in chosen]

    def frames(self, *, with_truth: bool) -> dict[str, pl.DataFrame]:
        """Every input of the three stages; without the true causes in the feeds where that is asked for."""
        names = {"promotions": "promotion_id", "campaigns": "campaign_id", "contextual_events": "event_id"}
        contracts = {"promotions": PROMOTIONS, "campaigns": CAMPAIGNS, "contextual_events": CONTEXTUAL_EVENTS}
        kept = {f: [r for r in rows if with_truth or r[names[f]][0] != "T"] for f, rows in self.feeds.items()}
        places = [
            {"store_id": f"s{s}", "region": f"r{s % 4}", "business_day": date(2015, 1, 1)} for s in range(STORES_COUNT)
        ]
        return {
            **{feed: _stored(contracts[feed], rows) for feed, rows in kept.items()},
            **self._series(),
            "stores": _stored(STORES, places),
            "detected": _stored(DETECTED, [row for report in self.reports for row in self._report(report)]),
        }

    def _series(self) -> dict[str, pl.DataFrame]:
        day, store, sku = (a.ravel() for a in np.indices(self.units.shape))
        units = self.units.ravel()
        rows = pl.DataFrame(
            {
                "business_day": pl.Series([FIRST + timedelta(days=int(d)) for d in range(DAYS)])[day],
                "store_id": pl.Series([f"s{s}" for s in range(STORES_COUNT)])[store],
                "sku": pl.Series([f"k{k}" for k in range(SKUS_COUNT)])[sku],
                "ts": pl.Series(STARTS[:-1])[day],
                "units": units,
                "revenue": units * 2.0,
                "expected_units": np.broadcast_to(self.expected, self.units.shape).ravel(),
            }
        ).with_columns(coverage=pl.lit("received"), quality_flags=pl.lit([], dtype=pl.List(pl.String)))
        model = rows.select("business_day", "store_id", "sku", "ts", "expected_units", baseline_source=pl.lit("model"))
        return {
            "series": _stored(SALES_TIMESERIES, rows.drop("expected_units")),
            "baseline": _stored(BASELINE, model),
        }

    def _report(self, report: Report) -> list[dict[str, Any]]:
        name, store, sku, start, length, ratio = report
        rows = []
        for n in range(length):
            sold = float(self.units[start : start + n + 1, store, sku].sum()) * 2
            wanted = float(self.expected[store, sku]) * (n + 1) * 2
            end = STARTS[start + n + 1]
            rows.append(
                {
                    "business_day": FIRST + timedelta(days=start + n),
                    "report_id": name,
                    "tick": end,
                    "store_id": f"s{store}",
                    "sku": f"k{sku}",
                    "first_detected_from": STARTS[start],
                    "window_start": STARTS[start],
                    "window_end": end if n == length - 1 else None,
                    "last_anomalous_at": end,
                    "attributed_sales_total": sold,
                    "baseline_sales_total": wanted,
                    "impact_estimate": sold - wanted,
                    "severity_score": abs(sold - wanted),
                    "impact_unit": "money",
                    "direction": "up" if ratio > 1 else "down",
                    "report_status": "detected",
                }
            )
        return rows


def _span(start: int, length: int) -> dict[str, Any]:
    first = FIRST + timedelta(days=start)
    return {"start_day": first, "end_day": first + timedelta(days=length - 1), "business_day": first}


def _stored(contract: Contract, rows: list[dict[str, Any]] | pl.DataFrame) -> pl.DataFrame:
    frame = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(rows, infer_schema_length=None)
    if frame.is_empty():
        return contract.empty(stored=True)
    body = contract.conform(frame.with_columns(retailer=pl.lit("acme")))
    filled = [pl.lit(None, dtype=t).alias(n) for n, t in contract.schema.items() if n not in body.columns]
    return body.with_columns(filled).select(list(contract.schema))


def _run(stage: Stage, frames: dict[str, pl.DataFrame], scope: Scope) -> tuple[dict[str, pl.DataFrame], float]:
    logs = {n: i.contract for n, i in stage.needs.items()}
    logs |= {n: w.log.contract for n, w in stage.wants.items() if w.log is not None}
    given = {n: frames.get(n, contract.empty(stored=True)) for n, contract in logs.items()}
    began = time.perf_counter()
    return dict(stage.compute(Inputs(scope, SETTINGS, given))), time.perf_counter() - began


def clusters() -> None:
    """Print the accuracy of the library on unseen windows, by family."""
    library = build_library()
    shares = []
    for place, family in enumerate(FAMILIES):
        variants = [(d, p, r) for d in family.durations for p in family.peaks for r in family.reach]
        found = [
            match(library, vectors(simulate(family, d, p, reach=r, count=200, seed=n))).family
            for n, (d, p, r) in enumerate(variants)
        ]
        shares.append(float(np.mean(np.concatenate(found) == place)))
        print(f"  {family.name:26s} {shares[-1]:.2f}")
    print(f"  mean over families         {np.mean(shares):.2f}")


def causes(seed: int) -> None:
    """Print how often the right cause comes first, at each report's last tick."""
    world = Simulated(seed)
    for with_truth in (True, False):
        frames = world.frames(with_truth=with_truth)
        clustered, first = _run(CLUSTERING_STAGE, frames, SCOPE)
        frames["clustered"] = _stored(CLUSTERED, clustered[CLUSTERED.name])
        attributed, second = _run(ATTRIBUTION_STAGE, frames, SCOPE)
        frames["attributed"] = _stored(ATTRIBUTED, attributed[ATTRIBUTED.name])
        _, third = _run(COHORTING_STAGE, frames, Scope(SCOPE.first_day, SCOPE.last_day))
        rows = attributed[ATTRIBUTED.name].sort("tick").group_by("report_id").last()
        print(f"  {'true causes in the feeds' if with_truth else 'true causes left out'}; {len(world.truth)} reports")
        print(f"  seconds: clustering {first:.1f}, attribution {second:.1f}, cohorting {third:.1f}")
        _tell(rows, world.truth)


def _tell(rows: pl.DataFrame, truth: dict[str, str]) -> None:
    true = pl.col("report_id").replace_strict(truth)
    told = rows.with_columns(
        kind=true.str.split("|").list.first(), right=true.str.split("|").list.last() == pl.col("proposed_cause")
    )
    table = told.group_by("kind").agg(
        reports=pl.len(),
        right=pl.col("right").mean(),
        unknown=(pl.col("proposed_cause") == "unknown").mean(),
        confidence=pl.col("confidence_score").filter(pl.col("proposed_cause") != "unknown").mean(),
    )
    with pl.Config(tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, float_precision=2):
        print(table.sort("kind"))
    named = told.filter(pl.col("proposed_cause") != "unknown").sort("confidence_score")
    for low, high in ((0.0, 0.5), (0.5, 0.7), (0.7, 0.85), (0.85, 1.0)):
        part = named.filter((pl.col("confidence_score") >= low) & (pl.col("confidence_score") < high))
        if part.height:
            right = part.get_column("right").cast(pl.Float64).sum() / part.height
            print(f"  confidence {low:.2f} to {high:.2f}: {part.height:4d} reports, right {right:.2f}")


if __name__ == "__main__":
    print(f"{datetime.now(UTC):%Y-%m-%d}  clusters: share of unseen windows that find their family")
    clusters()
    print("causes: share of reports whose first cause is the true one")
    causes(seed=1)
