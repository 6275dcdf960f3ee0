"""Events that somebody should know of: new and large, grown, judged otherwise, over, or never real."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from mrs_assets.alerting.condition import Condition, Look, listing
from mrs_assets.contracts.alerting import Alerting
from mrs_assets.contracts.columns import INSTANT

RULE = "minority_events"
STAYS_ABOVE = 0.8
"""Share of a limit below which an event that was told of is no longer worth it; from practice, so that one at the
limit does not come and go."""

_TEXT, _TEXTS = pl.String(), pl.List(pl.String)
_NUMBER = pl.Float64()

EVENTS_NOW = pl.Schema(
    {
        "report_group_id": _TEXT,
        "superseded_by": _TEXT,
        "event_status": _TEXT,
        "resolution_reason": _TEXT,
        "final_decision": _TEXT,
        "direction": _TEXT,
        "window_start": INSTANT,
        "retailers": _TEXTS,
        "stores": _TEXTS,
        "skus": _TEXTS,
        "regions": _TEXTS,
        "severity_score": _NUMBER,
        "impact_estimate": _NUMBER,
        "unit": _TEXT,
        "cause": _TEXT,
        "category": _TEXT,
        "confidence": _NUMBER,
        "report_id": _TEXT,
    }
)
"""Every event: `unit` is the currency where it is known, `report_id` the most severe of its live reports."""


def fingerprint(group_id: str) -> str:
    """What an event is known by."""
    return f"event:{group_id}"


def minority_events(events: pl.DataFrame, known: Collection[str], policy: Alerting) -> Look:
    """One condition per active event above the limits, under the first name that it was told of by.

    An event whose earliest report changed goes on under another id; that is no news. An analyst's rejection ends it.

    Args:
        events: as `EVENTS_NOW`.
        known: fingerprints of open alerts.
        policy: the limits.
    """
    rows = events.sort("report_group_id").to_dicts()
    followers = {row["report_group_id"]: row["superseded_by"] for row in rows if row["superseded_by"]}
    names = _names(followers, known)
    found, endings = [], {}
    for row in rows:
        name = names.get(row["report_group_id"], fingerprint(row["report_group_id"]))
        if row["event_status"] == "active" and row["final_decision"] != "rejected":
            if _is_large(row, policy, STAYS_ABOVE if name in known else 1.0):
                found.append(_condition(row, name, policy))
        elif fingerprint(row["report_group_id"]) in known:
            endings[fingerprint(row["report_group_id"])] = _ending(row)
        if name in known and name != fingerprint(row["report_group_id"]) and row["event_status"] == "ended":
            endings[name] = _ending(row)
    there = {condition.fingerprint for condition in found}
    standing = {row["report_group_id"] for row in rows}
    for name in known:
        group_id = name.removeprefix("event:")
        if name.startswith("event:") and group_id not in standing:
            endings[name] = "Data correction: what it was made of was never real, or belongs to other events now."
    return Look(frozenset({RULE}), tuple(found), endings={n: words for n, words in endings.items() if n not in there})


def _names(followers: Mapping[str, str], known: Collection[str]) -> dict[str, str]:
    """Event → the fingerprint of the predecessor by which it was told of first, by id where there are several."""
    names: dict[str, str] = {}
    for former in sorted(followers):
        newest, seen = former, {former}
        while newest in followers and followers[newest] not in seen:
            newest = followers[newest]
            seen.add(newest)
        if fingerprint(former) in known and fingerprint(newest) not in known:
            names.setdefault(newest, fingerprint(former))
    return names


def _is_large(row: Mapping[str, object], policy: Alerting, share: float) -> bool:
    severity, impact = row["severity_score"], row["impact_estimate"]
    large = isinstance(severity, float) and severity >= policy.event_severity * share
    costly = policy.event_impact is not None and isinstance(impact, float)
    return large or (costly and abs(float(str(impact))) >= float(policy.event_impact or 0) * share)


def _condition(row: Mapping[str, object], name: str, policy: Alerting) -> Condition:
    stores, skus = _texts(row["stores"]), _texts(row["skus"])
    impact = row["impact_estimate"]
    size = float(str(impact)) if impact is not None else float(str(row["severity_score"]))
    amount = f"{size:,.0f} {row['unit'] or ''}".strip()
    confidence = "" if row["confidence"] is None else f", confidence {row['confidence']:.2f}"
    return Condition(
        fingerprint=name,
        rule=RULE,
        kind="business",
        severity="warn",
        title=f"{listing(skus[:2])}{_more(skus)} {row['direction']} at {listing(stores[:2])}{_more(stores)}: {amount}",
        body=(
            f"Event {row['report_group_id']}, since {row['window_start']:%Y-%m-%d %H:%M} UTC. Probable cause: "
            f"{row['cause'] or 'unknown'}{confidence}. {_commands(row)}"
        ),
        retailers=_texts(row["retailers"]),
        regions=_texts(row["regions"]),
        categories=(str(row["category"]),) if row["category"] else (),
        members=stores,
        size=size,
        conclusion=str(row["cause"]) if row["cause"] else None,
        link=f"{policy.ui_url.rstrip('/')}/assets/minority_events" if policy.ui_url else None,
    )


def _ending(row: Mapping[str, object]) -> str:
    if row["final_decision"] == "rejected":
        why = "an analyst rejected it"
    elif row["resolution_reason"] == "data correction":
        why = "data correction, it was never real"
    elif row["superseded_by"]:
        why = f"it belongs to {row['superseded_by']} now"
    else:
        why = str(row["resolution_reason"] or "recovered")
    return f"Event {row['report_group_id']} is over: {why}. {_commands(row)}"


def _commands(row: Mapping[str, object]) -> str:
    """How to look closer."""
    shown = f"mrs show events --where \"report_group_id = '{row['report_group_id']}'\""
    return f"`{shown}`" + (f", `mrs explain {row['report_id']}`." if row["report_id"] else ".")


def _texts(value: object) -> tuple[str, ...]:
    return tuple(sorted(map(str, value))) if isinstance(value, list) else ()


def _more(names: tuple[str, ...]) -> str:
    return f" and {len(names) - 2} more" if len(names) > 2 else ""
