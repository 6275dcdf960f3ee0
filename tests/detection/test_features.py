"""What a trained baseline looks at does not depend on the range that is computed, nor on what sold in the tick."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl

from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.settings import Retailer
from mrs_assets.detection.axis import Floats
from mrs_assets.detection.baseline_stage import PROMOTION_DAYS
from mrs_assets.detection.features import FEATURES
from mrs_assets.detection.panel import read_panel
from tests.detection.pipeline import FIRST, axis_of, scope_of, series_rows

RETAILER = Retailer(timezone="Europe/London", country="GB")
COUNT = 30


def _promotions() -> pl.DataFrame:
    """One long promotion per series, beginning ever later; some began before any look-back of a stage."""
    days = [FIRST + timedelta(days=begin) for begin in range(-180, -180 + 4 * COUNT, 4)]
    return PROMOTIONS.conform(
        pl.DataFrame(
            {
                "retailer": "acme",
                "business_day": days,
                "promotion_id": [str(number) for number in range(COUNT)],
                "store_id": [f"store-{number // 3}" for number in range(COUNT)],
                "sku": [f"sku-{number % 3}" for number in range(COUNT)],
                "start_day": days,
                "end_day": [day + timedelta(days=900) for day in days],
            }
        )
    )


def _features(units: Floats, first: int, last: int) -> Floats:
    """Days × series × features, read as the stage reads."""
    axis = axis_of(RETAILER, units.shape[0])
    scope = scope_of(axis, first, last)
    series = series_rows(axis, units).filter(pl.col("business_day") <= scope.last_day)
    oldest = scope.widened(before=PROMOTION_DAYS).first_day
    panel = read_panel(
        series,
        retailer=RETAILER,
        scope=scope,
        keys=series.select("store_id", "sku"),
        promotions=_promotions().filter(pl.col("business_day").is_between(oldest, scope.last_day)),
        for_model=True,
    )
    columns, expectation = next(panel.expectations())
    return panel.features(columns, expectation).reshape(last - first + 1, COUNT, len(FEATURES))


def test_a_day_alone_has_the_features_that_it_has_in_a_range() -> None:
    units = np.random.default_rng(0).poisson(5.0, (235, COUNT)).astype(float)
    whole = _features(units, 200, 234)
    for day in range(200, 235, 6):
        np.testing.assert_array_equal(_features(units, day, day)[0], whole[day - 200])


def test_a_day_without_sales_has_the_features_of_a_day_with_some() -> None:
    units = np.random.default_rng(0).poisson(5.0, (220, COUNT)).astype(float)
    none = units.copy()
    none[219] = 0
    np.testing.assert_array_equal(_features(units, 219, 219), _features(none, 219, 219))


def test_promotions_and_prices_are_told() -> None:
    units = np.random.default_rng(0).poisson(5.0, (235, COUNT)).astype(float)
    last = _features(units, 234, 234)[0]
    promoted = last[:, FEATURES.index("promoted")]
    assert set(promoted) == {0.0, 1.0}
    assert (last[:, FEATURES.index("price_ratio")] == 1.0).all()
