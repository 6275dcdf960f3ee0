"""The windows of many series that may be anomalies: where each lies, and what can be said of it at its newest tick."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mrs_assets.detection.axis import Floats, Ints
from mrs_assets.detection.evidence import Evidence
from mrs_assets.detection.noise import EIGHTY_PERCENT, variance
from mrs_assets.detection.scan import SCAN_DAYS, best_windows, trailing_sums

AT_ONCE = 20_000
"""Windows whose ticks are held in memory at once."""


@dataclass(frozen=True)
class Found:
    """Windows, as arrays over them.

    Attributes:
        row: row of the newest tick.
        column: series.
        z: signed score of the scan.
        ticks: length.
    """

    row: Ints
    column: Ints
    z: Floats
    ticks: Ints

    def __len__(self) -> int:
        return len(self.row)

    def parts(self) -> Iterator[tuple[slice, Found]]:
        """Handfuls that fit into memory, and where they lie."""
        for begin in range(0, len(self), AT_ONCE):
            part = slice(begin, min(begin + AT_ONCE, len(self)))
            yield part, Found(self.row[part], self.column[part], self.z[part], self.ticks[part])


def find_windows(evidence: Evidence, longest: int, candidate_z: float) -> Found:
    """At each tick with evidence, the best window upwards and downwards from `candidate_z` on."""
    first, parts = evidence.grid.first, []
    for columns in evidence.grid.blocks():
        actual, expected, spread = (
            np.ascontiguousarray(values[:, columns]) for values in (evidence.actual, evidence.expected, evidence.spread)
        )
        counts = evidence.counts[first:, columns]
        for windows in best_windows(actual, expected, spread, first=first, longest=longest, least=candidate_z):
            at = np.nonzero(counts & (np.abs(windows.z) >= candidate_z))
            parts.append((at[0] + first, at[1] + columns.start, windows.z[at], windows.ticks[at]))
    return Found(*(np.concatenate([part[n] for part in parts]) for n in range(4)))


def at_stake(evidence: Evidence, found: Found, longest: int) -> Floats:
    """Money (units without a price) by which each window surely deviates: the lower 80 % bound."""
    stake = np.zeros(len(found))
    for part, some in found.parts():
        at = (some.ticks - 1, np.arange(len(some)))
        actual, expected, spread = (
            trailing_sums(values, some.row, some.column, longest)[at]
            for values in (evidence.actual, evidence.expected, evidence.spread)
        )
        stake[part] = np.maximum(np.abs(actual - expected) - EIGHTY_PERCENT * np.sqrt(variance(expected, spread)), 0.0)
    price = evidence.last_price(found.row, found.column, SCAN_DAYS)
    return stake * np.where(np.isnan(price), 1.0, price)
