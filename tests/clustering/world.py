"""A made-up retailer: flat expectations, chosen anomalies, and the logs that a perfect detection would write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from mrs_assets.contracts import ids
from mrs_assets.contracts.calendar import day_start
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.ended import ENDED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Retailer, Settings
from mrs_assets.contracts.stage import Frames, Input, Inputs, Model, Stage

FIRST = date(2023, 1, 1)
Logs = dict[str, pl.DataFrame]


@dataclass
class World:
    """One retailer of stores × products over some days, every series expected to sell the same each tick."""

    name: str = "acme"
    retailer: Retailer = field(default_factory=lambda: Retailer(timezone="America/New_York", country="US"))
    stores: Sequence[str] = ("s1", "s2", "s3", "s4", "s5", "s6")
    skus: Sequence[str] = ("PIZZA", "BREAD", "MILK", "EGGS", "RICE", "TEA")
    days: int = 60
    expected: float = 100.0
    price: float | None = 2.0
    units: dict[tuple[str, str, int], float | None] = field(default_factory=dict)
    prices: dict[tuple[str, str, int], float] = field(default_factory=dict)
    flags: dict[tuple[str, str, int], list[str]] = field(default_factory=dict)
    reports: list[dict[str, Any]] = field(default_factory=list)
    endings: list[dict[str, Any]] = field(default_factory=list)

    def starts(self) -> list[datetime]:
        """Start of every tick and the end of the last, UTC."""
        whole = [day_start(FIRST + timedelta(days=n), self.retailer).astimezone(UTC) for n in range(self.days + 1)]
        if self.retailer.grain == "1d":
            return whole
        count = (whole[-1] - whole[0]) // self.retailer.grain_length
        return [whole[0] + n * self.retailer.grain_length for n in range(count + 1)]

    def anomaly(
        self,
        store: str,
        sku: str,
        start: int,
        ratios: Sequence[float | None],
        *,
        ends: bool = True,
        direction: str | None = None,
        **columns: Any,
    ) -> str:
        """Sell expected × ratio from tick `start` on (None: missing), reported at every tick; returns its id."""
        starts = self.starts()
        report_id = ids.report_id(self.name, store, sku, starts[start])
        sold = 0.0
        for n, ratio in enumerate(ratios):
            self.units[store, sku, start + n] = None if ratio is None else round(self.expected * ratio)
            sold += 0.0 if ratio is None else round(self.expected * ratio)
            wanted = self.expected * sum(r is not None for r in ratios[: n + 1])
            last = ends and n == len(ratios) - 1
            tick = starts[start + n + 1]
            impact = (sold - wanted) * (self.price or 1.0)
            self.reports.append(
                {
                    "retailer": self.name,
                    "business_day": starts[start + n].astimezone(self.retailer.zone).date(),
                    "report_id": report_id,
                    "tick": tick,
                    "store_id": store,
                    "sku": sku,
                    "first_detected_from": starts[start],
                    "window_start": starts[start],
                    "window_end": tick if last else None,
                    "last_anomalous_at": tick,
                    "severity_score": abs(impact),
                    "impact_estimate": impact,
                    "impact_lower": impact - 30.0,
                    "impact_upper": impact + 40.0,
                    "attributed_sales_total": sold * (self.price or 1.0),
                    "baseline_sales_total": wanted * (self.price or 1.0),
                    "impact_unit": "units" if self.price is None else "money",
                    "direction": direction or ("up" if sold > wanted else "down"),
                    "report_status": "detected",
                    **columns,
                }
            )
        if ends:
            row = self.reports[-1]
            kept = ("retailer", "business_day", "report_id", "store_id", "sku", "window_end")
            self.endings.append({k: row[k] for k in kept} | {"event_status": "ended", "resolution_reason": "recovered"})
        return report_id

    def logs(self) -> Logs:
        """series, baseline, detected and ended, as stored."""
        starts = self.starts()
        rows = []
        for n, ts in enumerate(starts[:-1]):
            day = ts.astimezone(self.retailer.zone).date()
            for store in self.stores:
                for sku in self.skus:
                    at = (store, sku, n)
                    units = self.units.get(at, self.expected)
                    price = self.prices.get(at, self.price)
                    rows.append(
                        {
                            "retailer": self.name,
                            "business_day": day,
                            "store_id": store,
                            "sku": sku,
                            "ts": ts,
                            "units": units,
                            "revenue": None if price is None or units is None else units * price,
                            "coverage": "missing" if units is None else "received",
                            "quality_flags": self.flags.get(at, []),
                            "expected_units": self.expected,
                            "baseline_source": "model",
                        }
                    )
        both = pl.DataFrame(rows, infer_schema_length=None)
        return {
            "series": stored(SALES_TIMESERIES, both.drop("expected_units", "baseline_source")),
            "baseline": stored(BASELINE, both.drop("units", "revenue", "coverage", "quality_flags")),
            "detected": stored(DETECTED, frame_of(DETECTED, self.reports)),
            "ended": stored(ENDED, frame_of(ENDED, self.endings)),
        }

    def settings(self, *others: World, **feeds: Mapping[str, Any]) -> Settings:
        return Settings(
            home=Path("/nowhere"), retailers={world.name: world.retailer for world in (self, *others)}, feeds=feeds
        )

    def day(self, n: int) -> date:
        return FIRST + timedelta(days=n)


def frame_of(contract: Contract, rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows given as dictionaries, typed by the contract; absent columns stay absent."""
    rows = list(rows)
    names = [c for c in contract.body if any(c in row for row in rows)] if rows else list(contract.body)
    wide = {c: pl.Float64() if isinstance(contract.body[c], pl.Decimal) else contract.body[c] for c in names}
    return pl.DataFrame([{c: row.get(c) for c in names} for row in rows], schema=wide)


