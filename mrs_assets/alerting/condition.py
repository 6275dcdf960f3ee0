"""What is the case now and worth an alert: conditions, their severities, and what one look found of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from mrs_assets.contracts.alerting import Kind, Severity
from mrs_assets.contracts.logs.alerts import ALERT_SEVERITIES

MEMBERS_SHOWN = 20
ALL = "ALL"
"""Stands for every retailer, in fingerprints and frames; no retailer is called so."""


@dataclass(frozen=True)
class Condition:
    """Something that is the case.

    Attributes:
        fingerprint: what it is about, the same whenever it comes back; never holds a time.
        rule: the rule that found it.
        kind, severity: as in `alerts_log`.
        title: one sentence.
        body: what failed, why, what is kept safe, what to do.
        retailers, regions, categories: whom it concerns, sorted; empty: everybody.
        members: what is grouped in it, sorted.
        size: how large it is, not below 0; the number of members unless said.
        conclusion: what is believed of it.
        parents: fingerprints that would explain it, the likeliest first; `*` stands for any text.
        link: address of the UI.
    """

    fingerprint: str
    rule: str
    kind: Kind
    severity: Severity
    title: str
    body: str
    retailers: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    size: float | None = None
    conclusion: str | None = None
    parents: tuple[str, ...] = ()
    link: str | None = None

    @property
    def measured(self) -> float:
        """Its size, to the cent."""
        return round(abs(self.size), 2) if self.size is not None else float(max(len(self.members), 1))


@dataclass(frozen=True)
class Look:
    """What was found when some rules looked.

    Attributes:
        rules: the rules that looked: what they did not find is not there.
        conditions: what they found.
        unknown: fingerprints of which nobody can say whether they are there.
        endings: fingerprint → how it ended, where that is known: over at once, without a hold-down.
    """

    rules: frozenset[str]
    conditions: tuple[Condition, ...] = ()
    unknown: frozenset[str] = frozenset()
    endings: Mapping[str, str] = field(default_factory=dict)


def together(looks: Iterable[Look]) -> Look:
    """Several looks as one."""
    looks = list(looks)
    return Look(
        frozenset().union(*(look.rules for look in looks)),
        tuple(condition for look in looks for condition in look.conditions),
        frozenset().union(*(look.unknown for look in looks)),
        {fingerprint: words for look in looks for fingerprint, words in look.endings.items()},
    )


def rank(severity: str) -> int:
    """Place of a severity, from the least."""
    return ALERT_SEVERITIES.index(severity)


def merged(conditions: Iterable[Condition]) -> dict[str, Condition]:
    """One condition per fingerprint: the most severe speaks, the others are told with it; sorted by fingerprint."""
    groups: dict[str, list[Condition]] = {}
    for condition in sorted(conditions, key=lambda c: (c.fingerprint, -rank(c.severity), c.title, c.body)):
        groups.setdefault(condition.fingerprint, []).append(condition)
    return {fingerprint: _one_of(group) for fingerprint, group in groups.items()}


def _one_of(group: list[Condition]) -> Condition:
    first = group[0]
    if len(group) == 1:
        return first
    sizes = [condition.size for condition in group if condition.size is not None]
    others = dict.fromkeys(f"{other.title} {other.body}" for other in group[1:])
    everybody = any(not condition.retailers for condition in group)
    return replace(
        first,
        body="\n\n".join(dict.fromkeys([first.body, *others])),
        retailers=() if everybody else _union(condition.retailers for condition in group),
        regions=_union(condition.regions for condition in group),
        categories=_union(condition.categories for condition in group),
        members=_union(condition.members for condition in group),
        parents=tuple(dict.fromkeys(parent for condition in group for parent in condition.parents)),
        size=max(sizes, key=abs) if sizes else None,
    )


def _union(parts: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({item for part in parts for item in part}))


def listing(members: Iterable[str]) -> str:
    """Members in words, as many as one reads."""
    names = sorted(members)
    more = f" and {len(names) - MEMBERS_SHOWN} more" if len(names) > MEMBERS_SHOWN else ""
    return ", ".join(names[:MEMBERS_SHOWN]) + more
