"""Corrections that wait for a person."""

from __future__ import annotations

import polars as pl

from mrs_assets.alerting.condition import Condition, Look

RULE = "held_plans"

HELD = pl.Schema(
    {"plan_id": pl.String, "retailer": pl.String, "first_day": pl.Date, "last_day": pl.Date, "reports": pl.Int64}
)
"""The held plans that nothing has replaced."""


def fingerprint(retailer: str) -> str:
    """What a held plan of a retailer is known by."""
    return f"held:{retailer}"


def held_plans(held: pl.DataFrame, link: str | None) -> Look:
    """One condition per retailer with a plan that waits for approval.

    Args:
        held: as `HELD`.
        link: where the graph can be looked at.
    """
    found = []
    for row in held.sort("plan_id").to_dicts():
        reports = "an unknown number of" if row["reports"] is None else row["reports"]
        found.append(
            Condition(
                fingerprint=fingerprint(row["retailer"]),
                rule=RULE,
                kind="operational",
                severity="warn",
                title=f"A correction of {row['retailer']} waits for approval",
                body=(
                    f"Plan {row['plan_id']} puts {reports} live reports in question, {row['first_day']} to "
                    f"{row['last_day']}, more than goes on by itself. What is published stands until then. Look at it "
                    f"with `mrs plan`, let it go on with `mrs plan approve {row['plan_id']} --actor NAME`."
                ),
                retailers=(row["retailer"],),
                members=(row["plan_id"],),
                link=link,
            )
        )
    return Look(frozenset({RULE}), tuple(found))
