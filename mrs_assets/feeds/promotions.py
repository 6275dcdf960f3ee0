"""The promotions feed, optional: which product was promoted in which store on which days."""

from mrs_assets.contracts.feed import FeedColumn, FeedContract, Target
from mrs_assets.contracts.logs.context import PROMOTIONS
from mrs_assets.feeds.spans import span_rules

PROMOTIONS_FEED = FeedContract(
    name="promotions",
    columns=(
        FeedColumn("promotion_id", "id", required=True, filled=True, synonyms=("promo_id",)),
        FeedColumn("store_id", "id", filled=True, default="*", synonyms=("store", "store_number", "branch")),
        FeedColumn("sku", "id", filled=True, default="*", synonyms=("sku_id", "product_id", "item_id")),
        FeedColumn("start_day", "day", required=True, filled=True, synonyms=("start_date", "start", "first_day")),
        FeedColumn("end_day", "day", required=True, filled=True, synonyms=("end_date", "end", "last_day")),
        FeedColumn("mechanic", "text", synonyms=("promotion_type", "promo_type")),
        FeedColumn("promo_price", "amount", synonyms=("promotion_price",)),
    ),
    targets=(Target(PROMOTIONS),),
    day_of="start_day",
    days_ahead=366,
    rules=span_rules("start_day", "end_day"),
)
"""Without a store or product column a promotion is one of all stores or products; a blank cell is a mistake."""
