"""A report's life: raised by a window, kept while it lasts, ended once it is over; one tick after the other.

A series has at most one report at a time, and a report begins no earlier than the one before it ended. So
onsets rise strictly within a series and two reports never share an identity.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mrs_assets.contracts.settings import Detection
from mrs_assets.detection.axis import Flags, Floats, Ints
from mrs_assets.detection.evidence import Evidence
from mrs_assets.detection.noise import signed_root_deviance
from mrs_assets.detection.scan import trailing_sums

REPORT_DAYS = 77
"""Days after which a report expires: the baseline's means reach no further back, so that by then a level that
persists is what is expected."""

KEPT = 0.8
"""Share of its score that a window which a model judged must keep where it may not reach back as far: what is judged
is the whole window, and the rest of it may be nothing but the end of the report before."""

CONTINUES, RECOVERED, EXPIRED = range(3)


@dataclass(frozen=True)
class Candidates:
    """The scan's windows at the scope's ticks, ticks × series, per direction (0 up, 1 down).

    Attributes:
        z: score; 0 where there is none.
        start: first row.
        raises: whether a report begins with it: the classifier says so, or its score where none spoke.
        probability: that it is an anomaly; NaN where nobody said.
    """

    z: tuple[Floats, Floats]
    start: tuple[Ints, Ints]
    raises: tuple[Flags, Flags]
    probability: tuple[Floats, Floats]


@dataclass
class State:
    """Where each series stands after a tick; arrays over series, rows of the evidence's axis.

    Attributes:
        active: whether a report is going on; the other fields mean nothing where not.
        direction: +1 up, −1 down.
        onset: first instant as judged when the report was raised, microseconds: its identity.
        start: first row of its window as judged now.
        last: last row that looked anomalous.
        free_from: first row that a report may begin in; kept where none is active.
        quiet, blank: evidence since `last`; ticks since any evidence.
        y, e, s: units, expectation and spread since `last`.
        probability: highest that a window of the report was given; NaN where no model said.
    """

    active: Flags
    direction: Floats
    onset: Ints
    start: Ints
    last: Ints
    free_from: Ints
    quiet: Ints
    blank: Ints
    y: Floats
    e: Floats
    s: Floats
    probability: Floats

    @classmethod
    def idle(cls, series: int) -> State:
        """No report anywhere."""

        def whole() -> Ints:
            return np.zeros(series, dtype=np.int64)

        def real() -> Floats:
            return np.zeros(series)

        none = np.zeros(series, dtype=np.bool_)
        unsaid = np.full(series, np.nan)
        return cls(none, real(), whole(), whole(), whole(), whole(), whole(), whole(), real(), real(), real(), unsaid)


@dataclass(frozen=True)
class Tick:
    """Reports that have a row at one tick; arrays over those reports.

    Attributes:
        row: row of the tick.
        column: series.
        direction, onset, start, last, probability: as in `State`.
        outcome: `CONTINUES`, `RECOVERED` or `EXPIRED`.
    """

    row: int
    column: Ints
    direction: Floats
    onset: Ints
    start: Ints
    last: Ints
    probability: Floats
    outcome: Ints


class Lives:
    """Runs the reports of many series through the ticks of a scope."""

    def __init__(self, evidence: Evidence, candidates: Candidates, limits: Detection, longest: int) -> None:
        self._evidence = evidence
        self._axis = evidence.grid.axis
        self._candidates = candidates
        self._limits = limits
        self._longest = longest

    def resume(self, state: State) -> None:
        """Bring a state that knows its last anomalous rows up to the tick before the scope."""
        if not state.active.any():
            return
        for row in range(int(state.last[state.active].min()) + 1, self._evidence.grid.first):
            self._observe(state, row, state.active & (state.last < row))

    def run(self, state: State) -> Iterator[Tick]:
        """Advance the state over the scope's ticks and yield what each tick writes."""
        for row in range(self._evidence.grid.first, len(self._axis)):
            self._observe(state, row, state.active)
            self._continue(state, row)
            ended = self._end(state, row)
            leaving = _rows(state, row, np.nonzero(ended)[0], ended)
            state.active &= ended == CONTINUES
            state.free_from = np.where(ended != CONTINUES, state.last + 1, state.free_from)
            self._raise(state, row)
            staying = _rows(state, row, np.nonzero(state.active)[0], ended * 0)
            if len(leaving.column):
                yield leaving
            if len(staying.column):
                yield staying

    def _observe(self, state: State, row: int, of: Flags) -> None:
        """Count one tick: evidence since the last anomalous row, or a tick without any."""
        evidence = self._evidence
        says = of & evidence.counts[row]
        state.quiet += says
        state.y += np.where(says, evidence.actual[row], 0.0)
        state.e += np.where(says, evidence.expected[row], 0.0)
        state.s += np.where(says, evidence.spread[row], 0.0)
        state.blank = np.where(says, 0, state.blank + (of & ~evidence.counts[row] & ~evidence.closed[row]))

    def _continue(self, state: State, row: int) -> None:
        """Move the end of reports whose newest ticks are still anomalous: this one, or all since the last one."""
        evidence = self._evidence
        own = signed_root_deviance(evidence.actual[row], evidence.expected[row], evidence.spread[row])
        since = signed_root_deviance(state.y, state.e, state.s)
        z = np.maximum(own * state.direction, since * state.direction)
        goes_on = state.active & evidence.counts[row] & (z >= self._limits.stay_z)
        self._refine(state, row, goes_on)
        self._touch(state, row, goes_on)

    def _refine(self, state: State, row: int, goes_on: Flags) -> None:
        """Move the onset back where the best window that ends here begins earlier.

        It never moves forward: the score favours the strongest days and would cut the weaker ones before them off.
        """
        at = row - self._evidence.grid.first
        up = state.direction > 0
        z = np.where(up, self._candidates.z[0][at], self._candidates.z[1][at])
        start = np.where(up, self._candidates.start[0][at], self._candidates.start[1][at])
        young = row - state.start < self._longest
        better = goes_on & young & (z != 0) & (start >= state.free_from) & (start < state.start)
        state.start = np.where(better, start, state.start)
        said = np.where(up, self._candidates.probability[0][at], self._candidates.probability[1][at])
        state.probability = np.where(goes_on, np.fmax(state.probability, said), state.probability)

    def _touch(self, state: State, row: int, which: Flags) -> None:
        state.last = np.where(which, row, state.last)
        state.quiet = np.where(which, 0, state.quiet)
        state.blank = np.where(which, 0, state.blank)
        for name in ("y", "e", "s"):
            setattr(state, name, np.where(which, 0.0, getattr(state, name)))

    def _end(self, state: State, row: int) -> Ints:
        """Outcome per series at a tick."""
        day = self._axis.day
        oldest = np.minimum(day[state.start], state.onset // 86_400_000_000)
        over = state.quiet >= self._limits.gap_ticks
        stale = (state.blank >= self._limits.expire_ticks) | (day[row] - oldest >= REPORT_DAYS)
        outcome = np.where(over, RECOVERED, np.where(stale, EXPIRED, CONTINUES))
        return np.where(state.active, outcome, CONTINUES)

    def _raise(self, state: State, row: int) -> None:
        """Begin reports where a window raises one and does not reach into the report before."""
        at = row - self._evidence.grid.first
        strongest, begins = np.zeros(len(state.active)), np.zeros(len(state.active), dtype=np.int64)
        probability = np.full(len(state.active), np.nan)
        candidates = self._candidates
        for z, start, raises, said in zip(
            candidates.z, candidates.start, candidates.raises, candidates.probability, strict=True
        ):
            hot = ~state.active & raises[at]
            score, onset = np.where(hot, z[at], 0.0), start[at].copy()
            reaches_back = np.nonzero(hot & (onset < state.free_from))[0]
            if len(reaches_back):
                found = self._rescan(row, reaches_back, state.free_from[reaches_back], np.sign(z[at][reaches_back]))
                score[reaches_back], onset[reaches_back] = found
            least = np.where(np.isnan(said[at]), self._limits.enter_z, KEPT * np.abs(z[at]))
            stronger = hot & (np.abs(score) >= least) & (np.abs(score) > np.abs(strongest))
            strongest, begins = np.where(stronger, score, strongest), np.where(stronger, onset, begins)
            probability = np.where(stronger, said[at], probability)
        new = strongest != 0
        state.active |= new
        state.direction = np.where(new, np.sign(strongest), state.direction)
        state.start = np.where(new, begins, state.start)
        state.onset = np.where(new, self._axis.ts[begins], state.onset)
        state.probability = np.where(new, probability, state.probability)
        self._touch(state, row, new)

    def _rescan(self, row: int, columns: Ints, free_from: Ints, direction: Floats) -> tuple[Floats, Ints]:
        """Find the best window that begins no earlier than allowed, per series: score and first row."""
        evidence = self._evidence
        rows = np.full(len(columns), row)
        sums = [
            trailing_sums(values, rows, columns, self._longest)
            for values in (evidence.actual, evidence.expected, evidence.spread)
        ]
        z = signed_root_deviance(sums[0], sums[1], sums[2]) * direction
        starts = row - np.arange(self._longest)
        z = np.where(starts[:, None] >= free_from[None, :], z, -np.inf)
        best = np.argmax(z, axis=0)
        score = z[best, np.arange(len(columns))]
        return np.where(np.isfinite(score), score * direction, 0.0), starts[best]


def _rows(state: State, row: int, columns: Ints, outcome: Ints) -> Tick:
    return Tick(
        row=row,
        column=columns,
        direction=state.direction[columns],
        onset=state.onset[columns],
        start=state.start[columns],
        last=state.last[columns],
        probability=state.probability[columns],
        outcome=outcome[columns],
    )
