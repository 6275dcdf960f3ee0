"""The sales feed, critical: what was sold, by store, product and interval."""

from mrs_assets.contracts.feed import FeedColumn, FeedContract, Target
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES

SALES_FEED = FeedContract(
    name="sales",
    columns=(
        FeedColumn(
            "store_id",
            "id",
            required=True,
            filled=True,
            synonyms=("store", "store_number", "store_code", "branch", "branch_id"),
        ),
        FeedColumn(
            "sku",
            "id",
            required=True,
            filled=True,
            synonyms=("sku_id", "product_id", "item_id", "product_code", "ean", "upc", "gtin"),
        ),
        FeedColumn(
            "ts",
            "instant",
            required=True,
            filled=True,
            synonyms=("timestamp", "datetime", "date", "day", "business_day", "business_date", "sales_date"),
        ),
        FeedColumn("units", "amount", required=True, synonyms=("quantity", "qty", "units_sold", "sales_units")),
        FeedColumn("revenue", "amount", synonyms=("net_sales", "sales_value", "turnover")),
        FeedColumn("unit_price", "amount", synonyms=("price",)),
        FeedColumn("on_promotion", "flag", synonyms=("onpromotion", "promoted", "is_promotion")),
        FeedColumn("source", "id", default="till", default_when_blank=True),
        FeedColumn("last_seen_at", "instant"),
    ),
    targets=(Target(UNIFIED_SALES),),
    day_of="ts",
    days_ahead=1,
    day_in_key=True,
    critical=True,
    always=True,
)
"""Negative units are returns and legal; a blank number means that the retailer declared no value."""
