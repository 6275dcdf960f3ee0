"""Learning of the cluster library: shapes on the retailers' own series, confirmed reports, approved proposals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from mrs_assets.clustering.backgrounds import QuietTimes, reportable
from mrs_assets.clustering.features import NAMES, Array, Windows, vectors
from mrs_assets.clustering.library import NOVEL, SEED, Library, Sample, dump, library_of, match
from mrs_assets.clustering.shapes import drawn_onto, made_up, variants
from mrs_assets.contracts.trainable import Learnt, Lessons

DRAWN, KEPT, MADE_UP = 500, 160, 60
"""Windows drawn per variant onto real series, those of them that are learnt from at most, and made-up ones beside."""

FEWEST_CONFIRMED = 8
"""Confirmed reports of a cluster from which on they make an entry of their own."""

FEWEST_MEMBERS = 4
CONFIRMED = ("approved", "edited")


def learn_library(lessons: Lessons) -> Learnt:
    """Learn a library. The same lessons give the same bytes.

    Raises:
        UserMistake: no series has an expectation over enough ticks.
    """
    quiet = QuietTimes(lessons["series"], lessons["baseline"])
    taught = drawn_samples(quiet, SEED)
    library = library_of([*taught, *confirmed_samples(lessons), *approved_samples(lessons)])
    tried = drawn_samples(quiet, SEED + 1_000_000)
    return Learnt(dump(library), figures(library, tried))


def drawn_samples(quiet: QuietTimes, seed: int) -> list[Sample]:
    """Draw every variant onto quiet times, as far as detection would report it, and onto made-up series beside."""
    samples = []
    for n, (_, family, duration, peak, reach) in enumerate(variants()):
        real = drawn_onto(quiet.drawn(DRAWN, seed + n), family, duration, peak, reach, seed + n)
        some = vectors(_only(real, np.flatnonzero(reportable(real))[:KEPT]))
        more = vectors(drawn_onto(made_up(MADE_UP, seed + n), family, duration, peak, reach, seed + n))
        both = np.concatenate([some, more])
        samples.append(Sample(family.id, family.name, both[np.random.default_rng(seed + n).permutation(len(both))]))
    return samples


def _only(windows: Windows, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Windows:
    return Windows(**{name: value[rows] for name, value in vars(windows).items()})


def confirmed_samples(lessons: Lessons) -> list[Sample]:
    """Reports that a person confirmed, by the cluster that they were in."""
    records = lessons["finalised"].filter(
        pl.col("final_decision").is_in(CONFIRMED)
        & pl.col("annotation_id").is_not_null()
        & (pl.col("cluster_id") != NOVEL)
        & pl.col("tick").is_not_null()
    )
    told = records.select("report_id", "tick", "cluster_id", "cluster_name")
    known = told.join(lessons["clustered"].select("report_id", "tick", "feature_vector"), on=["report_id", "tick"])
    found = []
    for (family, name), rows in sorted(known.group_by("cluster_id", "cluster_name")):
        measured = vectors_of(rows.sort("report_id", "tick")["feature_vector"])
        if len(measured) >= FEWEST_CONFIRMED:
            found.append(Sample(str(family), str(name), measured))
    return found


def approved_samples(lessons: Lessons) -> list[Sample]:
    """Novel reports whose proposal was approved, under the name that was given."""
    newest = lessons["clustered"].sort("tick").group_by("report_id", maintain_order=True).last()
    found = []
    for row in lessons["proposals"].filter(decision="approved").sort("proposal_id").iter_rows(named=True):
        members = newest.filter(pl.col("report_id").is_in(row["members"])).sort("report_id")
        measured = vectors_of(members["feature_vector"])
        if len(measured) >= FEWEST_MEMBERS:
            found.append(Sample(str(row["proposal_id"]), str(row["cluster_name"] or row["suggested_name"]), measured))
    return found


def vectors_of(column: pl.Series) -> Array:
    """Stored vectors as a matrix, NaN where NULL; those of another version's features are left out."""
    whole = [v for v in column.to_list() if v is not None and len(v) == len(NAMES)]
    return np.array([[np.nan if x is None else x for x in v] for v in whole], dtype=np.float64).reshape(-1, len(NAMES))


def figures(library: Library, tried: Sequence[Sample]) -> dict[str, float]:
    """Mean over families of the share of unseen windows that find their family; share called novel; windows."""
    right: dict[str, list[float]] = {}
    novel: list[float] = []
    for sample in tried:
        found = match(library, sample.vectors).family
        right.setdefault(sample.family, []).extend(found == library.families.index(sample.family))
        novel.extend(found == -1)
    return {
        "accuracy": round(float(np.mean([np.mean(shares) for shares in right.values()])), 6),
        "novel_share": round(float(np.mean(novel)), 6),
        "windows": float(len(novel)),
        "entries": float(len(library.entries)),
    }
