"""The campaigns feed, optional: which marketing ran on which days, and whom it addressed."""

import polars as pl

from mrs_assets.contracts.columns import Texts, name, optional, required
from mrs_assets.contracts.contract import Contract, Rows
from mrs_assets.contracts.feed import FeedColumn, FeedContract, Target
from mrs_assets.contracts.feeds.spans import span_rules


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


CAMPAIGNS = Contract(name="campaigns_log", rows=Campaign, key=("retailer", "campaign_id"), stage="feeds")

CAMPAIGNS_FEED = FeedContract(
    name="campaigns",
    columns=(
        FeedColumn("campaign_id", "id", required=True, filled=True),
        FeedColumn("campaign_name", "text", synonyms=("name",)),
        FeedColumn("channel", "text", synonyms=("medium", "campaign_type")),
        FeedColumn("start_day", "day", required=True, filled=True, synonyms=("start_date", "start", "first_day")),
        FeedColumn("end_day", "day", required=True, filled=True, synonyms=("end_date", "end", "last_day")),
        FeedColumn("stores", "names", synonyms=("store_ids",)),
        FeedColumn("skus", "names", synonyms=("sku_ids", "products")),
        FeedColumn("regions", "names"),
    ),
    targets=(Target(CAMPAIGNS),),
    day_of="start_day",
    days_ahead=366,
    rules=span_rules("start_day", "end_day"),
)
