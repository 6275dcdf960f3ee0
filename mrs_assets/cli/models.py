"""`mrs models`: train, look at versions, and decide which one is in force."""

from __future__ import annotations

import getpass
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import dagster as dg
import polars as pl
import typer
from rich.console import Console
from rich.markup import escape

from mrs_assets import __version__
from mrs_assets.cli.output import Format, print_rows, say
from mrs_assets.cli.session import dagster_instance, open_settings
from mrs_assets.contracts.errors import MrsError, UnknownName, UserMistake
from mrs_assets.contracts.settings import Settings
from mrs_resources import model_registry as registry
from mrs_resources.kernel import Provenance
from mrs_resources.model_store import ArtefactMissing
from mrs_resources.warehouse import Warehouse

models_app = typer.Typer(help="Trained models: train, look at, put in force, go back.", no_args_is_help=True)

DECIDED_BY = Provenance("mrs models", __version__)

Name = Annotated[str, typer.Argument(help="The model, as `mrs models list` names it.")]
Version = Annotated[str, typer.Argument(help="The version, as `mrs models list` names it.")]
Actor = Annotated[str, typer.Option("--as", help="Who decides; your login name by default.")]
Form = Annotated[Format, typer.Option("--format", help="How to print the rows.")]


@models_app.command("list")
def list_models(form: Form = Format.table) -> None:
    """Show every trained version, its figures, who decided on it, and which is in force since when."""
    _, warehouse = open_settings()
    _print_versions(warehouse, form)


@models_app.command()
def train(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Models; every one by default.")
    ] = None,
    last_day: Annotated[str, typer.Option(help="Newest business day to learn from, ISO; everything by default.")] = "",
    approve_as: Annotated[str, typer.Option(help="Put the new versions in force in this name.")] = "",
) -> None:
    """Train models on what the logs hold; without an approval the versions in force stay.

    Each is trained after those that it builds on. Of every model, one that has too little to learn from is told and
    left out; of named ones it is a mistake.
    """
    settings, warehouse = open_settings()
    with dagster_instance(settings) as instance:
        left_out = train_models(settings, warehouse, instance, names or (), last_day, approve_as)
    _print_versions(warehouse, Format.table)
    if names and left_out:
        sys.exit(2)


@models_app.command()
def approve(name: Name, version: Version, actor: Actor = "") -> None:
    """Put a trained version in force. What is computed already stays as it is: see the how-to on training."""
    warehouse = _of_known(name)
    with warehouse.store.transaction() as tx:
        known = registry.versions_of(tx, name).filter(pl.col("model_version_id") == version)
        if known.height and (harm := _harm(warehouse, name, str(known["artefact_hash"][0]))):
            raise UserMistake(f"{name} {version} cannot be put in force: {harm}", remedy="Nothing changed.")
        registry.approve(tx, name, version, _who(actor), DECIDED_BY)
    _print_versions(warehouse, Format.table, name)


@models_app.command()
def rollback(name: Name, actor: Actor = "") -> None:
    """Put the version in force again that was so before the present one."""
    warehouse = _of_known(name)
    with warehouse.store.transaction() as tx:
        version = registry.rollback(tx, name, _who(actor), DECIDED_BY)
    say(f"{name} {version} is in force again.")
    _print_versions(warehouse, Format.table, name)


@models_app.command()
def withdraw(name: Name, actor: Actor = "") -> None:
    """Leave no version in force: what the model would have said comes from its fallback, and says so."""
    warehouse = _of_known(name)
    with warehouse.store.transaction() as tx:
        version = registry.withdraw(tx, name, _who(actor), DECIDED_BY)
    say(f"{name} {version} is withdrawn; the fallback speaks from the next tick on.")
    _print_versions(warehouse, Format.table, name)


@models_app.command("show")
def show_model(name: Name, version: Version, form: Form = Format.table) -> None:
    """Show one version: its figures, what it learnt from, and whether its artefact is there and can be loaded."""
    warehouse = _of_known(name)
    with warehouse.store.looking() as tx:
        known = registry.versions_of(tx, name).filter(pl.col("model_version_id") == version)
    if known.is_empty():
        raise UnknownName(f"There is no {name} version {version!r}.", remedy="`mrs models list` has them.")
    row = known.row(0, named=True)
    facts = {
        "model": name,
        "version": version,
        "state": _states(known)["state"][0],
        "learnt from": f"{row['trained_on_from']} to {row['trained_on_to']}",
        "learnt with": ", ".join(f"{one} {its}" for one, its in json.loads(row["built_on"] or "{}").items()) or None,
        "trained at": row["registered_at"],
        "approved": f"{row['approved_by']}, {row['approved_at']:%Y-%m-%d %H:%M:%S}" if row["approved_by"] else None,
        "withdrawn": f"{row['withdrawn_by']}, {row['withdrawn_at']:%Y-%m-%d %H:%M:%S}" if row["withdrawn_by"] else None,
        "artefact": row["artefact_hash"],
        "artefact state": _harm(warehouse, name, row["artefact_hash"]) or "there, and it loads",
        **{figure: round(value, 4) for figure, value in json.loads(row["metrics"] or "{}").items()},
    }
    told = [{"fact": fact, "value": None if value is None else str(value)} for fact, value in facts.items()]
    print_rows(pl.DataFrame(told), form)


