"""The stores feed, optional: where each store is, and when it trades.

A store is not a thing of one day: every row has the first day of the calendar as business day, so that a reader of any
days finds it and a changed description never leaves an older one behind.
"""

import polars as pl

from mrs_assets.contracts.columns import Texts, name, optional
from mrs_assets.contracts.contract import Contract, Rows
from mrs_assets.contracts.feed import AdmissionRule, FeedColumn, FeedContract, Target
from mrs_assets.contracts.feeds.places import PLACE_RULES


class Store(Rows):
    """One store as described at a day."""

    store_id: str = name(description="The retailer's store identifier.")
    store_name: str = optional(description="What people call it.")
    region: str = optional(description="The retailer's region.")
    latitude: float = optional(ge=-90, le=90, description="Degrees north.")
    longitude: float = optional(ge=-180, le=180, description="Degrees east.")
    opened_on: pl.Date = optional(description="First trading day.")
    closed_on: pl.Date = optional(description="Last trading day.")
    open_weekdays: Texts = optional(description="Trading weekdays: mon … sun; NULL: not said.")
    opens_at: str = optional(str_matches=r"^([01]\d|2[0-3]):[0-5]\d$", description="Local opening time, HH:MM.")
    closes_at: str = optional(str_matches=r"^([01]\d|2[0-4]):[0-5]\d$", description="Local closing time, HH:MM.")


STORES = Contract(name="stores_log", rows=Store, key=("retailer", "store_id"), stage="feeds")

STORES_FEED = FeedContract(
    name="stores",
    columns=(
        FeedColumn(
            "store_id", "id", required=True, filled=True, synonyms=("store", "store_number", "store_code", "branch")
        ),
        FeedColumn("store_name", "text", synonyms=("name",)),
        FeedColumn("region", "text"),
        FeedColumn("latitude", "number", synonyms=("lat",)),
        FeedColumn("longitude", "number", synonyms=("lon", "lng")),
        FeedColumn("opened_on", "day"),
        FeedColumn("closed_on", "day"),
        FeedColumn("open_weekdays", "weekdays"),
        FeedColumn("opens_at", "clock"),
        FeedColumn("closes_at", "clock"),
    ),
    targets=(Target(STORES),),
    day_of=None,
    days_ahead=0,
    rules=(
        AdmissionRule(
            "end_before_start", "closed_on < opened_on", "closed_on is before opened_on: correct one of them."
        ),
        *PLACE_RULES,
        AdmissionRule("bad_clock", "opens_at = '24:00'", "opens_at is 24:00: send the time at which the store opens."),
    ),
)
