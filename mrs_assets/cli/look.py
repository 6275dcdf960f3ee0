"""Commands that read the published snapshot: show, explain. They never hold the live warehouse."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Annotated

import polars as pl
import typer
from rich.markup import escape

from mrs_assets.cli.output import Format, print_records, print_rows, print_side_by_side, print_table, say
from mrs_assets.contracts.errors import UnknownName, UserMistake
from mrs_assets.contracts.settings import Settings, load_settings
from mrs_assets.contracts.views import MINORITY_REPORTS, find_view
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.reader import SnapshotReader

MOST_COLUMNS = 12
"""Columns that fit beside each other; a wider log is shown as one record after the other."""

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
    "resolution_reason": "ended because",
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
    "resolution_reason": "ended because",
    "degraded": "degraded?",
}

Name = Annotated[str, typer.Argument(help="`reports`, `events`, a log's name or code (MRDL …), or `<log>_errors`.")]
AsOf = Annotated[str | None, typer.Option(help="What was known at this instant: ISO 8601 with a time zone.")]
FormatOption = Annotated[Format, typer.Option("--format", help="How to print the rows.")]


def show(
    name: Name,
    as_of: AsOf = None,
    live: Annotated[bool, typer.Option("--live", help="Of a log, only what is true now.")] = False,
    where: Annotated[str | None, typer.Option(help="SQL condition over the columns.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many rows.", min=0)] = None,
    columns: Annotated[str | None, typer.Option(help="Only these columns, as they are stored: `sku,units`.")] = None,
    form: FormatOption = Format.table,
) -> None:
    """Show current state or a log; a log shows every appended row."""
    settings = load_settings()
    rows = reader_of(settings).show(name, as_of=instant(as_of) if as_of else None, live=live, where=where, limit=limit)
    if columns is not None:
        print_rows(_only(rows, columns.split(",")), form)
    elif form is not Format.table:
        print_rows(rows, form)
    elif _is_view(name):
        print_table(_for_people(name, rows, settings))
    else:
        _print_log(rows)


def explain(
    report_id: Annotated[str, typer.Argument(help="The report.")],
    as_of: AsOf = None,
    form: FormatOption = Format.table,
) -> None:
    """Show one report's whole life: every log row, which source won each field, the numbers behind the cause."""
    settings = load_settings()
    explanation = reader_of(settings).explain(report_id, as_of=instant(as_of) if as_of else None)
    if form is not Format.table:
        rows = [
            frame.select(pl.lit(log).alias("log"), pl.struct(pl.all()).alias("row"))
            for log, frame in explanation.logs.items()
        ]
        entries = [{"log": r["log"], "row": r["row"]} for frame in rows for r in frame.to_dicts()]
        sys.stdout.write(json.dumps(entries, default=str) + "\n")
        return
    print_table(_for_people("reports", explanation.current, settings), title=f"{report_id} {as_of or 'now'}")
    _print_sides(explanation.current)
    won = {"field group": list(explanation.sources), "supplied by": list(explanation.sources.values())}
    print_table(pl.DataFrame(won, schema_overrides={"supplied by": pl.String}), title="Which log won each field")
    for log, frame in explanation.logs.items():
        if frame.height:
            print_side_by_side(frame.drop(_LEFT_OUT, strict=False).sort("written_at"), "written_at", title=log)
    if explanation.evidence is not None:
        say("[bold]The numbers behind the cause[/bold]")
        say(escape(json.dumps(explanation.evidence, indent=2, ensure_ascii=False)))


