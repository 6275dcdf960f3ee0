"""How fast a dirty file is admitted beside a clean one of the same size, and whether every row is accounted for.

    python -m benchmarks.dirty 1000000

One row in 200 is broken, in twenty ways by turns, which is within the default error budget. The run fails where the
account does not add up, or where a dead letter lacks its raw text or says nothing of what to do.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from mrs_assets.contracts.feeds import FEED_DECLARATIONS
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.settings import Retailer, Settings
from mrs_resources.admission import Admitted, admit, pending_arrivals
from mrs_resources.archive import Archive
from mrs_resources.clock import utc_now
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import LogStore

EVERY = 200
"""One row in so many is broken."""

HEADER = ("store_id", "sku", "ts", "units", "revenue", "unit_price", "on_promotion", "last_seen_at")
STORES, SKUS = 500, 200
FIRST_DAY = date(2024, 1, 1)


@dataclass(frozen=True)
class Way:
    """One way in which a row is broken.

    Attributes:
        told: in words.
        code: error code of its dead letter.
        column: where the row is wrong; None: as a whole.
        cell: text of that cell as the file has it.
        shown: part of the raw text that the letter must show.
        remedy: part of what its sender must be told.
    """

    told: str
    code: str
    column: str | None
    cell: str
    shown: str
    remedy: str


def _cell(told: str, code: str, column: str, cell: str, remedy: str) -> Way:
    text = cell[1:-1] if cell.startswith('"') else cell
    return Way(told, code, column, cell, f'"{column}":"{text}"' if text.strip() else f'"{column}":', remedy)


CONFLICT = Way(
    "another value for a key", "conflicting_key", None, "999999", '"units":999999.0000', "send one row per key"
)
CUT = Way("a line cut short", "broken_line", None, "cut", "store-", "send as many cells as the header has")
LONG = Way("a cell too many", "broken_line", None, "long", ",one too many", "send as many cells as the header has")
WAYS = (
    _cell("words for a number", "not_a_number", "units", "many", "send a number with a decimal point"),
    _cell("a decimal comma", "not_a_number", "units", '"12,5"', "or set decimal_sign in feeds.toml"),
    _cell("a currency sign", "not_a_number", "revenue", "£5.00", "send a number with a decimal point"),
    _cell("a formula", "not_a_number", "unit_price", "=1+1", "send a number with a decimal point"),
    _cell("not a number", "not_finite", "units", "NaN", "leave it empty when there is none"),
    _cell("minus infinity", "not_finite", "revenue", "-Infinity", "leave it empty when there is none"),
    _cell("more than any till sells", "number_out_of_range", "units", "1e15", "send a number within"),
    _cell("no time", "empty_instant", "ts", "", "send a value"),
    _cell("a date with slashes", "bad_timestamp", "ts", "05/01/2024", "send ISO 8601"),
    _cell("seconds since 1970", "bad_timestamp", "ts", "1709251200", "send ISO 8601"),
    _cell("a day that is none", "bad_timestamp", "ts", "2024-02-30", "send ISO 8601"),
    _cell("the year 1970", "day_outside_calendar", "ts", "1970-01-01", "widen [calendar] in feeds.toml"),
    _cell("the year 2099", "day_outside_calendar", "ts", "2099-12-31", "correct it"),
    _cell("a blank product", "empty_id", "sku", '"  "', "send a value"),
    _cell("a very long product", "id_too_long", "sku", "x" * 300, "shorten it"),
    Way("a control character", "control_characters", "store_id", "a\x1b[31m", "a\\u001B[31m", "remove them"),
    _cell("a doubtful flag", "not_a_boolean", "on_promotion", "perhaps", "send true or false"),
    CUT,
    LONG,
    CONFLICT,
)


def lines(rows: int, *, broken: bool) -> Iterator[str]:
    """Lines of a sales file: a header and `rows` rows, in all of which a key occurs once but for conflicts."""
    yield ",".join(HEADER)
    for n in range(rows):
        cells = _cells(n)
        if not broken or n % EVERY:
            yield ",".join(cells.values())
        else:
            yield _broken(cells, way_of(n), _cells(n + 1))


def way_of(n: int) -> Way:
    """The way in which row `n`, counted from 0, is broken."""
    return WAYS[n // EVERY % len(WAYS)]


def _cells(n: int) -> dict[str, str]:
    store, sku, units = n % STORES, n // STORES % SKUS, n * 7919 % 40
    day = FIRST_DAY + timedelta(days=n // (STORES * SKUS))
    texts = (f"store-{store:04d}", f"sku-{sku:05d}", str(day), str(units), f"{units * 1.25:.2f}", "1.25", "no", "")
    return dict(zip(HEADER, texts, strict=True))


def _broken(cells: dict[str, str], way: Way, next_row: dict[str, str]) -> str:
    if way is CUT:
        return ",".join(list(cells.values())[:3])
    if way is LONG:
        return ",".join([*cells.values(), "one too many"])
    if way is CONFLICT:
        return ",".join((next_row | {"units": way.cell}).values())
    return ",".join((cells | {str(way.column): way.cell}).values())


def main() -> None:
    """Admit a clean and a dirty file of the size given, each in a home of its own."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for what, broken in (("clean", False), ("dirty", True)):
        home = Path(tempfile.mkdtemp(prefix="mrs-dirty-"))
        try:
            _measure(home, what, rows, broken=broken)
        finally:
            shutil.rmtree(home)


