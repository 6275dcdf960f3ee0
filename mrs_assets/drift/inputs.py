"""The main inputs of each model: how they were distributed where it learnt, and how they are now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.drift.measures import Distribution, Floats, distribution, population_stability_index

_COUNTED = pl.col("coverage").is_in(["received", "partial"])


@dataclass(frozen=True)
class MainInput:
    """One number of each row of a log that models look at.

    Attributes:
        name: what it is called.
        contract: whose rows.
        value: the number; NULL where it is not there, which is a bin of its own.
    """

    name: str
    contract: Contract
    value: pl.Expr


MAIN_INPUTS = (
    MainInput("units", SALES_TIMESERIES, pl.when(_COUNTED).then(pl.col("units"))),
    MainInput(
        "price", SALES_TIMESERIES, pl.when(_COUNTED & (pl.col("units") > 0)).then(pl.col("revenue") / pl.col("units"))
    ),
)

LOGS_OF_INPUTS = frozenset(told.contract for told in MAIN_INPUTS)


def inputs_of(frames: Mapping[str, pl.DataFrame]) -> dict[str, dict[str, object]]:
    """Distribution of every main input of the logs that are there, by retailer and name; ready for JSON.

    Args:
        frames: log name → rows.
    """
    told: dict[str, dict[str, object]] = {}
    for retailer, name, values in _values(frames):
        told.setdefault(retailer, {})[name] = asdict(distribution(values))
    return told


def stability(
    reference: Mapping[str, Mapping[str, Any]], frames: Mapping[str, pl.DataFrame]
) -> dict[str, dict[str, float]]:
    """Population stability index of each main input that a reference and the rows tell of, by retailer and name.

    Args:
        reference: what `inputs_of` said at training.
        frames: log name → rows to hold against it.
    """
    found: dict[str, dict[str, float]] = {}
    for retailer, name, values in _values(frames):
        if name in (known := reference.get(retailer, {})):
            found.setdefault(retailer, {})[name] = population_stability_index(_read(known[name]), values)
    return found


def _values(frames: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, str, Floats]]:
    """Retailer, name and numbers of every main input that there are rows for; NaN where a number is not there."""
    for told in MAIN_INPUTS:
        if told.contract.name in frames:
            rows = frames[told.contract.name]
            for (retailer,), own in rows.group_by("retailer", maintain_order=True):
                numbers = own.select(told.value.cast(pl.Float64)).to_series()
                yield str(retailer), told.name, numbers.fill_null(float("nan")).to_numpy()


def _read(stored: Mapping[str, Any]) -> Distribution:
    return Distribution(tuple(stored["edges"]), tuple(stored["shares"]), int(stored["rows"]))
