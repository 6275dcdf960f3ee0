"""Trading days, ticks and public holidays: the calendar arithmetic that every room shares."""

from __future__ import annotations

from datetime import date, datetime, time
from functools import lru_cache

import holidays
import polars as pl

from mrs_assets.contracts.settings import Retailer


def business_day(instant: pl.Expr, retailer: Retailer) -> pl.Expr:
    """The retailer's local trading day of an instant."""
    return instant.dt.convert_time_zone(retailer.timezone).dt.date()


def business_day_of(instant: datetime, retailer: Retailer) -> date:
    """The retailer's local trading day of an instant."""
    return instant.astimezone(retailer.zone).date()


def tick_end(ts: pl.Expr, retailer: Retailer) -> pl.Expr:
    """End of the interval that begins at `ts`: the tick at which its evidence is complete. UTC.

    A day ends at the next local midnight, so that days of 23 and 25 hours are whole.
    """
    if retailer.grain == "1d":
        return ts.dt.convert_time_zone(retailer.timezone).dt.offset_by("1d").dt.convert_time_zone("UTC")
    return ts + retailer.grain_length


def day_start(day: date, retailer: Retailer) -> datetime:
    """The instant at which a trading day begins: its first local midnight."""
    return datetime.combine(day, time(), tzinfo=retailer.zone)


@lru_cache(maxsize=256)
def _holidays_of_year(country: str, subdivision: str | None, year: int) -> dict[date, str]:
    return dict(holidays.country_holidays(country, subdiv=subdivision, years=year))


def public_holidays(retailer: Retailer, first_day: date, last_day: date) -> dict[date, str]:
    """Public holidays between two days, both included: day → name. Empty where no country is set."""
    if retailer.country is None:
        return {}
    return {
        day: name
        for year in range(first_day.year, last_day.year + 1)
        for day, name in sorted(_holidays_of_year(retailer.country, retailer.subdivision, year).items())
        if first_day <= day <= last_day
    }
