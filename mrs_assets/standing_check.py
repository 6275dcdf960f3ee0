"""The check that quiet does not mean forgotten: what is degraded, what it waits for, and what waits for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from mrs_assets.contracts.settings import Settings
from mrs_assets.graph import PUBLISHED
from mrs_assets.planning.standing import Standing

UNSEEN = dg.AssetCheckSpec(
    "no_partition_left_degraded_unseen",
    asset=PUBLISHED,
    description="No partition is still degraded long after its cause is gone: quiet does not mean forgotten.",
)
SHOWN = 50
"""Items of the standing list that the check shows."""


def nothing_unseen(standing: Sequence[Standing], now: datetime, settings: Settings) -> dg.AssetCheckResult:
    """Fails where something could have been computed again for a while and was not.

    Args:
        standing: the standing list.
        now: the instant that it was made at; UTC.
        settings: `recovery.overdue_minutes` is the limit.
    """
    limit = timedelta(minutes=settings.recovery.overdue_minutes)
    overdue = [item for item in standing if item.waits_for is None and now - item.free_from > limit]
    rows = [
        dg.TableRecord(
            {
                "log": item.log,
                "retailer": item.retailer,
                "reason": item.reason,
                "days": len(item.days),
                "from": str(item.days[0]),
                "to": str(item.days[-1]),
                "rows": item.rows,
                "waits for": item.waits_for or "nothing",
            }
        )
        for item in sorted(standing, key=lambda item: (item not in overdue, -item.rows, item.log, item.reason))
    ]
    metadata: dict[str, Any] = {"overdue": len(overdue), "limit_minutes": settings.recovery.overdue_minutes}
    if rows:
        metadata["standing_list"] = dg.MetadataValue.table(rows[:SHOWN])
    return dg.AssetCheckResult(
        check_name=UNSEEN.name,
        asset_key=PUBLISHED,
        passed=not overdue,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=metadata,
    )