def stored(contract: Contract, frame: pl.DataFrame) -> pl.DataFrame:
    """A writer's frame as the log would give it back."""
    body = contract.conform(frame)
    _, bad = contract.admit(body)
    assert bad.is_empty(), bad
    return body.with_columns(
        pl.lit(None, dtype=dtype).alias(name) for name, dtype in contract.schema.items() if name not in body.columns
    ).select(list(contract.schema))


def run(
    stage: Stage,
    logs: Mapping[str, pl.DataFrame],
    settings: Settings,
    first: date,
    last: date,
    models: Mapping[str, Model] | None = None,
    **missing: str,
) -> Frames:
    """Run a stage over days, each input cut to what it declares; `missing`: want → `missing` or `unconfigured`."""
    declared: dict[str, Input] = {**stage.needs, **{n: w.log for n, w in stage.wants.items() if w.log is not None}}
    scope = Scope(first, last, None if stage.span == "everything" else next(iter(settings.retailers)))
    frames = {}
    for name, wanted in declared.items():
        wide = scope.widened(wanted.days_before, wanted.days_after)
        whole = logs.get(name, wanted.contract.empty(stored=True))
        if name in missing:
            whole = whole.clear()
        frames[name] = whole.filter(pl.col("business_day").is_between(wide.first_day, wide.last_day))
    return stage.compute(
        Inputs(
            scope,
            settings,
            frames,
            models or {},
            missing=frozenset(n for n, state in missing.items() if state == "missing"),
            unconfigured=frozenset(n for n, state in missing.items() if state == "unconfigured"),
        )
    )


def keeps_contract(stage: Stage, frames: Frames) -> None:
    """Every frame conforms, every row is admitted, no key comes twice."""
    for contract in stage.writes:
        conformed = contract.conform(frames[contract.name])
        _, bad = contract.admit(conformed)
        assert bad.is_empty(), bad
        assert not conformed.select(contract.key).is_duplicated().any()


def same_rows(contract: Contract, left: pl.DataFrame, right: pl.DataFrame) -> None:
    """The same bytes after rounding, whatever the order: 0.0 and -0.0 are not the same."""
    one, other = (contract.conform(f).sort(contract.key).write_ndjson() for f in (left, right))
    assert one == other


def range_equals_days(
    stage: Stage, logs: Mapping[str, pl.DataFrame], settings: Settings, first: date, last: date
) -> Frames:
    """A range at once gives the rows of its days, and of shuffled inputs; returns them."""
    whole = run(stage, logs, settings, first, last)
    shuffled = {name: log.sample(fraction=1.0, shuffle=True, seed=7) for name, log in logs.items()}
    again = run(stage, shuffled, settings, first, last)
    days = [run(stage, logs, settings, day, day) for day in Scope(first, last).days]
    for contract in stage.writes:
        same_rows(contract, whole[contract.name], again[contract.name])
        same_rows(contract, whole[contract.name], pl.concat(day[contract.name] for day in days))
    keeps_contract(stage, whole)
    return whole


def clustered_as(logs: Mapping[str, pl.DataFrame], shapes: Mapping[str, str], default: str | None) -> pl.DataFrame:
    """MRCL rows for every MRDL row: the given cluster per report id."""
    identity = ["retailer", "business_day", "report_id", "tick", "store_id", "sku"]
    cluster = pl.col("report_id").replace_strict(shapes, default=default, return_dtype=pl.String)
    rows = (
        logs["detected"]
        .select(identity)
        .with_columns(
            cluster_id=cluster,
            cluster_name=cluster.str.replace_all("-", " "),
            similarity_score=pl.lit(0.9),
            cluster_match_confidence=pl.lit(0.9),
            report_status=pl.lit("clustered"),
        )
    )
    return stored(CLUSTERED, rows)


def attributed_as(logs: Mapping[str, pl.DataFrame], causes: Mapping[str, tuple[str, str, float]]) -> pl.DataFrame:
    """MRPAL rows for every MRDL row: (cause, category, confidence) per report id, else unknown."""
    identity = ["retailer", "business_day", "report_id", "tick", "store_id", "sku"]
    rows = [
        dict(zip(("proposed_cause", "proposed_cause_category", "confidence_score"), answer, strict=True))
        | row
        | {"report_status": "attributed"}
        for row in logs["detected"].select(identity).iter_rows(named=True)
        for answer in [causes.get(row["report_id"], ("unknown", "unknown", 0.05))]
    ]
    return stored(ATTRIBUTED, frame_of(ATTRIBUTED, rows))
