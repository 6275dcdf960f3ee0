"""`unified_sales_data`: sales facts as received."""

from mrs_assets.contracts.columns import Amount, Instant, name, optional, required
from mrs_assets.contracts.contract import Contract, Rows


class UnifiedSales(Rows):
    """One received sales fact, versioned."""

    store_id: str = name(description="The retailer's store identifier, as received.")
    sku: str = name(description="The retailer's product identifier, as received.")
    ts: Instant = required(description="Start of the interval, or the moment, that the fact is about. UTC.")
    source: str = name(description="Which source counted: `till` unless the feed says otherwise.")
    units: Amount = optional(description="Units sold, net of returns. NULL: the retailer declared no value.")
    revenue: Amount = optional(description="Net sales in the retailer's currency.")
    unit_price: Amount = optional(description="Price per unit in the retailer's currency.")
    on_promotion: bool = optional(description="Whether the retailer says the item was promoted.")
    source_file: str = required(description="Name under which the file arrived.")
    source_file_hash: str = required(description="SHA-256 of the file as received; finds it in the archive.")
    received_at: Instant = required(description="When the file was found in the inbox. UTC.")
    last_seen_at: Instant = optional(description="When the source itself last heard from its device. UTC.")


UNIFIED_SALES = Contract(
    name="unified_sales_data",
    rows=UnifiedSales,
    key=("retailer", "store_id", "sku", "ts", "source"),
    stage="feeds",
    lineage=("source_file", "source_file_hash", "received_at"),
)
