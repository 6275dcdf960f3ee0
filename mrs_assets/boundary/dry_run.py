"""A dry run: every stage computes from few rows, and nothing that is written lasts.

It is a property of a run, not of a system: a run tag cannot be left on by mistake, and sensors never set it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from mrs_assets.contracts.columns import RETAILER_SERIES
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.stage import Inputs, Stage
from mrs_resources.warehouse import Warehouse

DRY_RUN_TAG = "mrs/dry_run"
"""Run tag; any value but `false` makes a dry run."""

DRY_RUN_ROWS = 1000
"""Rows of its largest need that a stage computes from."""


def for_run(warehouse: Warehouse, tags: Mapping[str, str]) -> Warehouse:
    """The warehouse as a run with these tags may use it."""
    dry = tags.get(DRY_RUN_TAG, "false").lower() != "false"
    return replace(warehouse, keeps=False) if dry else warehouse


def few_series(stage: Stage, inputs: Inputs, rows: int = DRY_RUN_ROWS) -> Inputs:
    """The inputs of whole series in order of their key, as many as leave no need more than so many rows.

    Part of a series would look like one that broke off. Only where the first is longer than that, its newest rows are
    taken. Where a stage answers for reports, series without one are passed over. Inputs that do not speak of single
    series stay whole.
    """
    needs = needs_by_series(stage)
    counts = pl.concat([inputs[name].group_by(RETAILER_SERIES).len() for name in needs])
    sizes = counts.group_by(RETAILER_SERIES).agg(pl.col("len").max()).sort(RETAILER_SERIES)
    if stage.answers is not None:
        within = pl.col("business_day").is_between(inputs.scope.first_day, inputs.scope.last_day)
        sizes = sizes.join(inputs[stage.answers].filter(within), on=RETAILER_SERIES, how="semi", maintain_order="left")
    whole = sizes.filter(pl.col("len").cum_sum() <= rows)
    chosen = whole if whole.height else sizes.head(1)
    wants = [name for name, want in stage.wants.items() if want.log is not None and _by_series(want.log.contract)]
    frames = {
        name: inputs[name].join(chosen, on=RETAILER_SERIES, how="semi", maintain_order="left")
        for name in (*needs, *wants)
    }
    cut = {name: frames[name].sort(stage.needs[name].contract.key).tail(rows) for name in needs}
    return replace(inputs, frames={**inputs.frames, **frames, **cut})


def needs_by_series(stage: Stage) -> list[str]:
    """Needs of a stage whose rows are each about one series."""
    return [name for name, need in stage.needs.items() if _by_series(need.contract)]


def _by_series(contract: Contract) -> bool:
    return {*RETAILER_SERIES} <= {*contract.body} and not any(contract.nullable(name) for name in RETAILER_SERIES)
