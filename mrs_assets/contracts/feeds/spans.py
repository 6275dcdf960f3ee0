"""Admission rules of feeds whose rows last from one day or moment to another."""

from mrs_assets.contracts.feed import AdmissionRule

LONGEST_SPAN_DAYS = 366
"""A leap year, for every feed of spans: stages look for context that began up to 366 days back. A longer one would
fall out of their sight while it lasts, and would match every row of every year that it covers."""


def span_rules(first: str, last: str) -> tuple[AdmissionRule, ...]:
    """A span must not end before it begins, nor last longer than `LONGEST_SPAN_DAYS`."""
    length = f"date_diff('day', {first}, {last})"
    return (
        AdmissionRule(
            "end_before_start", f"{last} < {first}", f"{last} is before {first}: swap them or correct the later one."
        ),
        AdmissionRule(
            "span_too_long",
            f"{length} >= {LONGEST_SPAN_DAYS}",
            f"From {first} to {last} is longer than {LONGEST_SPAN_DAYS} days: correct the end, or send one row a year.",
        ),
    )
