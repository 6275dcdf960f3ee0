"""Reading one archived file, without the warehouse: every row typed, or refused with its reason.

The result lies in a Parquet file in scratch, so that a file of any size needs little memory, and nothing that is wrong
with a file can break a transaction on the warehouse.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import duckdb

from mrs_assets.contracts.errors import FeedRejected
from mrs_assets.contracts.feed import ANSWERS, AdmissionRule, FeedColumn, FeedContract
from mrs_assets.contracts.settings import Settings
from mrs_resources.archive import Archive, Arrival, scratch_directory
from mrs_resources.engine import text_literal
from mrs_resources.file_layout import BROKEN_LINES, Layout, layout_of, path_literal
from mrs_resources.file_reader import PlainFile, plain_file
from mrs_resources.typed_cells import SQL_TYPE_OF, Problem, Reading, local_day_sql, trimmed, typed_cell

MEMORY_LIMIT = "1GB"
_FILE_FAULTS = (
    duckdb.InvalidInputException,
    duckdb.ConversionException,
    duckdb.SerializationException,
    duckdb.NotImplementedException,
)
_PROBLEM_COLUMNS = ("error_code", "error", "raw_payload")


@dataclass(frozen=True)
class ReadFile:
    """What a file holds.

    Attributes:
        rows: Parquet file: the canonical columns that the file has, `business_day`, and `error_code`, `error`,
            `raw_payload` where the row is refused; in the order of the file.
        absent: the other canonical columns → SQL literal of the default, or of a typed NULL.
        received, refused: number of rows, broken lines included.
        lost: number of broken lines.
        first_day, last_day: business days of the rows that are not refused; None where there are none.
        broken: Parquet file of the lines that have no row: `place` among the file's rows from 1, the `line` as it
            stood, and the `error`.
        ignored: columns that nothing was read from.
        columns: every column, as the file names it, sorted; None where the file answers dead letters, and is no
            delivery of its sender.
    """

    rows: Path
    absent: Mapping[str, str]
    received: int
    refused: int
    lost: int
    first_day: date | None
    last_day: date | None
    broken: Path
    ignored: tuple[str, ...]
    columns: tuple[str, ...] | None


@contextmanager
def read_file(
    archive: Archive, arrival: Arrival, settings: Settings, feed: FeedContract, content: Path | None = None
) -> Iterator[ReadFile]:
    """Read an archived file; what is read is there for the time of the `with` block.

    Args:
        archive: where the file lies and scratch is.
        arrival: the file.
        settings: how its sender writes.
        feed: what it may say; besides, any row may name the dead letter that it answers.
        content: bytes to read instead, of a file that has not arrived yet.

    Raises:
        FeedRejected: nothing of the file can be used.
    """
    answering = replace(feed, columns=(*feed.columns, *ANSWERS))
    with _opened(archive, arrival, settings, answering, content) as (connection, scratch, layout, sender):
        with _blaming_the_file(arrival):
            read = _read(connection, scratch, layout, answering, rows_sql(layout, answering, sender, arrival))
        yield read


def survey(archive: Archive, arrival: Arrival, settings: Settings, feed: FeedContract) -> tuple[date, date] | None:
    """First and last business day that a file speaks of; None where none can be read.

    Reads one column and looks at nothing else, so that a row refused for another reason counts.
    """
    if feed.day_of is None:
        return None
    (column,) = (column for column in feed.columns if column.name == feed.day_of)
    only_day = replace(feed, columns=(column,), rules=())
    try:
        with _opened(archive, arrival, settings, feed) as (connection, _, layout, sender), _blaming_the_file(arrival):
            cells = f"(SELECT DISTINCT {layout.cells[column.name]} AS cell FROM {layout.rows})"
            distinct = replace(layout, rows=cells, cells={column.name: "cell"}, raw="cell", broken=None)
            first, last = connection.execute(
                "SELECT min(business_day), max(business_day) "
                f"FROM ({rows_sql(distinct, only_day, sender, arrival)}) WHERE error_code IS NULL"
            ).fetchall()[0]
    except FeedRejected:
        return None
    return None if first is None else (first, last)


@contextmanager
def _opened(
    archive: Archive, arrival: Arrival, settings: Settings, feed: FeedContract, content: Path | None = None
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path, Layout, _Sender]]:
    with scratch_directory(archive) as directory:
        scratch = Path(directory)
        file = plain_file(content or archive.content(arrival), scratch)
        with _connection(scratch) as connection:
            with _blaming_the_file(arrival):
                layout = layout_of(file, feed, columns_configured(settings, feed.name, arrival.retailer), connection)
            yield connection, scratch, layout, _sender(settings, arrival, file)


@contextmanager
def _blaming_the_file(arrival: Arrival) -> Iterator[None]:
    """What DuckDB cannot read in a file is the file's fault; whatever else fails is ours or the machine's."""
    try:
        yield
    except _FILE_FAULTS as error:
        reason = re.sub(r"'?/\S*?/archive/\S+", arrival.file_name, str(error).splitlines()[0])[:500]
        raise FeedRejected(
            f"The file cannot be read ({reason}).", code="unreadable", remedy="Correct it and send it again."
        ) from error


@dataclass(frozen=True)
class _Sender:
    reading: Reading
    first_day: date
    last_day: date


def columns_configured(settings: Settings, feed: str, retailer: str) -> dict[str, str]:
    """Canonical column → the sender's name for it, as feeds.toml says."""
    if feed == "sales":
        return dict(settings.retailers[retailer].columns)
    return dict(settings.feeds[feed].columns) if feed in settings.feeds else {}


