"""`proposed_clusters_log`: shapes that novel reports share, waiting for somebody to name them."""

from mrs_assets.contracts.columns import Count, Instant, Numbers, Texts, optional, required, share
from mrs_assets.contracts.contract import Contract, Rows

DECISIONS = ("proposed", "approved", "rejected")


class ProposedCluster(Rows):
    """One group of novel reports of one retailer that look alike."""

    proposal_id: str = required(str_matches=r"^novel-[0-9a-f]{20}$", description="Identity: a hash of the members.")
    suggested_name: str = required(description="What the shape is like, in words of its features.")
    centroid: Numbers = required(description="Median feature vector of the members.")
    members: Texts = required(description="Sorted ids of the reports.")
    member_count: Count = required(ge=1, description="How many reports there are.")
    stability: float = share(
        description="Mean Jaccard index with what is found again among other parts of the reports."
    )
    library_version: str = required(description="Library in which the members were novel.")
    decision: str = required(isin=list(DECISIONS), description=f"One of {', '.join(DECISIONS)}.")
    cluster_name: str = optional(str_length={"min_value": 1, "max_value": 80}, description="Name given at approval.")
    decided_by: str = optional(str_length={"min_value": 1, "max_value": 256}, description="Who decided; NULL: nobody.")
    decided_at: Instant = optional(description="When. UTC.")


PROPOSED_CLUSTERS = Contract(
    name="proposed_clusters_log", rows=ProposedCluster, key=("retailer", "proposal_id"), stage="clustering"
)
