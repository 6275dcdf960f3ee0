"""Promotions that detection is told, where it is told any."""

from __future__ import annotations

import polars as pl

from evaluation.detection import series_to_test
from evaluation.journey import series_rows
from evaluation.promoted import with_promotions
from evaluation.trials import SETTINGS
from mrs_assets.detection.training import train_baseline


def test_a_baseline_is_told_of_promotions_and_of_none_otherwise() -> None:
    series = series_to_test(quick=True)
    told = with_promotions(series)
    assert told.promotions.join(series.keys, on=["store_id", "sku"], how="anti").is_empty()
    looks_at = [
        {"promoted", "promoted_before"} & {*train_baseline(series_rows(known), known.promotions, SETTINGS)[0].features}
        for known in (series, told, told.only(pl.Series([True] * series.keys.height).to_numpy()))
    ]
    assert looks_at == [set(), {"promoted", "promoted_before"}, {"promoted", "promoted_before"}]