def _only(rows: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    asked = list(dict.fromkeys(column.strip() for column in columns))
    if unknown := [column for column in asked if column not in rows.columns]:
        raise UserMistake(
            f"There is no column {', '.join(map(repr, unknown))}.", remedy=f"Columns: {', '.join(rows.columns)}."
        )
    return rows.select(asked)


def _print_sides(current: pl.DataFrame) -> None:
    """What people relied on beside what the machine says against it, one line per conflict."""
    for sides in current["review_sides"].drop_nulls():
        columns = ("field", "actor", "acted_at", "action", "saw", "decided", "now", "annotation_id")
        told = [{column: side[column] for column in columns} for side in json.loads(sides)]
        table = pl.DataFrame(told, schema=dict.fromkeys(columns, pl.String)).rename({"now": "the machine says now"})
        print_table(table, title="Needs review: what was seen and decided, and what is true now")


_LEFT_OUT = (
    "run_id",
    "retailer",
    "store_id",
    "sku",
    "report_id",
    "row_hash",
    "batch_id",
    "dagster_run_id",
    "feature_vector",
    "supporting_evidence",
    "context_snapshot",
)
"""What every row of a report repeats, or what is printed on its own."""

_MACHINERY = ("run_id", "row_hash", "batch_id", "dagster_run_id", "code_version")
"""What says nothing to somebody who reads a log."""


def print_events(settings: Settings, limit: int = 25) -> None:
    """The readable table of events: what, where, when, uplift with interval, cause, confidence, degraded."""
    events = reader_of(settings).show("events")
    shown = events.sort("severity_score", "report_group_id", descending=[True, False], nulls_last=True).head(limit)
    title = f"Minority events: the {shown.height} most severe of {events.height}"
    print_table(_for_people("events", shown, settings), title=title)


def reader_of(settings: Settings) -> SnapshotReader:
    """Reads what is published."""
    return SnapshotReader(settings.home, FOLDS)


def instant(text: str) -> datetime:
    """The instant that a user wrote.

    Raises:
        UserMistake: it is not one, or it has no time zone.
    """
    try:
        written = datetime.fromisoformat(text)
    except ValueError:
        raise UserMistake(f"{text!r} is not an instant.", remedy="Write 2024-05-01T08:00:00Z, for example.") from None
    if written.tzinfo is None:
        raise UserMistake(f"{text!r} has no time zone.", remedy="Write 2024-05-01T08:00:00Z, for example.")
    return written


def _is_view(name: str) -> bool:
    try:
        find_view(name)
    except UnknownName:
        return False
    return True


def _for_people(name: str, rows: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """The columns that a person reads first, in the retailer's local time."""
    if find_view(name).name == MINORITY_REPORTS.name:
        columns = REPORT_COLUMNS
    else:
        columns = EVENT_COLUMNS
        degraded = pl.col("degraded_reasons").list.join(", ")
        rows = rows.with_columns(
            _first_few("skus").alias("what"),
            _first_few("stores").alias("where"),
            pl.when("is_degraded").then(degraded).otherwise(pl.lit("no")).alias("degraded"),
        )
    parts = [_local(part, settings) for part in rows.with_row_index("place").partition_by("retailer")]
    told = pl.concat(parts).sort("place") if parts else rows.with_columns(impact=pl.lit(""))
    return told.select(pl.col(column).alias(title) for column, title in columns.items())


def _print_log(rows: pl.DataFrame) -> None:
    """Print rows of a log without what only the machine reads, and without columns that say nothing in any of them."""
    kept = [c for c in rows.columns if c not in _MACHINERY and (rows.is_empty() or _says_something(rows[c]))]
    if left_out := [c for c in rows.columns if c not in kept]:
        say(f"Not shown: {', '.join(left_out)}. `--columns` and `--format json` have them.")
    if rows.height and len(kept) > MOST_COLUMNS:
        print_records(rows.select(kept))
    else:
        print_table(rows.select(kept))


def _says_something(column: pl.Series) -> bool:
    if column.dtype == pl.Boolean:
        return bool(column.any())
    if column.dtype.base_type() is pl.List:
        return bool((column.list.len() > 0).any())
    return column.null_count() < len(column)


def _local(rows: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Windows of one retailer as local days (or minutes), amounts with their unit."""
    retailer = settings.retailers.get(str(rows["retailer"][0]))
    zone, daily = (retailer.timezone, retailer.grain == "1d") if retailer else ("UTC", False)
    form = "%Y-%m-%d" if daily else "%Y-%m-%d %H:%M"
    newest_moment = pl.col("window_end").dt.offset_by("-1us" if daily else "0us")
    amounts = [
        pl.col(f"impact_{part}").cast(pl.Float64).round().cast(pl.Int64) for part in ("estimate", "lower", "upper")
    ]
    money = (retailer.currency if retailer else None) or "money"
    return rows.with_columns(
        pl.col("window_start").dt.convert_time_zone(zone).dt.strftime(form),
        newest_moment.dt.convert_time_zone(zone).dt.strftime(form).alias("window_end"),
        pl.format("{} ({} … {}) {}", *amounts, pl.col("impact_unit").replace("money", money)).alias("impact"),
    )


def _first_few(column: str, shown: int = 2) -> pl.Expr:
    """The first names of a list, and how many more there are."""
    more = pl.col(column).list.len().cast(pl.Int64) - shown
    names = pl.col(column).list.head(shown).list.join(", ")
    return pl.when(more > 0).then(pl.format("{} and {} more", names, more)).otherwise(names)
