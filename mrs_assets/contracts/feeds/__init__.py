"""What each feed may say, and the log that it writes: one file per feed, found by being here.

Reading files and writing logs is not done here: see `mrs_resources.admission`.
"""

from importlib import import_module
from pkgutil import iter_modules

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.feed import FeedContract


def _declared() -> list[FeedContract]:
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    return [declared for module in modules for declared in vars(module).values() if isinstance(declared, FeedContract)]


FEED_DECLARATIONS: dict[str, FeedContract] = {
    feed.name: feed for feed in sorted(_declared(), key=lambda feed: (not feed.critical, feed.always, feed.name))
}
"""Feed name → declaration, in the order in which arrivals of one moment are admitted: sales first, edits last."""

CONTEXT_FEEDS = tuple(feed.name for feed in FEED_DECLARATIONS.values() if not feed.always)
"""Feeds that are expected where `feeds.toml` says so."""

FEED_LOGS: tuple[Contract, ...] = tuple(
    target.contract for feed in FEED_DECLARATIONS.values() for target in feed.targets
)
"""Logs that feeds write; their new rows start a replay."""

__all__ = ["CONTEXT_FEEDS", "FEED_DECLARATIONS", "FEED_LOGS"]
