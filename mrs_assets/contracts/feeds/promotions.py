"""The promotions feed, optional: which product was promoted in which store on which days."""

import polars as pl

from mrs_assets.contracts.columns import Amount, name, optional, required
from mrs_assets.contracts.contract import Contract, Rows
from mrs_assets.contracts.feed import FeedColumn, FeedContract, Target
from mrs_assets.contracts.feeds.spans import span_rules


class Promotion(Rows):
    """One promotion of one SKU in one store over a span of days."""

    promotion_id: str = name(description="The retailer's identifier of the promotion.")
    store_id: str = name(description="Store; `*` for all stores.")
    sku: str = name(description="Product; `*` for all products.")
    start_day: pl.Date = required(description="First local trading day, included.")
    end_day: pl.Date = required(description="Last local trading day, included.")
    mechanic: str = optional(description="How it is promoted: display, mailer, price cut, …")
    promo_price: Amount = optional(description="Price while promoted, in the retailer's currency.")


PROMOTIONS = Contract(
    name="promotions_log", rows=Promotion, key=("retailer", "promotion_id", "store_id", "sku"), stage="feeds"
)

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
