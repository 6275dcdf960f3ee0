"""Optional feeds: promotions, campaigns, contextual events and stores."""

import polars as pl

from mrs_assets.contracts.columns import Amount, Instant, Texts, name, optional, required
from mrs_assets.contracts.contract import Contract, Rows

SIGNAL_TYPES = ("weather", "competitor", "social", "operational", "holiday", "price", "other")


class Promotion(Rows):
    """One promotion of one SKU in one store over a span of days."""

    promotion_id: str = name(description="The retailer's identifier of the promotion.")
    store_id: str = name(description="Store; `*` for all stores.")
    sku: str = name(description="Product; `*` for all products.")
    start_day: pl.Date = required(description="First local trading day, included.")
    end_day: pl.Date = required(description="Last local trading day, included.")
    mechanic: str = optional(description="How it is promoted: display, mailer, price cut, …")
    promo_price: Amount = optional(description="Price while promoted, in the retailer's currency.")


class Campaign(Rows):
    """One marketing campaign over a span of days."""

    campaign_id: str = name(description="Identifier of the campaign.")
    campaign_name: str = optional(description="What people call it.")
    channel: str = optional(description="Where it ran: mail, TV, search, …")
    start_day: pl.Date = required(description="First local trading day, included.")
    end_day: pl.Date = required(description="Last local trading day, included.")
    stores: Texts = optional(description="Stores addressed; NULL: not limited to stores.")
    skus: Texts = optional(description="Products addressed; NULL: not limited to products.")
    regions: Texts = optional(description="Regions addressed; NULL: not limited to regions.")


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


PROMOTIONS = Contract(
    name="promotions_log", rows=Promotion, key=("retailer", "promotion_id", "store_id", "sku"), stage="feeds"
)
CAMPAIGNS = Contract(name="campaigns_log", rows=Campaign, key=("retailer", "campaign_id"), stage="feeds")
CONTEXTUAL_EVENTS = Contract(
    name="contextual_events_log", rows=ContextualEvent, key=("retailer", "event_id"), stage="feeds"
)
STORES = Contract(name="stores_log", rows=Store, key=("retailer", "store_id"), stage="feeds")
