"""Commands that read the published snapshot: show, explain, errors, health. They never hold the live warehouse."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Annotated

import polars as pl
import typer
from rich.markup import escape

from mrs_assets.cli.output import Format, print_rows, print_table, say
from mrs_assets.contracts.errors import UnknownName, UserMistake
from mrs_assets.contracts.logs.catalogue import LOGS, find
from mrs_assets.contracts.settings import Settings, load_settings
from mrs_assets.contracts.views import find_view
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.reader import SnapshotReader

REPORT_COLUMNS = {
    "report_id": "report",
    "retailer": "retailer",
    "store_id": "store",
    "sku": "sku",
    "window_start": "from",
    "window_end": "to",
    "direction": "direction",
    "impact": "uplift (80 % interval)",
    "final_cause": "cause",
    "final_confidence": "confidence",
    "report_status": "status",
}
EVENT_COLUMNS = {
    "report_group_id": "event",
    "what": "what",
    "where": "where",
    "window_start": "from",
    "window_end": "to",
    "impact": "uplift (80 % interval)",
    "leading_cause": "cause",
    "leading_cause_confidence": "confidence",
    "event_status": "status",
    "degraded": "degraded?",
}
MAX_DEAD_LETTER_SHARE = 0.01

Name = Annotated[str, typer.Argument(help="`reports`, `events`, a log's name or code (MRDL …), or `<log>_errors`.")]
AsOf = Annotated[str | None, typer.Option(help="What was known at this instant: ISO 8601 with a time zone.")]
FormatOption = Annotated[Format, typer.Option("--format", help="How to print the rows.")]


def show(
    name: Name,
    as_of: AsOf = None,
    live: Annotated[bool, typer.Option("--live", help="Of a log, only what is true now.")] = False,
    where: Annotated[str | None, typer.Option(help="SQL condition over the columns.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many rows.", min=0)] = None,
    form: FormatOption = Format.table,
) -> None:
    """Show current state or a log; a log shows every appended row."""
    settings = load_settings()
    rows = _reader(settings).show(name, as_of=_instant(as_of), live=live, where=where, limit=limit)
    print_rows(_for_people(name, rows, settings) if form is Format.table else rows, form)


def explain(
    report_id: Annotated[str, typer.Argument(help="The report.")],
    form: FormatOption = Format.table,
) -> None:
    """Show one report's whole life: every log row, which source won each field, the numbers behind the cause."""
    settings = load_settings()
    explanation = _reader(settings).explain(report_id)
    if form is not Format.table:
        rows = [frame.select(pl.lit(log).alias("log"), pl.struct(pl.all()).alias("row")) for log, frame in explanation.logs.items()]
        entries = [{"log": r["log"], "row": r["row"]} for frame in rows for r in frame.to_dicts()]
        sys.stdout.write(json.dumps(entries, default=str) + "\n")
        return
    print_table(_for_people("reports", explanation.current, settings), title=f"{report_id} now")
    won = {"field group": list(explanation.sources), "supplied by": list(explanation.sources.values())}
    print_table(pl.DataFrame(won, schema_overrides={"supplied by": pl.String}), title="Which log won each field")
    for log, frame in explanation.logs.items():
        if frame.height:
            kept = [c for c in frame.columns if frame[c].null_count() < frame.height and c not in _ENVELOPE]
            print_table(frame.select(kept).drop("supporting_evidence", "context_snapshot", strict=False), title=log)
    if explanation.evidence is not None:
        say("[bold]The numbers behind the cause[/bold]")
        say(escape(json.dumps(explanation.evidence, indent=2, ensure_ascii=False)))


_ENVELOPE = ("run_id", "row_hash", "batch_id", "dagster_run_id", "code_version", "report_id", "feature_vector")


def errors(
    log: Annotated[str | None, typer.Argument(help="Only this log's dead letters.")] = None,
    rows: Annotated[bool, typer.Option("--rows", help="The rows themselves with their raw payload.")] = False,
    form: FormatOption = Format.table,
) -> None:
    """Show dead letters: rows that were refused, why, and what they said."""
    reader = _reader(load_settings())
    found = []
    for contract in [find(log)] if log else LOGS:
        try:
            letters = reader.show(f"{contract.name}_errors")
        except UnknownName:
            continue
        found.append(letters.select(pl.lit(contract.name).alias("log"), pl.all()))
    letters = pl.concat(found) if found else pl.DataFrame(schema={"log": pl.String})
    if not letters.height:
        say("No dead letters.")
        if form is not Format.table:
            print_rows(letters, form)
        return
    if not rows:
        letters = (
            letters.group_by("log", "source", "error_code")
            .agg(pl.len().alias("rows"), pl.col("error").sort().first().alias("for example"))
            .sort("rows", "log", "source", "error_code", descending=[True, False, False, False])
        )
    print_rows(letters, form)


