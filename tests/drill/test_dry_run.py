"""A dry run computes every stage from whole series, few of them, and leaves nothing behind."""

from __future__ import annotations

from datetime import date, timedelta

import dagster as dg
import polars as pl

from mrs_assets.boundary.dry_run import DRY_RUN_TAG, few_series
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.stage import Inputs
from mrs_assets.graph import STAGES
from mrs_assets.in_process import QUIET
from mrs_assets.partitions import range_tags
from mrs_assets.series.stage import REMEMBERED_DAYS, SERIES_STAGE
from tests.examples import example_rows
from tests.with_history import DAYS, contents
from tests.world import FIRST_DAY, REPORTS_FROM, World, daily_sales

LAST_DAY = FIRST_DAY + timedelta(days=DAYS - 1)


def test_nothing_lasts_and_the_metadata_says_how_little_was_read(world: World) -> None:
    world.send(daily_sales(DAYS, stores=["s9"]), "more.csv")
    before, rows, published = contents(world), world.rows_ever(), world.warehouse.publisher.published()
    tags = range_tags(Scope(REPORTS_FROM, LAST_DAY, "acme")) | {DRY_RUN_TAG: "true"}
    with dg.DagsterInstance.ephemeral() as instance:
        job = world.definitions.resolve_job_def("backfill")
        run = job.execute_in_process(instance=instance, tags=tags, run_config=QUIET)
    told = {
        event.asset_key.to_user_string(): event.materialization.metadata
        for event in run.get_asset_materialization_events()
        if event.asset_key is not None
    }
    (inbox,) = (world.home / "inbox" / "sales" / "acme").iterdir()
    inbox.unlink()
    assert all(check.passed for check in run.get_asset_check_evaluations())
    for log in (log for stage in STAGES for log in stage.writes):
        assert "nothing was kept" in str(told[log.name]["dry_run"].value)
    looked_at = DAYS - (REPORTS_FROM - FIRST_DAY).days + REMEMBERED_DAYS
    read = f"{1000 // looked_at * looked_at:,} of {32 * looked_at:,} rows; nothing was kept"
    assert told[SALES_TIMESERIES.name]["dry_run"].value == read
    for log in (BASELINE, CLUSTERED):
        assert told[log.name]["run_offered"].value > 0, "the few rows were computed from"
    assert world.rows_ever() == rows
    assert all(rows.equals(before[name]) for name, rows in contents(world).items())
    assert world.warehouse.publisher.published() == published


def inputs(**ticks: int) -> Inputs:
    """Sales of products with so many ticks each, in an order of their own."""
    rows = pl.concat([example_rows(UNIFIED_SALES, n).with_columns(sku=pl.lit(sku)) for sku, n in ticks.items()])
    rows = rows.with_columns(store_id=pl.lit("s1")).sort("sku", "ts")
    stores = SERIES_STAGE.wants["stores"].log
    assert stores is not None
    frames = {"unified": rows, "stores": stores.contract.empty(stored=True)}
    scope = Scope(date(2024, 3, 1), date(2024, 3, 9), "acme")
    return Inputs(scope, None, frames)  # type: ignore[arg-type]


def test_series_are_taken_whole_in_order_of_their_key() -> None:
    few = few_series(SERIES_STAGE, inputs(b=4, a=5, c=3), rows=10)
    assert few["unified"].group_by("sku").len().sort("sku").rows() == [("a", 5), ("b", 4)]


def test_of_a_series_that_is_too_long_the_newest_rows_are_taken() -> None:
    whole = inputs(a=8, b=1)
    few = few_series(SERIES_STAGE, whole, rows=5)
    assert few["unified"].equals(whole["unified"].filter(pl.col("sku") == "a").tail(5))
