"""Proposals of new clusters: groups among novel reports, found by density, for somebody to name or to turn down."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.cluster import HDBSCAN

from mrs_assets.clustering.features import NAMES, Array
from mrs_assets.clustering.library import NOVEL, Library, spaced
from mrs_assets.clustering.teaching import vectors_of
from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.logs.proposed_clusters import PROPOSED_CLUSTERS

FEWEST = 8
"""Reports that make a group."""

PARTS, PART_SHARE, SEED = 10, 0.8, 20_170_101
"""Parts of the reports in which a group is looked for again, and how large each is."""

LEAST_STABLE = 0.5
"""Stability under which a group is not worth anybody's time."""

LONGEST_NAME = 80

SAME = 0.5
"""Jaccard index with a proposal that was made before from which on a group is the same one."""


def proposed(clustered: pl.DataFrame, before: pl.DataFrame, library: Library) -> pl.DataFrame:
    """Group the reports of each retailer that are novel at their newest tick.

    Args:
        clustered: rows of the clustered log.
        before: rows of the log of proposals: what was proposed already is not proposed again, whatever came of it.
        library: in whose scale shapes are compared.

    Returns:
        Rows of the log of proposals, sorted. Deterministic: seeded, and the order of rows is irrelevant.
    """
    newest = clustered.sort("tick", "report_id").group_by("report_id", maintain_order=True).last()
    novel = newest.filter((pl.col("cluster_id") == NOVEL) & (pl.col("feature_vector").list.len() == len(NAMES)))
    rows = [
        row
        for (name,), reports in sorted(novel.group_by("retailer"))
        for row in _of_retailer(reports.sort("report_id"), before.filter(retailer=name), library)
    ]
    return PROPOSED_CLUSTERS.conform(pl.DataFrame(rows)) if rows else PROPOSED_CLUSTERS.empty()


def _of_retailer(reports: pl.DataFrame, before: pl.DataFrame, library: Library) -> Iterator[dict[str, object]]:
    if reports.height < FEWEST:
        return
    measured = vectors_of(reports["feature_vector"])
    places = spaced(library, measured)
    told = [set(members) for members in before["members"]]
    found = _groups(places)
    stability = _stability(places, found)
    for group, stable in zip(found, stability, strict=True):
        members = reports["report_id"].gather(group).sort().to_list()
        if stable < LEAST_STABLE or any(_jaccard(set(members), other) >= SAME for other in told):
            continue
        centroid = np.nanmedian(np.where(np.isfinite(measured[group]).any(axis=0), measured[group], 0.0), axis=0)
        digest = hashlib.sha256("\n".join(members).encode()).hexdigest()[:20]
        yield {
            "retailer": reports["retailer"][0],
            "business_day": reports["business_day"].gather(group).max(),
            "proposal_id": f"{NOVEL}-{digest}",
            "suggested_name": suggested_name(centroid),
            "centroid": centroid.tolist(),
            "members": members,
            "member_count": len(members),
            "stability": stable,
            "library_version": library.version,
            "decision": "proposed",
        }


def _groups(places: Array) -> list[NDArray[np.int64]]:
    labels = HDBSCAN(min_cluster_size=FEWEST, allow_single_cluster=True, copy=True).fit_predict(places)
    return [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]


def _stability(places: Array, found: Sequence[NDArray[np.int64]]) -> list[float]:
    """Mean over parts of the reports of the best Jaccard index with a group that is found in the part (Hennig 2007)."""
    rng = np.random.default_rng(SEED)
    best = np.zeros((PARTS, len(found)))
    for part in best:
        chosen = np.sort(rng.permutation(len(places))[: max(FEWEST, round(PART_SHARE * len(places)))])
        again = [set(chosen[group].tolist()) for group in _groups(places[chosen])]
        for n, group in enumerate(found):
            expected = set(group.tolist()) & set(chosen.tolist())
            part[n] = max((_jaccard(expected, other) for other in again), default=0.0)
    return [round(float(mean), 6) for mean in best.mean(axis=0)]


def _jaccard(left: AbstractSet[object], right: AbstractSet[object]) -> float:
    return len(left & right) / max(1, len(left | right))


def suggested_name(centroid: Array) -> str:
    """Say in words what a shape is like, such as `up to 3.1 times, 6 ticks, falling, in the whole store`."""
    at = dict(zip(NAMES, centroid, strict=True))
    ratio, ticks = float(np.exp(at["log_amplitude"])), max(1, round(float(np.exp(at["log_duration"]))))
    size = f"up to {ratio:.1f} times" if ratio >= 1 else f"down to {ratio:.0%}"
    slope = "rising" if at["slope"] > 0.3 else "falling" if at["slope"] < -0.3 else "level"
    jagged = ", jagged" if at["deviation"] > 0.8 else ""
    wide = {"store_share": "store", "item_share": "product", "retailer_share": "retailer"}
    broad = "".join(f", {where}-wide" for name, where in wide.items() if at[name] > 0.4)
    return f"{size}, {ticks} {'tick' if ticks == 1 else 'ticks'}, {slope}{jagged}{broad}"


def decided(known: pl.DataFrame, proposal_id: str, decision: str, name: str | None, actor: str) -> pl.DataFrame:
    """The row of a proposal with a decision, without the instant at which it was made.

    Raises:
        UserMistake: there is no such proposal, or an approval without a name.
    """
    chosen = known.filter(pl.col("proposal_id") == proposal_id)
    if chosen.is_empty():
        ids = ", ".join(known["proposal_id"].sort().to_list()) or "none; `mrs clusters propose` looks for some"
        raise UserMistake(f"There is no proposal {proposal_id!r}.", remedy=f"Proposals: {ids}.")
    given = (name or "").strip()
    if decision == "approved" and not (1 <= len(given) <= LONGEST_NAME and given.isprintable()):
        raise UserMistake(
            "A cluster needs a name to be approved.", remedy=f"Give it one of 1 to {LONGEST_NAME} printable characters."
        )
    return chosen.select(list(PROPOSED_CLUSTERS.body)).with_columns(
        decision=pl.lit(decision), cluster_name=pl.lit(given or None, dtype=pl.String), decided_by=pl.lit(actor)
    )
