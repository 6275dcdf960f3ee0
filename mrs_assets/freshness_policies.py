"""How long the Dagster UI holds an asset for fresh after it ran; what came of it is told by the objectives.

A policy is about an asset as a whole: the newest run of any partition counts. Which retailer is late, and what share of
retailer-days was shown in time, is in `mrs_assets.slo`.
"""

from collections.abc import Iterable
from datetime import timedelta

import dagster as dg

from mrs_assets.contracts.settings import Settings
from mrs_assets.graph import BY_THE_CLOCK

UNSEEN_AFTER = timedelta(minutes=15)
"""Three looks at the service levels that did not happen."""


def with_freshness_policies(
    assets: Iterable[dg.AssetsDefinition], settings: Settings
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The same assets, each with its policy."""
    late = timedelta(hours=settings.slo.sales_hours)

    def within(spec: dg.AssetSpec) -> dg.AssetSpec:
        window = UNSEEN_AFTER if spec.key.to_user_string() in BY_THE_CLOCK else late
        return spec.replace_attributes(freshness_policy=dg.FreshnessPolicy.time_window(fail_window=window))

    return list(dg.map_asset_specs(within, list(assets)))