def health(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array on stdout.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit code 1 when something needs attention.")] = False,
) -> None:
    """Show per log when it was last written, its rows, its degraded rows and its dead letters."""
    reader = _reader(load_settings())
    rows = [row for contract in LOGS if (row := _log_health(reader, contract.name)) is not None]
    frame = pl.DataFrame(rows)
    worries = [
        f"{row['log']}: {row['dead letters']} dead letters, {row['dead letter share']:.1%} of its rows"
        for row in rows
        if row["dead letter share"] > MAX_DEAD_LETTER_SHARE
    ]
    worries += [f"{plan} was planned and is not done" for plan in _open_plans(reader)]
    if as_json:
        print_rows(frame, Format.json)
    else:
        print_table(frame)
    for worry in worries:
        say(f"[yellow]{escape(worry)}[/yellow]")
    if check and worries:
        sys.exit(1)


def print_events(settings: Settings, limit: int = 25) -> None:
    """The readable table of events: what, where, when, uplift with interval, cause, confidence, degraded?"""
    events = _reader(settings).show("events")
    shown = events.sort("severity_score", "report_group_id", descending=[True, False], nulls_last=True).head(limit)
    title = f"Minority events: the {shown.height} most severe of {events.height}"
    print_table(_for_people("events", shown, settings), title=title)


def _reader(settings: Settings) -> SnapshotReader:
    return SnapshotReader(settings.home, FOLDS)


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise UserMistake(f"{text!r} is not an instant.", remedy="Write 2024-05-01T08:00:00Z, for example.") from None
    if instant.tzinfo is None:
        raise UserMistake(f"{text!r} has no time zone.", remedy="Write 2024-05-01T08:00:00Z, for example.")
    return instant


def _for_people(name: str, rows: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """The columns that a person reads first, days instead of instants."""
    try:
        view = find_view(name)
    except UnknownName:
        return rows
    columns = REPORT_COLUMNS if view.name == "minority_reports" else EVENT_COLUMNS
    rows = rows.with_columns(_impact(rows, settings))
    if view.name == "minority_events":
        rows = rows.with_columns(
            pl.col("cohort_name").alias("what"),
            pl.format("{} stores, {} SKUs", "store_count", "sku_count").alias("where"),
            pl.when("is_degraded").then(pl.col("degraded_reasons").list.join(", ")).otherwise(pl.lit("no")).alias("degraded"),
        )
    minutes = pl.col("window_start", "window_end").dt.strftime("%Y-%m-%d %H:%M")
    return rows.with_columns(minutes).select(pl.col(column).alias(title) for column, title in columns.items())


def _impact(rows: pl.DataFrame, settings: Settings) -> pl.Expr:
    currencies = {name: retailer.currency or "" for name, retailer in settings.retailers.items()}
    unit = pl.when(pl.col("impact_unit") == "units").then(pl.lit("units")).otherwise(
        pl.col("retailer").replace_strict(currencies, default="")
    )
    amounts = [pl.col(c).cast(pl.Float64).round(0).cast(pl.Int64) for c in ("impact_estimate", "impact_lower", "impact_upper")]
    return pl.format("{} ({} … {}) {}", *amounts, unit).alias("impact")


def _log_health(reader: SnapshotReader, log: str) -> dict[str, object] | None:
    try:
        rows = reader.show(log)
    except UnknownName:
        return None
    letters = reader.show(f"{log}_errors").height
    return {
        "log": log,
        "last written": rows["written_at"].max(),
        "rows": rows.height,
        "degraded": int(rows["is_degraded"].sum()),
        "retracted": int(rows["is_retracted"].sum()),
        "dead letters": letters,
        "dead letter share": letters / max(rows.height + letters, 1),
    }


def _open_plans(reader: SnapshotReader) -> list[str]:
    try:
        plans = reader.show("replay_plans_log", live=True)
    except UnknownName:
        return []
    answered = plans.filter(pl.col("state") == "done")["inputs_written_at"].max()
    waiting = plans.filter((pl.col("state") == "planned") & (pl.col("inputs_written_at") > (answered or datetime.min)))
    return waiting["plan_id"].to_list()
