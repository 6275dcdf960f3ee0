"""The contextual events feed, optional: dated, located signals from outside, such as weather or competitors."""

from mrs_assets.contracts.feed import AdmissionRule, FeedColumn, FeedContract, Target
from mrs_assets.contracts.logs.context import CONTEXTUAL_EVENTS, SIGNAL_TYPES
from mrs_assets.feeds.spans import span_rules

CONTEXTUAL_EVENTS_FEED = FeedContract(
    name="contextual_events",
    columns=(
        FeedColumn("event_id", "id", required=True, filled=True, synonyms=("signal_id",)),
        FeedColumn("signal_type", "choice", required=True, filled=True, choices=SIGNAL_TYPES, synonyms=("type",)),
        FeedColumn("title", "text", longest=1_000),
        FeedColumn("starts_at", "instant", required=True, filled=True, synonyms=("start", "start_time")),
        FeedColumn("ends_at", "instant", required=True, filled=True, synonyms=("end", "end_time")),
        FeedColumn("direction", "choice", choices=("up", "down")),
        FeedColumn("strength", "number"),
        FeedColumn("stores", "names", synonyms=("store_ids",)),
        FeedColumn("skus", "names", synonyms=("sku_ids", "products")),
        FeedColumn("regions", "names"),
        FeedColumn("latitude", "number", synonyms=("lat",)),
        FeedColumn("longitude", "number", synonyms=("lon", "lng")),
        FeedColumn("radius_km", "number"),
    ),
    targets=(Target(CONTEXTUAL_EVENTS),),
    day_of="starts_at",
    days_ahead=366,
    rules=(
        *span_rules("starts_at", "ends_at"),
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
        AdmissionRule("negative_radius", "radius_km < 0", "radius_km is negative: send the distance reached."),
    ),
)
