"""Drift as asset checks of the models: they warn, and stop nothing."""

from collections.abc import Iterator, Sequence

import dagster as dg

from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Stage
from mrs_assets.contracts.trainable import Trainable
from mrs_assets.drift.monitor import CHECKS, Reading, checks_of, readings
from mrs_resources.warehouse import Warehouse


def drift_checks(model: Trainable, stages: Sequence[Stage], settings: Settings) -> dg.AssetChecksDefinition:
    """The checks of one model, on the newest days of every retailer."""
    names = checks_of(model, stages)

    @dg.multi_asset_check(
        name=f"{model.name}_drift",
        specs=[dg.AssetCheckSpec(name, asset=model.name, description=CHECKS[name]) for name in names],
    )
    def look(warehouse: dg.ResourceParam[Warehouse]) -> Iterator[dg.AssetCheckResult]:
        with warehouse.store.looking() as tx:
            found = readings(tx, settings, model, stages)
        for name in names:
            yield _result(name, model.name, [reading for reading in found if reading.check == name])

    return look


def _result(check: str, model: str, found: list[Reading]) -> dg.AssetCheckResult:
    columns = ("retailer", "what", "value", "limit", "rows")
    rows = [dg.TableRecord({name: getattr(reading, name) for name in columns}) for reading in found]
    judged = sum(reading.value is not None for reading in found)
    return dg.AssetCheckResult(
        check_name=check,
        asset_key=model,
        passed=not any(reading.exceeds for reading in found),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"judged": judged, **({"readings": dg.MetadataValue.table(rows)} if rows else {})},
    )
