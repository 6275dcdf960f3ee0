"""Whether alerts reach the channels in time, in both directions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from mrs_assets.contracts.settings import Settings
from mrs_assets.slo.facts import FRAMES, Facts
from mrs_assets.slo.telling import delivered_in_time
from tests.world import settings_for

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)


def share(settings: Settings, *minutes: tuple[float, float | None]) -> float | None:
    """Of deliveries (noted so many minutes ago, taken so many minutes later or not yet), those in time."""
    rows = [
        (
            f"AL-{n}",
            1,
            "ops",
            noted := NOW - timedelta(minutes=ago),
            noted + timedelta(minutes=after) if after else None,
        )
        for n, (ago, after) in enumerate(minutes)
    ]
    frame = pl.DataFrame(rows, schema=FRAMES["deliveries"], orient="row")
    (measured,) = delivered_in_time(Facts(NOW, settings, {"deliveries": frame}))
    return measured.value


@pytest.mark.parametrize(
    ("deliveries", "expected"),
    [
        ((), 1.0),
        (((1, None),), 1.0),
        (((60, 1.0), (50, 4.9)), 1.0),
        (((60, 1.0), (50, 5.1)), 0.5),
        (((60, 1.0), (6, None)), 0.5),
        (((60, 1.0), (4, None)), 1.0),
        (((60 * 24 * 30, None), (60, 2.0)), 1.0),
    ],
)
def test_what_is_late_counts_taken_or_not(
    deliveries: tuple[tuple[float, float | None], ...], expected: float, tmp_path: Path
) -> None:
    assert share(settings_for(tmp_path), *deliveries) == expected
