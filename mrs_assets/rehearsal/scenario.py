"""What the attribution model is taught with: causes on real series, decoys beside them, and causes untold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mrs_assets.injection.families import Episode, draw_episode, family
from mrs_assets.rehearsal.ground import Ground
from mrs_assets.rehearsal.play import Play

CAUSES = 75
"""Causes put into one play."""

TOLD_SHARE = 0.68
"""Share of the dated causes that the feeds tell of; of the others only the decoys are seen."""

TWIN_SHARE = 0.6
"""Share of the dated causes that have a decoy: the same kind at another time, or in other stores."""

STRAYS = {"promotion": 1_500, "campaign": 8, "signal": 84}
"""Promotions, campaigns and signals of a play that move nothing."""

REGIONS = 6
USUAL_DAYS = 28


@dataclass(frozen=True)
class Told:
    """A kind of cause.

    Attributes:
        kind: of the candidate.
        families: what it does, by family of injection; one is drawn.
        stores, skus: ranges of the share of the retailer's stores and products that it covers.
        answering: range of the share of covered series that answer to it.
        signal: whether it comes as a signal.
        weight: how often it is drawn.
    """

    kind: str
    families: tuple[str, ...]
    stores: tuple[float, float]
    skus: tuple[float, float]
    answering: tuple[float, float] = (0.3, 1.0)
    signal: bool = True
    weight: float = 1.0


DATED = (
    Told("promotion", ("regional_uplift", "viral_spike"), (0.01, 0.5), (0.0, 0.05), (0.5, 1.0), signal=False, weight=3),
    Told("campaign", ("regional_uplift", "competitor_stock_out"), (0.5, 1.0), (0.03, 0.2), signal=False, weight=1.5),
    Told("weather", ("weather",), (0.1, 0.5), (0.1, 0.6)),
    Told("competitor", ("competitor_stock_out",), (0.02, 0.3), (0.05, 0.4), weight=1.5),
    Told("social", ("viral_spike",), (0.3, 1.0), (0.0, 0.06), (0.3, 1.0), weight=2),
    Told("operational", ("partial_closure",), (0.0, 0.03), (0.5, 1.0), (0.4, 1.0), weight=1.5),
    Told("holiday", ("weather", "regional_uplift"), (0.8, 1.0), (0.2, 0.8), (0.4, 1.0), weight=0.4),
    Told("price", ("regional_uplift", "partial_closure"), (0.1, 0.6), (0.0, 0.05), (0.4, 1.0)),
    Told("other", ("regional_uplift", "partial_closure"), (0.02, 0.3), (0.05, 0.4)),
)
OBSERVED = ("stock_out", "duplicated_days", "partial_closure", "price_error")
"""Families whose cause is read from the window itself."""


def stage_play(ground: Ground, seed: int) -> Play:
    """Put causes into units and feeds. Deterministic: the same ground and seed, the same play."""
    play = Play(ground)
    author = _Author(play, np.random.default_rng(seed))
    author.places()
    for number in range(CAUSES):
        turn = number // 3
        if number % 3 == 0:
            author.observed(OBSERVED[turn % len(OBSERVED)])
        else:
            author.dated(author.drawn(DATED), f"{number}")
    author.strays()
    return play


class _Author:
    """Draws the causes of one play."""

    def __init__(self, play: Play, rng: np.random.Generator) -> None:
        self._play = play
        self._rng = rng
        ground = play.ground
        self._stores, self._skus = sorted(set(ground.stores)), sorted(set(ground.skus))
        self._region = {store: f"r{n % REGIONS}" for n, store in enumerate(rng.permutation(self._stores))}
        self._of = {pair: n for n, pair in enumerate(zip(ground.stores, ground.skus, strict=True))}
        self._per_day = ground.retailer.ticks_per_day

    def places(self) -> None:
        day = self._play.ground.starts[0].date()
        self._play.feeds["stores"] += [
            {"store_id": store, "region": region, "business_day": day} for store, region in self._region.items()
        ]

    def drawn(self, kinds: Sequence[Told]) -> Told:
        """Draw one of some kinds by their weights."""
        weights = np.array([told.weight for told in kinds])
        return kinds[int(self._rng.choice(len(kinds), p=weights / weights.sum()))]

    def dated(self, told: Told, number: str) -> None:
        """Draw one cause with dates, what it does, what the feeds say of it, and its decoy."""
        rng = self._rng
        episode = draw_episode(family(str(rng.choice(told.families))), rng)
        start = self._start(episode.days)
        stores, skus = self._covered(told)
        cause = f"{told.kind} {number}"
        late = int(rng.choice([0, 1, 2], p=[0.65, 0.25, 0.1]))
        self._act(f"{told.kind}|{cause}", episode, start + late * self._per_day, stores, skus, told.answering)
        if rng.random() < TOLD_SHARE:
            slack = int(rng.choice([-1, 0, 1, 3], p=[0.1, 0.6, 0.2, 0.1]))
            self._tell(told, cause, start, max(1, episode.days + slack), stores, skus, episode.sign)
        if rng.random() < TWIN_SHARE:
            if rng.random() < 0.5:
                away = int(rng.integers(6, 40)) * int(rng.choice([-1, 1]))
                self._tell(
                    told, f"{cause} elsewhen", start + away * self._per_day, episode.days, stores, skus, episode.sign
                )
            else:
                others = [s for s in self._stores if s not in set(stores)]
                if others:
                    chosen = list(rng.permutation(others)[: len(stores)])
                    self._tell(told, f"{cause} elsewhere", start, episode.days, chosen, skus, episode.sign)

    def observed(self, name: str) -> None:
        """Something of which no feed tells, and the window does."""
        rng = self._rng
        episode = draw_episode(family(name), rng)
        start = self._start(episode.days)
        store, sku = str(rng.choice(self._stores)), str(rng.choice(self._skus))
        if name == "stock_out":
            series = int(rng.integers(len(self._play.ground.stores)))
            store, sku = self._play.ground.stores[series], self._play.ground.skus[series]
            self._act("stock_out|stock_out", episode, start, [store], [sku], (1.0, 1.0))
        elif name == "duplicated_days":
            self._act("doubled_store|doubled_store", episode, start, [store], self._skus, (0.8, 1.0))
        elif name == "partial_closure":
            self._act("store_disruption|store_disruption", episode, start, [store], self._skus, (0.8, 1.0))
        else:
            stores = list(rng.permutation(self._stores)[: int(rng.integers(3, len(self._stores) + 1))])
            self._act("price_change|price_change", episode, start, stores, [sku], (0.7, 1.0))

    def strays(self) -> None:
        """Candidates that move nothing: weekly promotions, long campaigns, signals of every kind."""
        rng, stores = self._rng, self._play.ground.stores
        weeks = (len(self._play.ground.starts) // self._per_day) // 7
        for number in range(STRAYS["promotion"]):
            series, week = int(rng.integers(len(stores))), int(rng.integers(weeks))
            here, sku = [stores[series]], [self._play.ground.skus[series]]
            self._tell(DATED[0], f"stray {number % 60} week {week}", week * 7 * self._per_day, 7, here, sku, 1)
        for number in range(STRAYS["campaign"]):
            some, skus = self._covered(DATED[1])
            days = int(rng.integers(7, 45))
            self._tell(DATED[1], f"stray campaign {number}", self._anywhere(), days, some, skus, 1)
        signals = [told for told in DATED if told.signal]
        for number in range(STRAYS["signal"]):
            told = self.drawn(signals)
            some, skus = self._covered(told)
            days, sign = int(rng.integers(1, 9)), int(rng.choice([-1, 1]))
            self._tell(told, f"stray {told.kind} {number}", self._anywhere(), days, some, skus, sign)

    def _start(self, days: int) -> int:
        first, last = self._play.first, len(self._play.ground.starts)
        room = (last - first) // self._per_day - days // 2 - 3
        return first + self._per_day * int(self._rng.integers(3, max(4, room)))

    def _anywhere(self) -> int:
        whole = len(self._play.ground.starts) // self._per_day
        return self._per_day * int(self._rng.integers(whole // 3, whole))

    def _covered(self, told: Told) -> tuple[list[str], list[str]]:
        rng = self._rng
        stores = max(1, round(len(self._stores) * rng.uniform(*told.stores)))
        skus = max(1, round(len(self._skus) * rng.uniform(*told.skus)))
        centre = int(rng.integers(len(self._play.ground.stores)))
        return (
            self._around(self._stores, self._play.ground.stores[centre], stores),
            self._around(self._skus, self._play.ground.skus[centre], skus),
        )

    def _around(self, names: Sequence[str], centre: str, count: int) -> list[str]:
        others = [str(name) for name in self._rng.permutation(names) if name != centre]
        return [centre, *others[: count - 1]]

    def _act(
        self,
        cause: str,
        episode: Episode,
        first: int,
        stores: Sequence[str],
        skus: Sequence[str],
        answering: tuple[float, float],
    ) -> None:
        """Change the covered series that answer, each by a size of its own."""
        rng, play = self._rng, self._play
        answers = rng.uniform(*answering)
        ticks = min(episode.days * self._per_day, len(play.units) - first)
        for series in (self._of[s, k] for s in stores for k in skus if (s, k) in self._of):
            if rng.random() >= answers or ticks <= 0 or not play.is_free(series, first, first + ticks):
                continue
            before = play.units[max(0, first - USUAL_DAYS * self._per_day) : first, series]
            usual = np.nansum(before) / max(1, np.isfinite(before).sum())
            if usual <= 0:
                continue
            own = episode if episode.kind.whole else replace(episode, factor=_sized(episode.factor, rng))
            new = own.changed(play.units[first : first + ticks, series], float(usual), self._per_day, rng)
            play.change(cause, series, first, new, episode.price_factor)

    def _tell(
        self, told: Told, name: str, first: int, days: int, stores: Sequence[str], skus: Sequence[str], sign: int
    ) -> None:
        """Write what the feeds say: rows of promotions, one campaign, or one signal."""
        rng, feeds, ticks = self._rng, self._play.feeds, days * self._per_day
        if told.kind == "promotion":
            feeds["promotions"] += [
                {"promotion_id": name, "store_id": s, "sku": k, "mechanic": name} | self._play.span(first, ticks)
                for s in stores
                for k in skus
            ]
        elif told.kind == "campaign":
            row: dict[str, Any] = {"campaign_id": name, "skus": list(skus)} | self._play.span(first, ticks)
            feeds["campaigns"].append(row | ({} if rng.random() < 0.4 else {"stores": list(stores)}))
        else:
            regional = rng.random() < 0.4 and len(stores) > 1
            where: dict[str, Any] = {"stores": None if regional else list(stores)}
            if regional:
                where["regions"] = sorted({self._region[store] for store in stores})
            feeds["contextual_events"].append(
                {
                    "event_id": name,
                    "signal_type": told.kind,
                    "title": name,
                    "starts_at": self._play.at(first),
                    "ends_at": self._play.at(first + ticks),
                    "direction": None if rng.random() < 0.35 else "up" if sign > 0 else "down",
                    "skus": None if rng.random() < 0.15 else list(skus),
                    "business_day": self._play.at(first).date(),
                    **where,
                }
            )


def _sized(factor: float, rng: np.random.Generator) -> float:
    """One series' answer to a common factor: its surplus or loss, more or less."""
    if factor >= 1:
        return float(1 + (factor - 1) * rng.lognormal(0.0, 0.35))
    return float(np.clip(factor * rng.lognormal(0.0, 0.25), 0.0, 0.95))