def _measure(home: Path, what: str, rows: int, *, broken: bool) -> None:
    settings = Settings(home=home, retailers={"acme": Retailer(timezone="Europe/London")})
    archive, store = Archive(home), LogStore(home)
    inbox = archive.inbox / "sales" / "acme"
    inbox.mkdir(parents=True)
    (inbox / "sales.csv").write_text("\n".join(lines(rows, broken=broken)) + "\n")
    archive.collect(settings, utc_now)
    with store.transaction() as tx:
        (arrival,) = pending_arrivals(tx, archive)
    began, busy_before = time.perf_counter(), time.process_time()
    with store.transaction() as tx:
        done = admit(tx, archive, arrival, settings, FEED_DECLARATIONS["sales"], Provenance("benchmark", "1"))
    seconds, busy = time.perf_counter() - began, time.process_time() - busy_before
    print(
        f"{what} {rows:>11,} rows {seconds:8.2f} s wall {busy:8.2f} s processor {rows / seconds:>12,.0f} rows/s   "
        f"{done.accepted:,} accepted, {done.duplicate:,} duplicate, {done.dead_lettered:,} dead letters",
        flush=True,
    )
    _judge(done, store, rows, broken=broken)


def _judge(done: Admitted, store: LogStore, rows: int, *, broken: bool) -> None:
    refused = -(-rows // EVERY) if broken else 0
    if (done.received, done.accepted, done.duplicate, done.dead_lettered) != (rows, rows - refused, 0, refused):
        raise SystemExit(f"The account is wrong: {done}")
    with store.transaction() as tx:
        letters = tx.query(f"SELECT source_row, error_code, raw_payload, error FROM {UNIFIED_SALES.name}_errors")
    for letter in letters.to_dicts():
        if problem := problem_with(letter):
            raise SystemExit(f"Row {letter['source_row']}: {problem}: {letter}")
    if broken:
        counts = (
            letters.group_by("error_code").agg(letters=pl.len()).sort("letters", "error_code", descending=[True, False])
        )
        told = ", ".join(f"{code} {count:,}" for code, count in counts.rows())
        print(f"  every letter has its code, its raw text and a remedy: {told}")


def problem_with(letter: dict[str, object]) -> str | None:
    """What a dead letter of `lines` lacks; None where it has all that its reader needs."""
    row = int(str(letter["source_row"])) - 1
    if row % EVERY:
        return "the row was not broken"
    way = way_of(row)
    if letter["error_code"] != way.code:
        return f"{way.told} should be {way.code}"
    if way.shown not in str(letter["raw_payload"]):
        return f"the raw text does not show {way.shown}"
    return None if way.remedy in str(letter["error"]) else f"the reason does not say {way.remedy!r}"


if __name__ == "__main__":
    main()
