"""Causes put into real series to ask attribution for them: other effects and feeds than it was taught with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation.journey import Floats
from mrs_assets.rehearsal.ground import Ground
from mrs_assets.rehearsal.play import Play

EVENTS = 70
WITHHELD_SHARE = 0.35
"""Share of the dated causes of which no feed tells."""

DECOY_SHARE = 0.75
"""Share of the dated causes that have a decoy, told of or not."""

DECOYS = ("right time, other stores", "right stores, other time", "right time, other products")
STRAYS = {"promotion": 1_200, "campaign": 10, "signal": 70}
EARTH_KM_PER_DEGREE = 111.2
WEEK = 7


@dataclass(frozen=True)
class Kind:
    """One kind of cause, as it is staged here.

    Attributes:
        name: kind of the candidate.
        lifts: smallest and largest factor on sales at its height; under 1 it takes sales away.
        days: shortest and longest duration.
        rise: days until the height is reached, and days over which it fades after the end.
        skus: most products concerned; 0 is all.
        spread: most stores concerned; 0 is all.
        weight: how often it comes.
    """

    name: str
    lifts: tuple[float, float]
    days: tuple[int, int]
    rise: tuple[float, float]
    skus: int
    spread: int
    weight: float


KINDS = (
    Kind("promotion", (1.6, 5.0), (7, 14), (0.0, 0.5), 2, 40, 3.0),
    Kind("campaign", (1.5, 3.0), (7, 21), (1.5, 2.0), 5, 0, 1.5),
    Kind("weather", (1.7, 3.0), (2, 5), (0.3, 0.3), 12, 25, 1.0),
    Kind("weather", (0.2, 0.5), (2, 4), (0.0, 0.3), 0, 20, 1.0),
    Kind("competitor", (1.6, 3.5), (4, 12), (0.5, 1.0), 8, 12, 1.5),
    Kind("social", (2.5, 8.0), (4, 10), (0.5, 3.0), 2, 0, 2.0),
    Kind("operational", (0.0, 0.4), (1, 6), (0.0, 0.0), 0, 1, 1.5),
    Kind("price", (1.5, 3.0), (5, 20), (0.5, 1.0), 2, 20, 1.0),
)
"""Signals, promotions and campaigns, in directions and sizes of their own."""

OBSERVED = ("stock_out", "doubled_store", "store_disruption")


def staged(ground: Ground, seed: int) -> Play:
    """Stage one season. Deterministic: the same ground and seed, the same play."""
    season = _Season(Play(ground), np.random.default_rng(seed))
    season.stage()
    return season.play


class _Season:
    """Draws the events of one play: stores lie on a map, effects differ by series, fade, and spill over."""

    def __init__(self, play: Play, rng: np.random.Generator) -> None:
        self.play = play
        self._rng = rng
        ground = play.ground
        self._stores, self._skus = sorted(set(ground.stores)), sorted(set(ground.skus))
        self._of = {pair: n for n, pair in enumerate(zip(ground.stores, ground.skus, strict=True))}
        self._place = {store: (41.0 + rng.uniform(-1, 1), -75.0 + rng.uniform(-1, 1)) for store in self._stores}
        self._taste = rng.lognormal(0.0, 0.5, len(ground.stores))

    def stage(self) -> None:
        """Everything: the map, events with their decoys, what only the window shows, and strays."""
        day = self.play.ground.starts[0].date()
        self.play.feeds["stores"] += [
            {"store_id": store, "latitude": north, "longitude": east, "business_day": day}
            for store, (north, east) in self._place.items()
        ]
        weights = np.array([kind.weight for kind in KINDS])
        for number in range(EVENTS):
            if number % 4 == 3:
                self._observed(OBSERVED[number // 4 % len(OBSERVED)])
            else:
                self._event(KINDS[int(self._rng.choice(len(KINDS), p=weights / weights.sum()))], f"E{number}")
        self._strays()

    def _event(self, kind: Kind, name: str) -> None:
        rng = self._rng
        days = int(rng.integers(kind.days[0], kind.days[1] + 1))
        start = self._start(days)
        if kind.name == "promotion":
            start -= (start - self.play.first) % WEEK
        lift = float(np.exp(rng.uniform(*np.log(np.maximum(kind.lifts, 0.02)))))
        centre = str(rng.choice(self._stores))
        stores, skus = self._near(centre, kind.spread), self._some(self._skus, kind.skus)
        moved = self._move(f"{kind.name}|{name}", start, self._profile(kind, days), lift, stores, skus)
        if not moved:
            return
        if rng.random() >= WITHHELD_SHARE:
            told = start + int(rng.choice([-2, -1, 0, 1], p=[0.05, 0.15, 0.65, 0.15]))
            self._tell(kind, name, told, days, stores, skus, lift)
        if rng.random() < DECOY_SHARE:
            self._decoy(kind, name, start, days, stores, skus, lift)

    def _decoy(
        self, kind: Kind, name: str, start: int, days: int, stores: Sequence[str], skus: Sequence[str], lift: float
    ) -> None:
        rng = self._rng
        which = int(rng.integers(len(DECOYS)))
        if which == 0:
            others = [store for store in self._stores if store not in set(stores)]
            stores = [str(s) for s in rng.permutation(others)[: len(stores)]]
        elif which == 1:
            start += int(rng.integers(5, 36)) * int(rng.choice([-1, 1]))
        else:
            others = [sku for sku in self._skus if sku not in set(skus)]
            skus = [str(s) for s in rng.permutation(others)[: len(skus)]]
        if stores and skus:
            self._tell(kind, f"{name} {DECOYS[which]}", start, days, stores, skus, lift)

    def _observed(self, kind: str) -> None:
        rng, key = self._rng, f"{kind}|{kind}"
        store, days = str(rng.choice(self._stores)), int(rng.integers(1, 5))
        series = [n for n, name in enumerate(self.play.ground.stores) if name == store]
        if kind == "stock_out":
            self._set(key, [int(rng.integers(len(self.play.ground.stores)))], int(rng.integers(4, 15)), 0.0)
        elif kind == "doubled_store":
            self._set(key, series, days, 2.0)
        else:
            self._set(key, series, days, float(rng.uniform(0.0, 0.3)))

    def _set(self, key: str, series: Sequence[int], days: int, factor: float) -> None:
        start = self._start(days)
        for one in series:
            units = self.play.units[start : start + days, one]
            if self.play.is_free(one, start, start + days) and np.isfinite(units).all():
                kept = self._rng.binomial(np.maximum(units, 0).astype(int), min(factor, 1.0))
                self.play.change(key, one, start, units * factor if factor > 1 else kept.astype(float))

    def _profile(self, kind: Kind, days: int) -> Floats:
        """Share of the full effect per day: it rises, stays, and fades after the end."""
        rise, fade = kind.rise
        tail = int(np.ceil(2 * fade))
        day = np.arange(days + tail, dtype=np.float64)
        up = 1 - np.exp(-(day + 0.5) / rise) if rise else np.ones(len(day))
        down = np.where(day < days, 1.0, np.exp(-(day - days + 1) / max(fade, 0.1)))
        if kind.name == "social":
            down = np.exp(-np.maximum(day - 1, 0) / max(days / 3, 1.0))
        return up * down

    def _move(
        self, key: str, start: int, profile: Floats, lift: float, stores: Sequence[str], skus: Sequence[str]
    ) -> int:
        """Change what the event concerns, each series after its taste; how many changed."""
        rng, play, moved = self._rng, self.play, 0
        hits = rng.uniform(0.4, 1.0)
        end = min(start + len(profile), len(play.units))
        shape = profile[: end - start]
        for series in (self._of[s, k] for s in stores for k in skus if (s, k) in self._of):
            units = play.units[start:end, series]
            if rng.random() >= hits or not play.is_free(series, start, end) or not np.isfinite(units).all():
                continue
            usual = float(np.nanmean(play.units[start - 28 : start, series]))
            if lift >= 1:
                new = units + rng.poisson(np.maximum(usual, 0) * (lift - 1) * self._taste[series] * shape)
            else:
                new = rng.binomial(np.maximum(units, 0).astype(int), 1 - (1 - lift) * shape).astype(float)
            moved += play.change(key, series, start, new)
        return moved

    def _tell(
        self, kind: Kind, name: str, start: int, days: int, stores: Sequence[str], skus: Sequence[str], lift: float
    ) -> None:
        feeds, span, rng = self.play.feeds, self.play.span(start, days), self._rng
        if kind.name == "promotion":
            feeds["promotions"] += [
                {"promotion_id": name, "store_id": s, "sku": k, "mechanic": name} | span for s in stores for k in skus
            ]
        elif kind.name == "campaign":
            limit = {} if len(stores) == len(self._stores) else {"stores": list(stores)}
            feeds["campaigns"].append({"campaign_id": name, "skus": list(skus)} | limit | span)
        else:
            row: dict[str, Any] = {
                "event_id": name,
                "signal_type": kind.name,
                "title": name,
                "starts_at": self.play.at(start),
                "ends_at": self.play.at(start + days),
                "direction": rng.choice(np.array([None, "up" if lift > 1 else "down"]), p=[0.3, 0.7]),
                "skus": None if len(skus) == len(self._skus) else list(skus),
                "business_day": self.play.at(start).date(),
            }
            feeds["contextual_events"].append(row | self._where(stores))

    def _where(self, stores: Sequence[str]) -> dict[str, Any]:
        """Half of the signals name their stores, half draw a circle around them, which takes others in."""
        if len(stores) == len(self._stores):
            return {}
        if self._rng.random() < 0.5 or len(stores) == 1:
            return {"stores": list(stores)}
        places = np.array([self._place[store] for store in stores])
        middle = places.mean(axis=0)
        reach = float(np.hypot(*((places - middle) * [1.0, 0.75]).T).max()) * EARTH_KM_PER_DEGREE
        return {"latitude": float(middle[0]), "longitude": float(middle[1]), "radius_km": reach + 1.0}

    def _strays(self) -> None:
        """Candidates that nothing happened by: promoted weeks of single series, campaigns and signals anywhere."""
        rng, ground = self._rng, self.play.ground
        promotion, campaign = KINDS[0], KINDS[1]
        for number in range(STRAYS["promotion"]):
            one, week = int(rng.integers(len(ground.stores))), int(rng.integers(len(ground.starts) // WEEK))
            self._tell(
                promotion, f"S{number % 40}w{week}", week * WEEK, WEEK, [ground.stores[one]], [ground.skus[one]], 2.0
            )
        for number in range(STRAYS["campaign"]):
            skus = self._some(self._skus, 6)
            self._tell(campaign, f"S{number}", self._anywhere(), int(rng.integers(14, 40)), self._stores, skus, 2.0)
        signals = [kind for kind in KINDS if kind.name not in ("promotion", "campaign")]
        for number in range(STRAYS["signal"]):
            kind = signals[number % len(signals)]
            stores, skus = self._near(str(rng.choice(self._stores)), kind.spread), self._some(self._skus, kind.skus)
            days = int(rng.integers(kind.days[0], kind.days[1] + 1))
            self._tell(kind, f"S{kind.name}{number}", self._anywhere(), days, stores, skus, kind.lifts[1])

    def _start(self, days: int) -> int:
        return int(self._rng.integers(self.play.first + 5, len(self.play.ground.starts) - days // 2 - 4))

    def _anywhere(self) -> int:
        whole = len(self.play.ground.starts)
        return int(self._rng.integers(whole // 2, whole))

    def _near(self, centre: str, most: int) -> list[str]:
        """The nearest stores of one, up to as many as the kind reaches."""
        if not most:
            return self._stores
        here = np.array(self._place[centre])
        by_distance = sorted(self._stores, key=lambda s: (float(np.sum((np.array(self._place[s]) - here) ** 2)), s))
        return by_distance[: int(self._rng.integers(1, most + 1))]

    def _some(self, names: Sequence[str], most: int) -> list[str]:
        if not most:
            return list(names)
        return [str(name) for name in self._rng.permutation(names)[: int(self._rng.integers(1, most + 1))]]