@models_app.command()
def drift(
    check: Annotated[bool, typer.Option("--check", help="Exit code 1 where something moved too far.")] = False,
    form: Form = Format.table,
) -> None:
    """Hold the newest days against what the versions in force learnt: inputs, bias, calibration, what is unknown."""
    from mrs_assets.drift.monitor import readings  # noqa: PLC0415 - loads the model libraries
    from mrs_assets.graph import STAGES, TRAINABLES  # noqa: PLC0415

    settings, warehouse = open_settings()
    with warehouse.store.looking() as tx:
        found = [(model.name, reading) for model in TRAINABLES for reading in readings(tx, settings, model, STAGES)]
    schema = {"model": pl.String, "check": pl.String, "retailer": pl.String, "what": pl.String, "value": pl.Float64}
    rows = [{"model": model, **asdict(reading), "moved": reading.exceeds} for model, reading in found]
    print_rows(pl.DataFrame(rows, {**schema, "limit": pl.Float64, "rows": pl.Int64, "moved": pl.Boolean}), form)
    if check and any(reading.exceeds for _, reading in found):
        sys.exit(1)


def train_models(
    settings: Settings,
    warehouse: Warehouse,
    instance: dg.DagsterInstance,
    names: Sequence[str],
    last_day: str,
    approved_by: str,
) -> list[str]:
    """Materialise models one after the other, told on stderr; returns those that had too little to learn from."""
    from mrs_assets.definitions import build_definitions  # noqa: PLC0415 - loads the model libraries
    from mrs_assets.graph import TRAINABLES  # noqa: PLC0415
    from mrs_assets.in_process import QUIET  # noqa: PLC0415

    for name in names:
        _refuse_unknown(name)
    job = build_definitions(settings, warehouse).resolve_implicit_global_asset_job_def()
    config = {"last_day": last_day, "approved_by": approved_by}
    left_out: list[str] = []
    began = time.monotonic()
    with Console(stderr=True).status("") as status:
        for model in TRAINABLES:
            if names and model.name not in names:
                continue
            status.update(f"training {model.name}")
            try:
                run = job.execute_in_process(
                    instance=instance,
                    asset_selection=[dg.AssetKey(model.name)],
                    run_config={**QUIET, "ops": {model.name: {"config": config}}},
                )
            except UserMistake as mistake:
                left_out.append(model.name)
                say(f"[yellow]{model.name} was not trained: {escape(str(mistake))}[/yellow]")
                continue
            told = run.asset_materializations_for_node(model.name)[0].metadata
            version, drawn = (told[key].value for key in ("version", "learnt_from"))
            say(f"[dim]{time.monotonic() - began:6.1f} s[/dim]  {model.name} {version}, learnt from {drawn}")
    return left_out


def _print_versions(warehouse: Warehouse, form: Format, name: str | None = None) -> None:
    with warehouse.store.looking() as tx:
        rows = _states(registry.versions_of(tx, name))
    columns = ["model", "version", "state", "since", "by", "learnt_from", "learnt_to", "metrics"]
    told = rows.select(columns)
    if form is Format.table:
        told = told.with_columns(pl.col("metrics").map_elements(_in_words, return_dtype=pl.String))
    print_rows(told, form)


def _states(rows: pl.DataFrame) -> pl.DataFrame:
    """Versions with their state, since when they are in it, and who put them there."""
    decided = pl.col("approved_at").is_not_null()
    state = (
        pl.when("is_active")
        .then(pl.lit("in force"))
        .when(pl.col("withdrawn_at").is_not_null())
        .then(pl.lit("withdrawn"))
        .when(decided)
        .then(pl.lit("was in force"))
        .otherwise(pl.lit("trained"))
    )
    return rows.with_columns(
        pl.col("model_name").alias("model"),
        pl.col("model_version_id").alias("version"),
        state.alias("state"),
        pl.when("is_active").then("approved_at").otherwise(pl.coalesce("withdrawn_at", "written_at")).alias("since"),
        pl.coalesce("withdrawn_by", "approved_by").alias("by"),
        pl.col("trained_on_from").alias("learnt_from"),
        pl.col("trained_on_to").alias("learnt_to"),
    )


def _in_words(metrics: str) -> str:
    return ", ".join(f"{name} {value:,.4g}" for name, value in json.loads(metrics).items())


def _harm(warehouse: Warehouse, name: str, artefact_hash: str) -> str | None:
    """Why an artefact cannot be used, in words; None where it can."""
    from mrs_assets.graph import loaders  # noqa: PLC0415 - loads the model libraries

    try:
        artefact = warehouse.models.read(artefact_hash)
        if name in (known := loaders()):
            known[name](artefact)
    except ArtefactMissing as missing:
        return str(missing)
    except MrsError as foreign:
        return f"this version of the code does not load it. {foreign}"
    return None


def _of_known(name: str) -> Warehouse:
    _refuse_unknown(name)
    return open_settings()[1]


def _refuse_unknown(name: str) -> None:
    from mrs_assets.graph import TRAINABLES  # noqa: PLC0415 - loads the model libraries

    known = [model.name for model in TRAINABLES]
    if name not in known:
        raise UnknownName(f"There is no model {name!r}.", remedy=f"Models: {', '.join(known)}.")


def _who(actor: str) -> str:
    return actor or getpass.getuser()
