"""A model that looks at a whole retailer changes between days: the clean build follows it."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import polars as pl

from mrs_assets.attribution.fitted import FittedChoice, dump
from mrs_assets.attribution.stage import MODEL
from mrs_assets.attribution.terms import candidate_terms, unknown_terms
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_resources import model_registry as registry
from mrs_resources.kernel import Provenance
from tests.verification.test_verify import differing, verified
from tests.with_history import later
from tests.world import FIRST_DAY, DirectWorld, World, daily_sales, settings_for

LEARNT = Provenance("a test", "0")


def two_bursts(store: str, sku: str, day: date, units: float) -> float:
    """Far more of two products of two stores for some days."""
    begins = {("s2", "eggs"): 117, ("s3", "milk"): 118}.get((store, sku))
    inside = begins is not None and begins <= (day - FIRST_DAY).days < begins + 4
    return units * 4 if inside else units


def approve(world: World, temperature: float) -> None:
    """Put a choice in force that is as sure as its temperature lets it be."""
    zeros = dict.fromkeys(candidate_terms(), 0.0), {**dict.fromkeys(unknown_terms(), 0.0)}
    zeros[1][next(iter(zeros[1]))] = 1.5
    digest = world.warehouse.models.save(dump(FittedChoice(*zeros, temperature)))
    row = {"retailer": "*", "business_day": FIRST_DAY, "trained_on_from": FIRST_DAY, "trained_on_to": FIRST_DAY}
    row |= {"model_name": MODEL, "model_version_id": digest[:12], "artefact_hash": digest}
    with world.warehouse.store.transaction() as tx:
        registry.register(tx, row, LEARNT)
        registry.approve(tx, MODEL, digest[:12], "ada", LEARNT)


def test_days_that_were_computed_with_different_models_are_built_again_with_theirs(tmp_path: Path) -> None:
    world = DirectWorld(tmp_path, settings_for(tmp_path))
    sales = daily_sales(122, stores=("s1", "s2", "s3", "s4"), change=two_bursts)
    approve(world, 1.0)
    world.send(sales)
    world.tick()
    later(world)
    approve(world, 3.0)
    day = FIRST_DAY + timedelta(days=119)
    fixed = {"store_id": ["s2"], "sku": ["eggs"], "ts": [day], "units": [140]}
    world.send(pl.DataFrame(fixed), "fixed.csv")
    world.tick()
    rows = world.live(ATTRIBUTED)
    assert rows["model_version"].drop_nulls().n_unique() == 2, "days from the correction on are of the new model"
    assert rows.filter(pl.col("business_day") < day)["model_version"].n_unique() == 1
    result = verified(world)
    assert differing(result) == {}
    assert result.passed
