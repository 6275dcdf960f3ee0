"""The boundary: turns a declared stage into a Dagster asset with lineage, checks, metadata and a picture.

One run materialises a rectangle of days × one retailer. What the stage computes is in `boundary`; here it is told to
Dagster: which partitions changed, what was missing (a failing WARN check, the run stays green), what broke the
contract (a failing ERROR check).
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import dagster as dg

from mrs_assets import __version__
from mrs_assets.boundary.outcome import StageRun
from mrs_assets.boundary.spreading import crew_of
from mrs_assets.boundary.stage_run import StageRunner
from mrs_assets.contracts.columns import SQL_TYPES
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Stage
from mrs_assets.contracts.views import View
from mrs_assets.partitions import partition_key, scopes_of
from mrs_assets.planning.felt import Replay
from mrs_assets.planning.ledger import replay_of
from mrs_assets.planning.run_tags import PLAN_TAG
from mrs_resources.kernel import Appended, Provenance
from mrs_resources.warehouse import Warehouse

OWNERS = ["team:data-engineering"]
STORES_TAG = "mrs/stores"
"""Run tag: JSON list of the stores to recompute; all of them when absent."""


def column_schema(dataset: Contract | View) -> dg.TableSchema:
    """A log or a view as the asset page shows it."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name=name, type=SQL_TYPES[dtype], description=dataset.describe(name))
            for name, dtype in dataset.schema.items()
        ]
    )


def log_spec(
    contract: Contract,
    partitions: dg.PartitionsDefinition | None,
    *,
    description: str = "",
    deps: Iterable[dg.AssetDep] = (),
    code_version: str | None = None,
) -> dg.AssetSpec:
    """A log as asset: its contract in words and columns."""
    code = f" ({contract.code})" if contract.code else ""
    return dg.AssetSpec(
        contract.name,
        deps=list(deps),
        description=f"{contract.title}{code}\n\nKey: {', '.join(contract.key)}.\n\n{description}".strip(),
        group_name=contract.stage,
        owners=OWNERS,
        kinds={"duckdb", "polars"},
        code_version=code_version,
        partitions_def=partitions,
        metadata={"dagster/column_schema": column_schema(contract), "dagster/table_name": f"mrs.main.{contract.name}"},
        tags={"mrs/room": contract.stage},
    )


