"""The campaigns feed, optional: which marketing ran on which days, and whom it addressed."""

from mrs_assets.contracts.feed import FeedColumn, FeedContract, Target
from mrs_assets.contracts.logs.context import CAMPAIGNS
from mrs_assets.feeds.spans import span_rules

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
