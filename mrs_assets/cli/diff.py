"""The command that tells what is believed at one instant against another, and why."""

from __future__ import annotations

from typing import Annotated

import polars as pl
import typer

from mrs_assets.cli.look import FormatOption, instant, reader_of
from mrs_assets.cli.output import Format, print_rows, say
from mrs_assets.contracts.settings import load_settings
from mrs_resources.clock import utc_now
from mrs_resources.statements import rows_where

EVERY_FIELD = "(every field)"


def diff(
    name: Annotated[str, typer.Argument(help="`reports`, `events`, or a log's name or code (MRDL …).")] = "reports",
    since: Annotated[str, typer.Option("--from", help="The earlier belief: ISO 8601 with a time zone.")] = ...,  # type: ignore[assignment]
    until: Annotated[str | None, typer.Option("--to", help="The later belief; now by default.")] = None,
    where: Annotated[str | None, typer.Option(help="SQL condition over the columns printed.")] = None,
    form: FormatOption = Format.table,
) -> None:
    """Tell what changed between two beliefs, field by field, and what caused it: data, edit, model, code, setting."""
    from mrs_assets.beliefs import diff as room  # noqa: PLC0415 - loads the model libraries

    begin, end = instant(since), instant(until) if until else utc_now()
    rows = room.diff(reader_of(load_settings()), name, begin, end)
    rows = rows_where(rows, where) if where else rows
    if rows.is_empty():
        say(f"No difference between {begin.isoformat()} and {end.isoformat()}.")
    print_rows(_for_people(rows) if form is Format.table else rows, form)


def _for_people(rows: pl.DataFrame) -> pl.DataFrame:
    """A subject that appeared or vanished takes one line."""
    whole = pl.col("kind") != "changed"
    told = [pl.when(whole).then(pl.lit(value)).otherwise(name).alias(name) for name, value in _WHOLE.items()]
    kept = [name for name in rows.columns if name not in ("before", "after", "field", "cause", "because")]
    subject = [name for name in kept if name != "kind"]
    first = pl.int_range(pl.len()).over(subject) == 0
    return rows.filter(~whole | first).with_columns(told)


_WHOLE = {"field": EVERY_FIELD, "before": None, "after": None}
