"""The kinds of anomaly that are injected, each with its parameters; what one does to the units of one series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Footprint = Literal["series", "item", "store"]

TRAINING_SEEDS = range(1_000)
"""Seeds that models are taught with."""
DEVELOPMENT_SEEDS = range(1_000, 2_000)
"""Seeds that choices are made with: features, limits, thresholds."""
EVALUATION_SEEDS = range(2_000, 1_000_000)
"""Seeds that published figures come from, and nothing else."""


@dataclass(frozen=True)
class Family:
    """One kind of anomaly.

    Attributes:
        name: what happened.
        days: shortest and longest duration.
        factors: ranges of the factor on sales, one of which is drawn first; 1 changes nothing.
        footprint: one series; one item in several stores; or several items of one store.
        most_series: most series that one episode touches.
        weight: how often it is drawn, relative to the others.
        whole: whether the factor holds exactly, as for a mistake in the data; else customers come and go by chance.
        half_life: days after which the surplus has halved, shortest and longest; None where it stays.
        price_factors: factor on the price while it lasts, per range of `factors`; None where the price stays.
        whole_factors: factors of which one is drawn instead of a range.
    """

    name: str
    days: tuple[int, int]
    factors: tuple[tuple[float, float], ...]
    footprint: Footprint
    weight: float
    most_series: int = 1
    whole: bool = False
    half_life: tuple[float, float] | None = None
    price_factors: tuple[tuple[float, float], ...] | None = None
    whole_factors: tuple[float, ...] | None = None


FAMILIES = (
    Family("duplicated_days", (1, 7), ((2.0, 2.0),), "store", 0.10, most_series=12, whole=True),
    Family("stock_out", (2, 14), ((0.0, 0.1),), "series", 0.18),
    Family("viral_spike", (5, 14), ((3.0, 8.0),), "item", 0.12, most_series=4, half_life=(1.5, 4.0)),
    Family("regional_uplift", (3, 10), ((1.5, 2.5),), "item", 0.12, most_series=30),
    Family("level_shift", (21, 45), ((0.3, 0.6), (1.6, 3.0)), "series", 0.10),
    Family(
        "unit_of_measure",
        (1, 10),
        ((1.0, 1.0),),
        "series",
        0.06,
        whole=True,
        whole_factors=(1 / 12, 1 / 6, 4.0, 6.0, 12.0, 24.0),
    ),
    Family("partial_closure", (1, 7), ((0.2, 0.6),), "store", 0.08, most_series=12),
    Family(
        "price_error", (1, 6), ((1.8, 5.0), (0.0, 0.4)), "item", 0.10, most_series=4,
        price_factors=((0.1, 0.6), (1.6, 5.0)),
    ),
    Family("competitor_stock_out", (3, 14), ((1.4, 2.2),), "item", 0.08, most_series=6),
    Family("weather", (1, 4), ((0.35, 0.7), (1.5, 2.2)), "store", 0.06, most_series=12),
)  # fmt: skip
"""Rates and sizes are those of a grocer's year as its analysts tell it: most episodes are stock-outs and short-lived
uplifts of one item, mistakes in the data are rare, and what hits a store hits several of its items at once."""


def family(name: str) -> Family:
    """The family of a name."""
    return next(one for one in FAMILIES if one.name == name)


@dataclass(frozen=True)
class Episode:
    """One occurrence of a family, whatever it touches.

    Attributes:
        kind: its family.
        days: duration.
        factor: on sales, at its height.
        half_life: days; infinite where the surplus stays.
        price_factor: on the price.
    """

    kind: Family
    days: int
    factor: float
    half_life: float
    price_factor: float

    @property
    def sign(self) -> int:
        """+1 where more is sold, −1 where less is."""
        return 1 if self.factor > 1 else -1

    def height(self, ticks: int, ticks_per_day: int) -> Floats:
        """Share of the full change at each tick since the onset."""
        return np.asarray(0.5 ** (np.arange(ticks) / ticks_per_day / self.half_life))

    def changed(self, units: Floats, usual: float, ticks_per_day: int, rng: np.random.Generator) -> Floats:
        """Units of one series during the episode; NaN and returns stay as they are.

        Args:
            units: what was sold, from the onset on.
            usual: mean units of a tick before the onset.
            ticks_per_day: ticks of a day.
            rng: chance.
        """
        sold = np.where(units > 0, units, 0.0)
        if self.kind.whole:
            new = sold * self.factor if self.factor > 1 else np.round(sold * self.factor)
        elif self.factor < 1:
            whole = np.floor(sold)
            new = rng.binomial(whole.astype(np.int64), self.factor) + (sold - whole) * self.factor
        else:
            surplus = (self.factor - 1.0) * self.height(len(units), ticks_per_day)
            new = sold + rng.poisson(surplus * (usual + sold) / 2.0)
        return np.where(units > 0, new, np.where(np.isnan(units), np.nan, units + new))


def draw_episode(kind: Family, rng: np.random.Generator) -> Episode:
    """Draw duration, size and decay of one episode."""
    days = int(rng.integers(kind.days[0], kind.days[1] + 1))
    which = int(rng.integers(len(kind.factors)))
    factor = float(rng.uniform(*kind.factors[which]))
    if kind.whole_factors is not None:
        factor = float(rng.choice(kind.whole_factors))
    price = 1.0 if kind.price_factors is None else float(rng.uniform(*kind.price_factors[which]))
    half_life = np.inf if kind.half_life is None else float(rng.uniform(*kind.half_life))
    return Episode(kind, days, factor, half_life, price)
