"""The contextual events feed, optional: dated, located signals from outside, such as weather or competitors."""

from mrs_assets.contracts.columns import Instant, Texts, name, optional, required
from mrs_assets.contracts.contract import Contract, Rows
from mrs_assets.contracts.feed import AdmissionRule, FeedColumn, FeedContract, Target
from mrs_assets.contracts.feeds.places import PLACE_RULES
from mrs_assets.contracts.feeds.spans import span_rules

SIGNAL_TYPES = ("weather", "competitor", "social", "operational", "holiday", "price", "other")


class ContextualEvent(Rows):
    """One dated, located signal from outside: weather, competitor, social, operational, holiday, price."""

    event_id: str = name(description="Identifier of the signal.")
    signal_type: str = required(isin=list(SIGNAL_TYPES), description=f"One of {', '.join(SIGNAL_TYPES)}.")
    title: str = optional(str_length={"max_value": 1_000}, description="What happened, in words.")
    starts_at: Instant = required(description="When it began. UTC.")
    ends_at: Instant = required(description="When it ended. UTC.")
    direction: str = optional(isin=["up", "down"], description="Which way it should move sales; NULL: not said.")
    strength: float = optional(description="How strong it was, on the provider's own scale.")
    stores: Texts = optional(description="Stores concerned; NULL: not limited to stores.")
    skus: Texts = optional(description="Products concerned; NULL: not limited to products.")
    regions: Texts = optional(description="Regions concerned; NULL: not limited to regions.")
    latitude: float = optional(ge=-90, le=90, description="Where it was centred, degrees north.")
    longitude: float = optional(ge=-180, le=180, description="Where it was centred, degrees east.")
    radius_km: float = optional(ge=0, description="How far it reached, kilometres.")


CONTEXTUAL_EVENTS = Contract(
    name="contextual_events_log", rows=ContextualEvent, key=("retailer", "event_id"), stage="feeds"
)

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
        *PLACE_RULES,
        AdmissionRule("negative_radius", "radius_km < 0", "radius_km is negative: send the distance reached."),
    ),
)
