"""What comes in: how much of it is refused, whether every row is accounted for, whether it looks as it always does."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from mrs_assets.contracts.calendar import public_holidays
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.settings import Retailer
from mrs_assets.slo.facts import Facts
from mrs_assets.slo.measured import SHOWN, Measured, Worst

DAYS_JUDGED = 7
"""Newest days of a retailer whose volume is judged."""

WEEKS_BEFORE, FEWEST_WEEKS = 8, 4
"""Same weekdays before a day that say what is usual, and the fewest that do."""

ACCOUNT = ("rows_accepted", "rows_duplicate", "rows_dead_lettered")


def dead_letters(facts: Facts) -> pl.DataFrame:
    """Partitions of the window with their rows and open dead letters; files that were rejected whole are not rows.

    Returns:
        Columns retailer, log, business_day, at, rows, dead_letters.
    """
    at = pl.coalesce("written_to", "measured_to")
    known = facts["levels"].filter(pl.col("log") != ARRIVALS.name)
    dead = pl.col("rows_dead_lettered")
    return known.select("retailer", "log", "business_day", at=at, rows=pl.col("rows_live") + dead, dead_letters=dead)


def dead_letter_share(facts: Facts) -> list[Measured]:
    """Per retailer the largest share, over its logs, of rows of the window that are open dead letters."""
    recent = dead_letters(facts).filter(pl.col("at") > facts.since(facts.settings.slo.window_days))
    return [_dead(retailer, recent.filter(retailer=retailer)) for retailer in facts.retailers]


def _dead(retailer: str, recent: pl.DataFrame) -> Measured:
    summed = recent.group_by("log").agg(pl.col("rows", "dead_letters").sum()).filter(pl.col("rows") > 0)
    if summed.is_empty():
        return Measured(retailer, None)
    value = summed.select((pl.col("dead_letters") / pl.col("rows")).max()).item()
    worst = recent.filter(pl.col("dead_letters") > 0).sort(
        "dead_letters", "log", "business_day", descending=[True, False, False]
    )
    columns = {"log": "log", "retailer": "retailer", "business_day": "day", "dead_letters": "dead letters"}
    return Measured(retailer, value, _rows(worst.select(*columns, "rows").rename(columns)))


def dead_lettered_days(facts: Facts, limit: float) -> pl.DataFrame:
    """Retailer-days with their verdict for a budget: retailer, business_day, at, bad."""
    summed = (
        dead_letters(facts)
        .group_by("retailer", "business_day", "log")
        .agg(pl.col("at").max(), pl.col("rows", "dead_letters").sum())
    )
    over = (pl.col("dead_letters") > limit * pl.col("rows")).any()
    return summed.group_by("retailer", "business_day").agg(pl.col("at").max(), bad=over)


def rejected_files(facts: Facts) -> list[Measured]:
    """Per retailer the files that were rejected whole and that nobody has resolved."""
    return [_rejected(retailer, facts) for retailer in facts.retailers]


def _rejected(retailer: str, facts: Facts) -> Measured:
    if facts["files"].filter(retailer=retailer).is_empty():
        return Measured(retailer, None)
    accounts = facts["levels"].filter(log=ARRIVALS.name, retailer=retailer)
    waits = accounts.filter(pl.col("rows_dead_lettered") > 0).sort("business_day", descending=True)
    told = waits.select("retailer", received=pl.col("business_day"), files="rows_dead_lettered")
    return Measured(retailer, float(accounts["rows_dead_lettered"].sum()), _rows(told))


def unaccounted_rows(facts: Facts) -> list[Measured]:
    """Per retailer the rows by which files do not add up: received = accepted + duplicate + dead-lettered."""
    return [_unaccounted(retailer, facts["files"].filter(retailer=retailer)) for retailer in facts.retailers]


def _unaccounted(retailer: str, files: pl.DataFrame) -> Measured:
    if files.is_empty():
        return Measured(retailer, None)
    off = pl.col("rows_received") - pl.sum_horizontal(ACCOUNT)
    wrong = files.filter(off != 0).with_columns(off=off).sort("received_at", "file_name", descending=True)
    told = wrong.select("retailer", "feed", file="file_name", received="rows_received", off_by="off")
    return Measured(retailer, float(wrong["off"].abs().sum()), _rows(told))


def changed_columns(facts: Facts) -> list[Measured]:
    """Per retailer the columns that the newest file of a feed has and the one before had not, or the reverse."""
    return [_changed_columns(retailer, facts["headers"].filter(retailer=retailer)) for retailer in facts.retailers]


def _changed_columns(retailer: str, headers: pl.DataFrame) -> Measured:
    worst: list[Worst] = []
    compared = changed = 0
    for (feed,), own in headers.sort("feed", "received_at").group_by("feed", maintain_order=True):
        if own.height < 2:
            continue
        before, newest = (set(columns) for columns in own["columns"].tail(2))
        compared, changed = compared + 1, changed + len(before ^ newest)
        if before != newest:
            gone, added = (", ".join(sorted(names)) for names in (before - newest, newest - before))
            file = own["file_name"][-1]
            worst.append({"retailer": retailer, "feed": str(feed), "file": file, "gone": gone, "added": added})
    return Measured(retailer, float(changed) if compared else None, worst[:SHOWN])


def unusual_volume(facts: Facts) -> list[Measured]:
    """Per retailer the largest deviation of a day's rows from the median of its weekday before, as a share of that.

    Of the newest days up to the newest one with sales, public holidays left out. A day between days with sales that has
    none is judged as well. A weekday that has been seen too seldom says nothing.
    """
    return [
        _unusual(retailer, facts.settings.retailers[retailer], facts["volumes"].filter(retailer=retailer))
        for retailer in facts.retailers
    ]


def _unusual(retailer: str, declared: Retailer, volumes: pl.DataFrame) -> Measured:
    rows: dict[date, int] = dict(volumes.select("business_day", "rows").iter_rows())
    if not rows:
        return Measured(retailer, None)
    newest = max(rows)
    days = [newest - timedelta(days=n) for n in range(min(DAYS_JUDGED, (newest - min(rows)).days + 1))]
    holidays = public_holidays(declared, days[-1], newest)
    found: list[tuple[float, date, int, float]] = []
    for day in days:
        before = [rows[past] for n in range(1, WEEKS_BEFORE + 1) if (past := day - timedelta(weeks=n)) in rows]
        if day in holidays or len(before) < FEWEST_WEEKS:
            continue
        usual = float(pl.Series(before).median())  # type: ignore[arg-type]
        found.append((abs(rows.get(day, 0) - usual) / usual, day, rows.get(day, 0), usual))
    found.sort(key=lambda item: (-item[0], item[1]))
    worst: list[Worst] = [
        {"retailer": retailer, "day": str(day), "rows": count, "usual": usual, "off": round(off, 3)}
        for off, day, count, usual in found
    ]
    return Measured(retailer, found[0][0] if found else None, worst)


def _rows(frame: pl.DataFrame) -> list[Worst]:
    return [
        {k: v if isinstance(v, int | float) else str(v) for k, v in row.items()} for row in frame.head(SHOWN).to_dicts()
    ]