def stage_asset(stage: Stage, settings: Settings, partitions: dg.MultiPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset (one per log written) that runs a stage."""
    specs = [
        log_spec(
            contract,
            partitions,
            description=stage.description,
            deps=_dependencies(stage),
            code_version=f"{__version__}+{stage.code_version}",
        )
        for contract in stage.writes
    ]
    checks = [check for contract in stage.writes for check in _check_specs(stage, contract)]

    @dg.multi_asset(
        name=stage.name,
        specs=specs,
        check_specs=checks,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool="detection" if stage.critical else "refresh",
    )
    def run_stage(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> Iterator[Any]:
        provenance = Provenance(stage.name, f"{__version__}+{stage.code_version}", context.run_id)
        keys = list(context.partition_keys)
        crew, dry_run = crew_of(warehouse, settings), not warehouse.keeps
        runner = StageRunner(warehouse.store, warehouse.models, settings, dry_run=dry_run, crew=crew)
        stores, replay = stores_asked(context), replay_asked(context, warehouse, settings)
        runs = [runner.run(stage, replace(scope, stores=stores), provenance, replay) for scope in scopes_of(keys)]
        for contract in stage.writes:
            results = [result for run in runs for result in run.appended[contract.name]]
            tell_partitions(context, contract, results if warehouse.keeps else (), keys)
            if pictures := [run.picture for run in runs if run.picture]:
                picture = {"picture": picture_metadata(pictures[0])}
                context.add_asset_metadata(picture, asset_key=contract.name, partition_key=keys[-1])
            yield dg.MaterializeResult(asset_key=contract.name, metadata=summary(results) | _run_metadata(runs))
            yield from _check_results(stage, contract, results, runs)

    return run_stage


def stores_asked(context: dg.AssetExecutionContext) -> tuple[str, ...] | None:
    """Stores that the run is limited to."""
    tag = context.run.tags.get(STORES_TAG)
    return tuple(json.loads(tag)) if tag else None


def replay_asked(context: dg.AssetExecutionContext, warehouse: Warehouse, settings: Settings) -> Replay | None:
    """The replay that the run is a step of."""
    plan_id = context.run.tags.get(PLAN_TAG)
    if plan_id is None:
        return None
    with warehouse.store.looking() as tx:
        return replay_of(tx, plan_id, settings)


def tell_partitions(
    context: dg.AssetExecutionContext, contract: Contract, results: Iterable[Appended], keys: Iterable[str]
) -> None:
    """Give every partition of the run its counts, and record those that changed outside of it."""
    counts: dict[str, dict[str, int]] = {}
    for result in results:
        for part in result.partitions:
            found = counts.setdefault(partition_key(part.day, part.retailer), dict.fromkeys(COUNTS, 0))
            for name in COUNTS:
                found[name] += getattr(part, name)
    asked = set(keys)
    for key, found in sorted(counts.items()):
        if key in asked:
            context.add_asset_metadata(found, asset_key=contract.name, partition_key=key)
        elif found["appended"] or found["retracted"]:
            context.log_event(dg.AssetMaterialization(contract.name, partition=key, metadata=found))


COUNTS = ("appended", "unchanged", "retracted")


def summary(results: Iterable[Appended]) -> dict[str, Any]:
    """What a run did to one log, over all of its partitions."""
    results = list(results)
    names = ("offered", *COUNTS, "rejected")
    return {f"run_{name}": sum(getattr(result, name) for result in results) for name in names}


def picture_metadata(png: bytes) -> dg.MetadataValue:
    """A PNG that the asset page shows."""
    return dg.MetadataValue.md(f"![picture](data:image/png;base64,{base64.b64encode(png).decode('ascii')})")


def ran_on_all_inputs_spec(contract: Contract) -> dg.AssetCheckSpec:
    """The check that fails, without stopping anything, where a log had to do without something."""
    words = "Every configured input was there and the stage ran."
    return dg.AssetCheckSpec("ran_on_all_inputs", asset=contract.name, description=words)


def ran_on_all_inputs(contract: Contract, missing: Mapping[str, str], failures: Sequence[str]) -> dg.AssetCheckResult:
    """Its result.

    Args:
        contract: the log.
        missing: input that was not there → the reason on the rows.
        failures: what went wrong, in words.
    """
    return dg.AssetCheckResult(
        check_name="ran_on_all_inputs",
        asset_key=contract.name,
        passed=not missing and not failures,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"missing_inputs": sorted(missing), "reasons": sorted(missing.values()), "failures": list(failures)},
    )


def _run_metadata(runs: list[StageRun]) -> dict[str, Any]:
    return {
        "degraded_reasons": sorted({reason for run in runs for reason in run.missing.values()}),
        "computed_parts": [str(part) for run in runs for part in run.parts],
        "unexpected_index": sum(run.unexpected for run in runs),
        "stage_seconds": round(sum(run.seconds for run in runs), 3),
        **({"dry_run": "; ".join(told)} if (told := [run.dry_run for run in runs if run.dry_run]) else {}),
    }


def _check_specs(stage: Stage, contract: Contract) -> list[dg.AssetCheckSpec]:
    told = {"keeps_its_contract": "No row of ours was refused by the log's contract."}
    if stage.answers is not None and contract is stage.writes[0]:
        told["answers_what_was_asked"] = "Every row that came back belongs to a row that was asked about."
    others = [dg.AssetCheckSpec(name, asset=contract.name, description=words) for name, words in told.items()]
    return [ran_on_all_inputs_spec(contract), *others]


def _check_results(
    stage: Stage, contract: Contract, results: list[Appended], runs: list[StageRun]
) -> Iterator[dg.AssetCheckResult]:
    missing = {name: reason for run in runs for name, reason in run.missing.items()}
    failures = [failure for run in runs for failure in run.failures]
    yield ran_on_all_inputs(contract, missing, failures)
    rejected = sum(result.rejected for result in results)
    yield dg.AssetCheckResult(
        check_name="keeps_its_contract",
        asset_key=contract.name,
        passed=rejected == 0,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={"rows_refused": rejected, "dead_letters": f"{contract.name}_errors"},
    )
    if stage.answers is not None and contract is stage.writes[0]:
        unexpected, unanswered = (sum(getattr(run, name) for run in runs) for name in ("unexpected", "unanswered"))
        first = next((run.first_unexpected for run in runs if run.first_unexpected), "none")
        yield dg.AssetCheckResult(
            check_name="answers_what_was_asked",
            asset_key=contract.name,
            passed=not unexpected and not unanswered,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"unexpected_index": unexpected, "unanswered": unanswered, "first_unexpected": first},
        )


def _dependencies(stage: Stage) -> list[dg.AssetDep]:
    """Lineage of a stage: needs and wants alike. A log's own past is not an edge.

    A partition is shown to depend on the same partition upstream, so that a backfill of a rectangle is that rectangle;
    how far a stage really looks back is in its declaration.
    """
    read = {need.contract.name for need in stage.needs.values()}
    read |= {want.log.contract.name if want.log is not None else str(want.model) for want in stage.wants.values()}
    return [dg.AssetDep(name) for name in sorted(read - {contract.name for contract in stage.writes})]
