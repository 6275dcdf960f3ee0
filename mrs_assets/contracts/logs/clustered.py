"""MRCL, `minority_reports_clustered_log`: what each report looks like."""

from mrs_assets.contracts.columns import Instant, Numbers, name, optional, required, share
from mrs_assets.contracts.contract import Contract, Rows


class MinorityReportClustered(Rows):
    """One report's cluster at one tick."""

    report_id: str = required(str_matches=r"^MR-[0-9a-f]{20}$", description="Identity of the report.")
    tick: Instant = required(description="Up to when the evidence reaches. UTC.")
    store_id: str = name(description="The retailer's store identifier.")
    sku: str = name(description="The retailer's product identifier.")
    feature_vector: Numbers = optional(description="The report's shape and footprint as numbers.")
    cluster_id: str = optional(description="Entry of the cluster library; NULL: unclustered.")
    cluster_name: str = optional(description="The entry's name; `novel` where no entry is near.")
    similarity_score: float = share(description="Closeness to the entry's centroid.")
    cluster_match_confidence: float = share(description="Share of the closeness over the nearest entries.")
    layout_x: float = optional(description="Place on the 2-D map of clusters, horizontal.")
    layout_y: float = optional(description="Place on the 2-D map of clusters, vertical.")
    report_status: str = required(
        str_matches=r"^clustered(_degraded_\w+)?$", description="`clustered`, with `_degraded_<reason>` where degraded."
    )


CLUSTERED = Contract(
    name="minority_reports_clustered_log",
    code="MRCL",
    rows=MinorityReportClustered,
    key=("report_id", "tick"),
    stage="clustering",
)
