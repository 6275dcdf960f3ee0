"""Where a file's columns are: header, delimiter and names, as SQL that yields every canonical column as text."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from mrs_assets.contracts.errors import FeedRejected
from mrs_assets.contracts.feed import FeedColumn, FeedContract
from mrs_resources.engine import text_literal
from mrs_resources.file_reader import PlainFile

BROKEN_LINES = "broken_lines"
"""Temporary table of the CSV lines that have no row, made when the layout's rows are read."""

_DELIMITERS = ",;\t|"
_HEADER_CHARACTERS = 1 << 20
_NO_DELIMITER = "\x01"


@dataclass(frozen=True)
class Layout:
    """How to read one file.

    Attributes:
        rows: SQL of a FROM clause.
        cells: canonical column → SQL of its cell as text; a column that the file has not is absent.
        raw: SQL of the whole row as JSON, or as it stood in the file.
        broken: SQL condition under which a row is broken as a whole; None where broken lines are no rows.
        names: canonical column → the file's name for it.
        ignored: columns that nothing was read from.
    """

    rows: str
    cells: Mapping[str, str]
    raw: str
    broken: str | None
    names: Mapping[str, str]
    ignored: tuple[str, ...]


def layout_of(
    file: PlainFile, feed: FeedContract, configured: Mapping[str, str], connection: duckdb.DuckDBPyConnection
) -> Layout:
    """Find a file's columns.

    Args:
        file: the file.
        feed: what its columns may be.
        configured: canonical column → the sender's name, from feeds.toml.
        connection: any connection; nothing is written.

    Raises:
        FeedRejected: a required column is not there, or the file cannot be read.
    """
    match file.kind:
        case "csv":
            return _csv_layout(file, feed, configured)
        case "ndjson":
            return _ndjson_layout(file, feed, configured, connection)
        case "parquet":
            return _parquet_layout(file, feed, configured, connection)


def path_literal(path: object) -> str:
    """A path as SQL literal of a reader that would take `*`, `?` and `[` as wildcards."""
    return text_literal(re.sub(r"([*?\[])", r"[\1]", str(path)))


def _csv_layout(file: PlainFile, feed: FeedContract, configured: Mapping[str, str]) -> Layout:
    with file.path.open(encoding="utf-8-sig", newline="") as handle:
        head = handle.read(_HEADER_CHARACTERS)
    blank = len(head) - len(head.lstrip("\n"))
    delimiter, header = _best_header(head[blank:], feed, configured)
    found, ignored = _match(header, feed, configured)
    columns = ", ".join(f"c{place}: 'VARCHAR'" for place in range(len(header)))
    fields = ", ".join(f"{text_literal(name)}, c{place}" for place, name in enumerate(header))
    return Layout(
        rows=(
            f"read_csv({path_literal(file.path)}, auto_detect = false, header = true, skip = {blank}, "
            f"delim = {text_literal(delimiter)}, quote = '\"', escape = '\"', strict_mode = true, "
            f"store_rejects = true, rejects_table = '{BROKEN_LINES}', rejects_scan = 'broken_scans', "
            f"columns = {{{columns}}})"
        ),
        cells={name: f"c{places[0]}" for name, places in found.items()},
        raw=f"CAST(json_object({fields}) AS VARCHAR)",
        broken=None,
        names={name: header[places[0]] for name, places in found.items()},
        ignored=ignored,
    )


def _best_header(head: str, feed: FeedContract, configured: Mapping[str, str]) -> tuple[str, list[str]]:
    """The delimiter under which the most columns are recognised, then the most are there; and the header."""
    candidates = []
    for delimiter in _DELIMITERS:
        try:
            header = next(csv.reader(head.splitlines(keepends=True), delimiter=delimiter), [])
        except csv.Error:
            continue
        found, _ = _recognised(header, feed, configured)
        candidates.append((len(found), len(header), delimiter, [name.strip() for name in header]))
    if not candidates:
        raise FeedRejected("The first line is no header.", code="no_header", remedy="Begin with the column names.")
    _, _, delimiter, header = max(candidates, key=lambda candidate: candidate[:2])
    return delimiter, header


