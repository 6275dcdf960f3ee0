"""What an analyst may set: fields by name, each with the parser of its value.

Admission checks only that an edit is well formed; whether its value is usable is decided here, so that an unusable
one stays in its log and shows as an issue of the report.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from mrs_assets.contracts.logs.attributed import CAUSE_CATEGORIES

Parser = Callable[[str], object]
LONGEST_TEXT = 256

FINAL_FIELDS = ("final_cause", "final_cause_category")
"""Fields whose edit is a verdict of its own."""


def _text(value: str) -> str:
    text = value.strip(" ")
    if not 1 <= len(text) <= LONGEST_TEXT:
        raise ValueError(f"text of 1 to {LONGEST_TEXT} characters expected")
    return text


def _category(value: str) -> str:
    if value not in CAUSE_CATEGORIES:
        raise ValueError(f"{value!r} is not one of {', '.join(CAUSE_CATEGORIES)}")
    return value


def _instant(value: str) -> datetime:
    moment = datetime.fromisoformat(value.strip())
    if moment.tzinfo is None:
        raise ValueError("an instant needs a time zone, as in 2024-05-01T08:00:00+01:00")
    return moment.astimezone(UTC)


def _group(value: str) -> str:
    if not re.fullmatch(r"ME-[0-9a-f]{20}", value.strip()):
        raise ValueError("the identity of an event looks like ME- and 20 hex digits")
    return value.strip()


REPORT_FIELDS: Mapping[str, Parser] = {
    "final_cause": _text,
    "final_cause_category": _category,
    "window_start": _instant,
    "window_end": _instant,
    "report_group_id": _group,
    "cluster_name": _text,
}
"""Fields of a report that an `edit` may set."""

EVENT_FIELDS: Mapping[str, Parser] = {
    "final_cause": _text,
    "final_cause_category": _category,
    "cohort_name": _text,
}
"""Fields of an event that an `edit` may set; the cause holds for its reports too."""
