"""Service levels as assets: the ledger, and one check per objective on the log of results.

A check can be evaluated in runs that materialise the asset that it is declared on, and in no others. Objectives of
eleven logs are judged by the clock as well, when nothing of them is materialised: so all checks are on one asset, where
they are seen at a glance, and each links to the asset that it is about.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from mrs_assets import __version__
from mrs_assets.contracts.logs.slo import SLO, SLO_RESULTS
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.views import MINORITY_EVENTS, MINORITY_REPORTS
from mrs_assets.log_asset import log_spec, summary
from mrs_assets.planning.run_tags import PLAN_TAG
from mrs_assets.slo.judging import Judged
from mrs_assets.slo.measured import SHOWN
from mrs_assets.slo.objectives import OBJECTIVES, Objective
from mrs_assets.slo_watch.run import Looked, look
from mrs_resources.kernel import Appended, Provenance
from mrs_resources.warehouse import Warehouse

SEVERITIES = {"warn": dg.AssetCheckSeverity.WARN, "error": dg.AssetCheckSeverity.ERROR}


def service_levels_asset(settings: Settings) -> dg.AssetsDefinition:
    """`slo_log` and `slo_results_log`, with a check per objective."""
    after = [dg.AssetDep(MINORITY_REPORTS.name), dg.AssetDep(MINORITY_EVENTS.name)]
    ledger = log_spec(SLO, None, description="Counted in every run that ends a plan, and by the clock.", deps=after)
    results = log_spec(SLO_RESULTS, None, description="One check per objective.", deps=[dg.AssetDep(SLO.name)])

    @dg.multi_asset(
        name="levels",
        specs=[ledger, results],
        check_specs=[
            dg.AssetCheckSpec(objective.name, asset=SLO_RESULTS.name, description=objective.description)
            for objective in OBJECTIVES
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def look_at_levels(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> Iterator[Any]:
        provenance = Provenance("service_levels", __version__, context.run_id)
        with warehouse.store.transaction() as tx:
            looked = look(tx, settings, provenance, context.run.tags.get(PLAN_TAG))
        yield dg.MaterializeResult(asset_key=SLO.name, metadata=_summary(looked.ledger))
        yield dg.MaterializeResult(asset_key=SLO_RESULTS.name, metadata=_summary(looked.results))
        for objective in OBJECTIVES:
            yield _result(objective, looked, settings)

    return look_at_levels


def _summary(appended: Appended | None) -> dict[str, Any]:
    return summary([appended] if appended is not None else [])


def _result(objective: Objective, looked: Looked, settings: Settings) -> dg.AssetCheckResult:
    """The worst subject decides; one of which nothing is known fails nothing, and is told."""
    judged = [each for each in looked.judged if each.objective is objective]
    breached = [each for each in judged if each.state == "breached"]
    known = [each.measured.value for each in judged if each.measured.value is not None]
    worst = (min if objective.at_least else max)(known, default=None)
    metadata: dict[str, Any] = {
        "state": "breached" if breached else "met" if known else "unknown",
        "limit": objective.limit(settings.slo),
        "limit_is": "at least" if objective.at_least else "at most",
        "unit": objective.unit,
        "window": objective.window_in_words(settings.slo),
        "about": dg.MetadataValue.asset(dg.AssetKey(objective.asset)),
    }
    if worst is not None:
        metadata["value"] = worst
    if subjects := [_subject(each) for each in judged]:
        metadata["subjects"] = dg.MetadataValue.table([dg.TableRecord(row) for row in subjects])
    if rows := _worst(breached or judged):
        metadata["worst_partitions"] = dg.MetadataValue.table([dg.TableRecord(row) for row in rows])
    return dg.AssetCheckResult(
        check_name=objective.name,
        asset_key=SLO_RESULTS.name,
        passed=not breached,
        severity=SEVERITIES[objective.severity],
        description=_in_words(objective, breached, known),
        metadata=metadata,
    )


def _in_words(objective: Objective, breached: Sequence[Judged], known: Sequence[float]) -> str:
    if breached:
        told = ", ".join(
            f"{each.measured.subject} {each.measured.value:.4g} {objective.unit}" for each in breached[:SHOWN]
        )
        return f"Not true of {told}."
    return "True." if known else "Nothing to measure yet."


def _subject(each: Judged) -> dict[str, Any]:
    row: dict[str, Any] = {"subject": each.measured.subject, "state": each.state, "since": str(each.since)}
    row["value"] = each.measured.value
    if each.budget is not None:
        row |= {"budget left": each.budget.left, "burn": each.budget.burn}
        row |= {f"burn rate, {window}": rate for window, rate in each.budget.rates.items()}
    return row


def _worst(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """What is furthest off, the subjects' own worst first, under the columns of all of them."""
    return [dict(row) for each in judged for row in each.measured.worst][:SHOWN]