def _ndjson_layout(
    file: PlainFile, feed: FeedContract, configured: Mapping[str, str], connection: duckdb.DuckDBPyConnection
) -> Layout:
    lines = (
        f"(SELECT line FROM read_csv({path_literal(file.path)}, auto_detect = false, header = false, "
        f"delim = '{_NO_DELIMITER}', quote = '', escape = '', strict_mode = true, store_rejects = true, "
        f"rejects_table = '{BROKEN_LINES}', rejects_scan = 'broken_scans', columns = {{line: 'VARCHAR'}}) "
        "WHERE trim(line) <> '')"
    )
    is_object = "coalesce(json_valid(line) AND json_type(CASE WHEN json_valid(line) THEN line END) = 'OBJECT', false)"
    keys = [
        str(row[0])
        for row in connection.execute(
            f"SELECT DISTINCT unnest(json_keys(line)) AS key FROM {lines} WHERE {is_object} ORDER BY key"
        ).fetchall()
    ]
    connection.execute(f"DROP TABLE IF EXISTS {BROKEN_LINES}; DROP TABLE IF EXISTS broken_scans")
    found, ignored = _match(keys, feed, configured)
    whole = f"CASE WHEN {is_object} THEN line END"
    return Layout(
        rows=lines,
        cells={
            name: f"coalesce({', '.join(f'json_extract_string({whole}, {_json_path(keys[p])})' for p in places)})"
            for name, places in found.items()
        },
        raw="line",
        broken=f"NOT {is_object}",
        names={name: keys[places[0]] for name, places in found.items()},
        ignored=ignored,
    )


def _json_path(key: str) -> str:
    pointer = "/" + key.replace("~", "~0").replace("/", "~1")
    return text_literal(pointer)


def _parquet_layout(
    file: PlainFile, feed: FeedContract, configured: Mapping[str, str], connection: duckdb.DuckDBPyConnection
) -> Layout:
    source = f"read_parquet({path_literal(file.path)})"
    described = [(str(r[0]), str(r[1])) for r in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
    header = [name for name, _ in described]
    found, ignored = _match(header, feed, configured)
    cells = ", ".join(f"{_parquet_cell(name, dtype)} AS c{place}" for place, (name, dtype) in enumerate(described))
    fields = ", ".join(f"{text_literal(name)}, c{place}" for place, name in enumerate(header))
    return Layout(
        rows=f"(SELECT {cells} FROM {source})",
        cells={name: f"c{places[0]}" for name, places in found.items()},
        raw=f"CAST(json_object({fields}) AS VARCHAR)",
        broken=None,
        names={name: header[places[0]] for name, places in found.items()},
        ignored=ignored,
    )


def _parquet_cell(name: str, dtype: str) -> str:
    column = '"' + name.replace('"', '""') + '"'
    nested = dtype.endswith("]") or dtype.startswith(("STRUCT", "MAP", "UNION"))
    return f"CAST({f'to_json({column})' if nested else column} AS VARCHAR)"


def _match(
    header: Sequence[str], feed: FeedContract, configured: Mapping[str, str]
) -> tuple[dict[str, list[int]], tuple[str, ...]]:
    """Places of every canonical column, and the names that nothing is read from.

    Raises:
        FeedRejected: a required column is not there.
    """
    found, ignored = _recognised(header, feed, configured)
    absent = [column.name for column in feed.columns if column.required and column.name not in found]
    if absent:
        raise FeedRejected(
            f"No column {', '.join(absent)}; the file has: {', '.join(header)[:1000] or 'none'}.",
            code="missing_columns",
            remedy="Send the column, or say its name under `columns` in feeds.toml and send the file again.",
            absent=absent,
            seen=list(header),
        )
    return found, ignored


def _recognised(
    header: Sequence[str], feed: FeedContract, configured: Mapping[str, str]
) -> tuple[dict[str, list[int]], tuple[str, ...]]:
    plain = [_plain(name) for name in header]
    found: dict[str, list[int]] = {}
    taken: set[int] = set()
    for column in feed.columns:
        for name in _names(column, configured):
            places = [place for place, other in enumerate(plain) if other == _plain(name) and place not in taken]
            if places:
                found[column.name] = places
                taken.update(places)
                break
    return found, tuple(name for place, name in enumerate(header) if place not in taken)


def names_in(header: Sequence[str], feed: FeedContract, configured: Mapping[str, str]) -> dict[str, str]:
    """Canonical column → the name under which a header has it."""
    found, _ = _recognised(header, feed, configured)
    return {column: header[places[0]] for column, places in found.items()}


def same_name(one: str, other: str) -> bool:
    """Whether two column names count as the same."""
    return _plain(one) == _plain(other)


def _names(column: FeedColumn, configured: Mapping[str, str]) -> tuple[str, ...]:
    """Names of a column, the one that feeds.toml gives first."""
    own = configured.get(column.name)
    return (*([own] if own is not None else []), column.name, *column.synonyms)


def _plain(name: str) -> str:
    return re.sub(r"[\s\-]+", "_", name.strip().strip("\ufeff").casefold())
