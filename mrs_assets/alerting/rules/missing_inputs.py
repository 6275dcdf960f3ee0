"""What is missing or failing: breakers that opened and the rows that did without, one condition per cause."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from mrs_assets.alerting.condition import ALL, Condition, Look, listing
from mrs_assets.alerting.rules.orchestration import failed_check

RULE = "missing_inputs"
ANSWERS = "answers_what_was_asked"
"""The check that fails where a stage fell back because its answers were out of order."""

BREAKER_STATES = pl.Schema(
    {
        "breaker": pl.String,
        "state": pl.String,
        "failures": pl.Int64,
        "detail": pl.String,
        "reason": pl.String,
        "retailer": pl.String,
    }
)
"""Breakers that ever failed: `reason` is the code that rows carry which did without it, `retailer` is `ALL` for all."""

DEGRADED_ROWS = pl.Schema(
    {
        "log": pl.String,
        "retailer": pl.String,
        "reason": pl.String,
        "days": pl.Int64,
        "first_day": pl.Date,
        "last_day": pl.Date,
        "rows": pl.Int64,
        "waits_for": pl.String,
        "fallback_of": pl.String,
    }
)
"""Degraded live rows, grouped by log, retailer, reason and what they wait for.

`fallback_of` is the log whose stage fell back, where that is the reason.
"""


def cause(reason: str, retailer: str) -> str:
    """Fingerprint of what is missing, for one retailer or for all."""
    return f"missing:{reason}:{retailer}"


def missing_inputs(breakers: pl.DataFrame, degraded: pl.DataFrame, link: str | None) -> Look:
    """One condition per reason and retailer, however many logs and partitions it degrades.

    Args:
        breakers: as `BREAKER_STATES`.
        degraded: as `DEGRADED_ROWS`.
        link: where the graph can be looked at.
    """
    return Look(frozenset({RULE}), (*_open_breakers(breakers, link), *_degraded_rows(degraded, link)))


def _open_breakers(breakers: pl.DataFrame, link: str | None) -> Iterator[Condition]:
    for row in breakers.filter(pl.col("state") != "closed").sort("breaker").to_dicts():
        whose = () if row["retailer"] == ALL else (row["retailer"],)
        yield Condition(
            fingerprint=cause(row["reason"], row["retailer"]),
            rule=RULE,
            kind="operational",
            severity="error",
            title=f"{row['breaker']} keeps failing and is left alone",
            body=(
                f"It failed {row['failures']} times in a row, last with: {row['detail'] or 'no reason given'}. All "
                f"else goes on; rows that wanted it say `{row['reason']}` and hold no guess in its place. It is tried "
                "again by itself after a pause; look at its files or its code, then at `mrs health`."
            ),
            retailers=whose,
            members=(row["breaker"],),
            link=link,
        )


def _degraded_rows(degraded: pl.DataFrame, link: str | None) -> Iterator[Condition]:
    for (reason, retailer), rows in degraded.sort("reason", "retailer", "log").group_by(
        "reason", "retailer", maintain_order=True
    ):
        logs = tuple(sorted(set(rows["log"])))
        first_day, last_day = str(rows["first_day"].min()), str(rows["last_day"].max())
        fell_back = sorted(set(rows["fallback_of"].drop_nulls()))
        waits = listing(set(rows["waits_for"].drop_nulls())) or "its next try"
        yield Condition(
            fingerprint=cause(str(reason), str(retailer)),
            rule=RULE,
            kind="operational",
            severity="warn",
            title=f"Rows of {retailer} do without something they wanted: {reason}",
            body=(
                f"{rows['rows'].sum()} rows of {listing(logs)}, {first_day} to {last_day}, "
                f"say `{reason}`. They wait for: {waits}. Nothing was guessed in its place, and they are computed "
                "again by themselves once it is back; `mrs plan` shows what each waits for."
            ),
            retailers=(str(retailer),),
            members=logs,
            size=float(rows["days"].sum()),
            parents=(cause(str(reason), ALL), *(failed_check(log, ANSWERS, str(retailer)) for log in fell_back)),
            link=link,
        )
