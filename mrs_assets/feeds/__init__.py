"""What each feed may say: one declaration per file, and the catalogue of them all.

Reading files and writing logs is not done here: see `mrs_resources.admission`.
"""

from mrs_assets.contracts.feed import FeedContract
from mrs_assets.feeds.campaigns import CAMPAIGNS_FEED
from mrs_assets.feeds.contextual_events import CONTEXTUAL_EVENTS_FEED
from mrs_assets.feeds.edits import EDITS_FEED
from mrs_assets.feeds.promotions import PROMOTIONS_FEED
from mrs_assets.feeds.sales import SALES_FEED
from mrs_assets.feeds.stores import STORES_FEED

FEED_DECLARATIONS: dict[str, FeedContract] = {
    feed.name: feed
    for feed in (SALES_FEED, PROMOTIONS_FEED, CAMPAIGNS_FEED, CONTEXTUAL_EVENTS_FEED, STORES_FEED, EDITS_FEED)
}
"""Feed name → declaration, in the order in which arrivals of one moment are admitted."""

__all__ = ["FEED_DECLARATIONS"]