def _sender(settings: Settings, arrival: Arrival, file: PlainFile) -> _Sender:
    """How the retailer's cells read. Only CSV writes numbers as people do."""
    retailer = settings.retailers[arrival.retailer]
    sign = retailer.decimal_sign if file.kind == "csv" else "."
    last_day = settings.calendar.last_day or date(9999, 1, 1)
    return _Sender(Reading(retailer.timezone, sign), settings.calendar.first_day, last_day)


@contextmanager
def _connection(scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": str(scratch / "spill")})
    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


def _read(
    connection: duckdb.DuckDBPyConnection, scratch: Path, layout: Layout, feed: FeedContract, query: str
) -> ReadFile:
    rows, broken = scratch / "rows.parquet", scratch / "broken.parquet"
    connection.execute(f"COPY ({query}) TO {text_literal(str(rows))} (FORMAT parquet)")
    connection.execute(f"COPY ({_broken_lines_sql(connection)}) TO {text_literal(str(broken))} (FORMAT parquet)")
    received, refused, first, last = connection.execute(
        "SELECT count(*), count(error_code), min(business_day) FILTER (error_code IS NULL), "
        f"max(business_day) FILTER (error_code IS NULL) FROM read_parquet({path_literal(rows)})"
    ).fetchall()[0]
    lost = int(connection.execute(f"SELECT count(*) FROM read_parquet({path_literal(broken)})").fetchall()[0][0])
    answers = any(column.name in layout.cells for column in ANSWERS)
    return ReadFile(
        rows=rows,
        absent={column.name: _default(column) for column in feed.columns if column.name not in layout.cells},
        received=received + lost,
        refused=refused + lost,
        lost=lost,
        first_day=first,
        last_day=last,
        broken=broken,
        ignored=layout.ignored,
        columns=None if answers else tuple(sorted({*layout.names.values(), *layout.ignored})),
    )


def rows_sql(layout: Layout, feed: FeedContract, sender: _Sender, arrival: Arrival) -> str:
    """SQL of a file's rows, typed, each with what is wrong with it: text → values → problem → reason."""
    texts, values, problems = _columns(layout, feed, sender.reading)
    day = _business_day(feed, sender)
    problems += _calendar_rule(feed, sender, arrival)
    problems += [Problem(r.error_code, r.refuses, _rule_message(r)) for r in feed.rules]
    names = [column.name for column in feed.columns if column.name in layout.cells]
    which = " ".join(f"WHEN {p.condition} THEN {place}" for place, p in enumerate(problems))
    codes = " ".join(f"WHEN {place} THEN {text_literal(p.code)}" for place, p in enumerate(problems))
    messages = " ".join(f"WHEN {place} THEN {p.message}" for place, p in enumerate(problems))
    quoted = ", ".join(f'"{name}"' for name in names)
    return (
        f"SELECT {quoted}, business_day, CASE problem {codes} END AS error_code, CASE problem {messages} END AS error, "
        f"CASE WHEN problem IS NOT NULL THEN {layout.raw} END AS raw_payload "
        f"FROM (SELECT *, CASE {which} END AS problem "
        f"FROM (SELECT *, {day} AS business_day "
        f"FROM (SELECT *, {', '.join(values)} FROM (SELECT *, {', '.join(texts)} FROM {layout.rows}))))"
    )


def _columns(layout: Layout, feed: FeedContract, reading: Reading) -> tuple[list[str], list[str], list[Problem]]:
    texts, values, problems = [], [], []
    if layout.broken is not None:
        problems.append(Problem("bad_json", layout.broken, "'The line is not one JSON object: correct it.'"))
    for column in feed.columns:
        if column.name not in layout.cells:
            values.append(f'{_default(column)} AS "{column.name}"')
            continue
        text = f'"text of {column.name}"'
        cell = trimmed(layout.cells[column.name])
        if column.default is not None and column.default_when_blank:
            cell = f"coalesce({cell}, {text_literal(column.default)})"
        texts.append(f"{cell} AS {text}")
        typed = typed_cell(column, text, layout.names[column.name], reading)
        values.append(f'{typed.value} AS "{column.name}"')
        problems += typed.problems
    return texts, values, problems


def _default(column: FeedColumn) -> str:
    value = "NULL" if column.default is None else text_literal(column.default)
    return f"CAST({value} AS {SQL_TYPE_OF[column.kind]})"


def _business_day(feed: FeedContract, sender: _Sender) -> str:
    if feed.day_of is None:
        return f"DATE '{sender.first_day.isoformat()}'"
    kind = next(column.kind for column in feed.columns if column.name == feed.day_of)
    if kind == "day":
        return f'"{feed.day_of}"'
    return local_day_sql(f'"text of {feed.day_of}"', f'"{feed.day_of}"', sender.reading.timezone)


def _calendar_rule(feed: FeedContract, sender: _Sender, arrival: Arrival) -> list[Problem]:
    if feed.day_of is None:
        return []
    last = min(sender.last_day, (arrival.received_at + timedelta(days=feed.days_ahead)).date())
    span = f"DATE '{sender.first_day.isoformat()}' AND DATE '{last.isoformat()}'"
    message = (
        f"{feed.day_of} is outside of the calendar, {sender.first_day} to {last}: correct it, or widen [calendar] in "
        "feeds.toml and send the file again."
    )
    return [Problem("day_outside_calendar", f"business_day NOT BETWEEN {span}", text_literal(message))]


def _rule_message(rule: AdmissionRule) -> str:
    return text_literal(rule.message)


def _broken_lines_sql(connection: duckdb.DuckDBPyConnection) -> str:
    known = connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = ?", [BROKEN_LINES]).fetchall()
    if not known[0][0]:
        return "SELECT 0::BIGINT AS place, '' AS line, '' AS error WHERE false"
    return (
        "SELECT CAST(line - 1 AS BIGINT) AS place, coalesce(trim(any_value(csv_line), chr(10)), '') AS line, "
        "'The line has no row (' || arg_min(error_message, column_idx) || '): send as many cells as the header has, "
        "and quote those that hold a delimiter or a line break.' AS error "
        f"FROM {BROKEN_LINES} GROUP BY line ORDER BY place"
    )
