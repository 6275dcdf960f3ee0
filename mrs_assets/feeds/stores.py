"""The stores feed, optional: where each store is, and when it trades.

A store is not a thing of one day: every row has the first day of the calendar as business day, so that a reader of any
days finds it and a changed description never leaves an older one behind.
"""

from mrs_assets.contracts.feed import AdmissionRule, FeedColumn, FeedContract, Target
from mrs_assets.contracts.logs.context import STORES

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
        AdmissionRule(
            "latitude_out_of_range",
            "latitude NOT BETWEEN -90 AND 90",
            "latitude is outside of -90 to 90: send degrees.",
        ),
        AdmissionRule(
            "longitude_out_of_range",
            "longitude NOT BETWEEN -180 AND 180",
            "longitude is outside of -180 to 180: send degrees.",
        ),
        AdmissionRule("bad_clock", "opens_at = '24:00'", "opens_at is 24:00: send the time at which the store opens."),
    ),
)
