"""`sales_timeseries_data`: one clean series per store and SKU, with what is known about each tick."""

from mrs_assets.contracts.columns import Amount, Instant, Texts, name, optional, required
from mrs_assets.contracts.contract import Contract, Rows

COVERAGE = ("received", "missing", "partial", "closed", "not_expected")
QUALITY_FLAGS = (
    "dark_source",
    "double_count",
    "proxy_dropped",
    "proxy_overcount",
    "cross_source_divergence",
    "duplicate_window",
    "repeated_block",
    "returns_exceed_sales",
)


class SalesTimeseries(Rows):
    """One series tick: store × SKU × timestamp, with its coverage."""

    store_id: str = name(description="The retailer's store identifier.")
    sku: str = name(description="The retailer's product identifier.")
    ts: Instant = required(description="Start of the interval, on the retailer's grain. UTC.")
    units: Amount = optional(
        description="Units sold in the interval, net of returns. NULL unless coverage has a value."
    )
    revenue: Amount = optional(description="Net sales in the retailer's currency.")
    unit_price: Amount = optional(description="Mean price per unit in the retailer's currency.")
    on_promotion: bool = optional(description="Whether the retailer says the item was promoted.")
    coverage: str = required(isin=list(COVERAGE), description=f"What the tick rests on: {', '.join(COVERAGE)}.")
    quality_flags: Texts = required(description=f"Doubts about the value, sorted: {', '.join(QUALITY_FLAGS)}.")


SALES_TIMESERIES = Contract(
    name="sales_timeseries_data", rows=SalesTimeseries, key=("retailer", "store_id", "sku", "ts"), stage="series"
)
