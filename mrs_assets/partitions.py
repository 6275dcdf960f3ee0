"""Partitions: business day × retailer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import dagster as dg

from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings

FIRST_ZONE_TO_SEE_A_DAY = "Pacific/Kiritimati"
"""A day exists as partition as soon as it begins anywhere: UTC+14."""


def build_partitions(settings: Settings) -> dg.MultiPartitionsDefinition:
    """Day × retailer, over the configured calendar and the configured retailers."""
    last_day = settings.calendar.last_day
    days = dg.DailyPartitionsDefinition(
        start_date=settings.calendar.first_day.isoformat(),
        end_date=(last_day + timedelta(days=1)).isoformat() if last_day else None,
        end_offset=0 if last_day else 1,
        timezone=FIRST_ZONE_TO_SEE_A_DAY,
    )
    retailers = dg.StaticPartitionsDefinition(sorted(settings.retailers))
    return dg.MultiPartitionsDefinition({"day": days, "retailer": retailers})


def partition_key(day: date, retailer: str) -> str:
    """Key of one partition."""
    return f"{day.isoformat()}|{retailer}"


def range_tags(scope: Scope) -> dict[str, str]:
    """Run tags that ask for every partition of a scope in one run."""
    assert scope.retailer is not None
    return {
        "dagster/asset_partition_range_start": partition_key(scope.first_day, scope.retailer),
        "dagster/asset_partition_range_end": partition_key(scope.last_day, scope.retailer),
    }


def scopes_of(keys: Iterable[str]) -> list[Scope]:
    """The rectangles, one per retailer, that cover a run's partition keys."""
    days: dict[str, list[date]] = {}
    for key in keys:
        day, retailer = key.split("|", 1)
        days.setdefault(retailer, []).append(date.fromisoformat(day))
    return [Scope(min(found), max(found), retailer) for retailer, found in sorted(days.items())]
