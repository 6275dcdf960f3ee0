"""How far a change is felt: which days of which later stages read the days of a stage that is computed again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from mrs_assets.contracts.stage import Input, Stage

Days = tuple[date, date]
"""First and last business day, both included."""


def reach(
    again: Mapping[str, Sequence[Days]],
    stages: Sequence[Stage],
    frontier: date,
    changed: Mapping[str, Sequence[Days]] | None = None,
) -> dict[str, list[Days]]:
    """Every stage that has to be computed once some are computed again, with its days.

    A day is felt by the later days that look back on it as far as the stage declares, and by all of them where a
    stage reads its own past.

    Args:
        again: stage → days that are computed again for a cause of their own.
        stages: declared stages in order of the graph.
        frontier: newest day there is to compute.
        changed: log → days of its rows that changed.
    """
    felt: dict[str, list[Days]] = {}
    logs: dict[str, Sequence[Days]] = dict(changed or {})
    for stage in stages:
        written = {contract.name for contract in stage.writes}
        days = list(again.get(stage.name, ()))
        for wanted in (i for i in stage.reads if i.contract.name not in written):
            days += [_felt(first, last, wanted, frontier) for first, last in logs.get(wanted.contract.name, ())]
        if days and any(i.past_only and i.contract.name in written for i in stage.reads):
            days = [(min(first for first, _ in days), frontier)]
        if days:
            felt[stage.name] = joined(days)
            logs |= dict.fromkeys(written, felt[stage.name])
    return felt


def joined(days: Iterable[Days]) -> list[Days]:
    """The same days with what overlaps or touches made one, in order."""
    whole: list[Days] = []
    for first, last in sorted(days):
        if whole and first <= whole[-1][1] + timedelta(days=1):
            whole[-1] = (whole[-1][0], max(last, whole[-1][1]))
        else:
            whole.append((first, last))
    return whole


def runs_of(days: Iterable[date], present: Iterable[date]) -> list[Days]:
    """Days as stretches that no other present day interrupts: what lies between them is nothing to compute."""
    wanted = set(days)
    stretches: list[Days] = []
    open_stretch = False
    for day in sorted(wanted | set(present)):
        if day not in wanted:
            open_stretch = False
        elif open_stretch:
            stretches[-1] = (stretches[-1][0], day)
        else:
            stretches.append((day, day))
            open_stretch = True
    return stretches


def _felt(first: date, last: date, wanted: Input, frontier: date) -> Days:
    begin = first - timedelta(days=wanted.days_after)
    end = min(last + timedelta(days=wanted.days_before), frontier)
    return min(begin, end), end
