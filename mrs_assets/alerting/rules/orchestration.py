"""What only the orchestrator knows: red runs, failed checks, and sensors that fail or fall silent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import polars as pl

from mrs_assets.alerting.condition import ALL, Condition, Look
from mrs_assets.contracts.alerting import Alerting
from mrs_assets.contracts.columns import INSTANT

RED_RUNS, FAILED_CHECKS, SENSORS = "red_runs", "failed_checks", "sensors"
DETAIL_SHOWN = 300

RUNS = pl.Schema({"work": pl.String, "retailer": pl.String, "run_id": pl.String, "failed": pl.Boolean})
"""The newest finished run of each kind of work, per retailer (`ALL`: of none in particular)."""

CHECKS = pl.Schema(
    {
        "asset": pl.String,
        "check": pl.String,
        "retailer": pl.String,
        "passed": pl.Boolean,
        "severity": pl.String,
        "detail": pl.String,
        "run_id": pl.String,
    }
)
"""The newest result of each check, per retailer (`ALL`: of none in particular).

`severity` is `WARN` or `ERROR`, `detail` its metadata in words.
"""

TICKS = pl.Schema(
    {
        "sensor": pl.String(),
        "ticked_at": INSTANT,
        "failing_since": INSTANT,
        "failures": pl.Int64(),
        "error": pl.String(),
    }
)
"""Each running sensor: its newest tick, and since when and how often in a row it failed (NULL and 0: it did not)."""


def red_run(work: str, retailer: str) -> str:
    """What a red run is known by."""
    return f"run:{work}:{retailer}"


def failed_check(asset: str, check: str, retailer: str) -> str:
    """What a failed check is known by."""
    return f"check:{asset}:{check}:{retailer}"


def orchestration(
    runs: pl.DataFrame, checks: pl.DataFrame, ticks: pl.DataFrame, now: datetime, policy: Alerting
) -> Look:
    """What the orchestrator's newest records say.

    Args:
        runs: as `RUNS`.
        checks: as `CHECKS`.
        ticks: as `TICKS`.
        now: the instant of the look; UTC.
        policy: how long a sensor may fail or be silent, and the address of the UI.
    """
    found = (*_red_runs(runs, policy), *_failed_checks(checks, policy), *_sensors(ticks, now, policy))
    return Look(frozenset({RED_RUNS, FAILED_CHECKS, SENSORS}), found)


def _red_runs(runs: pl.DataFrame, policy: Alerting) -> Iterator[Condition]:
    for row in runs.filter("failed").sort("work", "retailer").to_dicts():
        whose = () if row["retailer"] == ALL else (row["retailer"],)
        yield Condition(
            fingerprint=red_run(row["work"], row["retailer"]),
            rule=RED_RUNS,
            kind="operational",
            severity="error",
            title=f"The newest run of {row['work']} is red{f' for {whose[0]}' if whose else ''}",
            body=(
                f"Run {row['run_id']} failed. Nothing half-done was written, what was published before stands. What "
                "it was to answer is tried again a few times by itself. Look at the run; if it goes on failing, mend "
                "the cause and materialise the partitions by hand, or run `mrs tick`."
            ),
            retailers=whose,
            members=(row["run_id"],),
            link=_link(policy, f"runs/{row['run_id']}"),
        )


def _failed_checks(checks: pl.DataFrame, policy: Alerting) -> Iterator[Condition]:
    for row in checks.filter(~pl.col("passed")).sort("asset", "check", "retailer").to_dicts():
        whose = () if row["retailer"] == ALL else (row["retailer"],)
        yield Condition(
            fingerprint=failed_check(row["asset"], row["check"], row["retailer"]),
            rule=FAILED_CHECKS,
            kind="operational",
            severity="error" if row["severity"] == "ERROR" else "warn",
            title=f"{row['check']} does not hold for {row['asset']}{f' of {whose[0]}' if whose else ''}",
            body=(
                f"It said: {row['detail'][:DETAIL_SHOWN] or 'nothing more'}. Rows that broke a rule were set aside, "
                f"none was guessed. Look at the check of run {row['run_id']}."
            ),
            retailers=whose,
            members=(row["asset"],),
            link=_link(policy, f"assets/{row['asset']}?view=checks"),
        )


def _sensors(ticks: pl.DataFrame, now: datetime, policy: Alerting) -> Iterator[Condition]:
    limit = timedelta(minutes=policy.sensor_minutes)
    for row in ticks.sort("sensor").to_dicts():
        failing = row["failing_since"] is not None and now - row["failing_since"] >= limit / 2
        silent = now - row["ticked_at"] >= limit
        if not failing and not silent:
            continue
        said = f"{row['failures']} looks in a row failed, the last with: {row['error'] or 'no reason given'}"
        yield Condition(
            fingerprint=f"sensor:{row['sensor']}",
            rule=SENSORS,
            kind="operational",
            severity="page",
            title=f"The sensor {row['sensor']} {'fails' if failing else 'is silent'}",
            body=(
                f"{said if failing else 'It has not looked for longer than it may'}. What it starts does not happen; "
                "nothing is lost, it takes up what waits once it looks again. Until then `mrs tick` does its work."
            ),
            members=(row["sensor"],),
            link=_link(policy, "overview/sensors"),
        )


def _link(policy: Alerting, path: str) -> str | None:
    return f"{policy.ui_url.rstrip('/')}/{path}" if policy.ui_url else None
