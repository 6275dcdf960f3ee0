"""What corrected data does to identities: who takes another report's place names it; what was closed stays closed."""

from __future__ import annotations

import polars as pl

from mrs_assets.contracts.columns import SERIES
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.ended import CORRECTED, ENDED
from mrs_assets.contracts.stage import Frames

_WINDOW = ["window_start", "last_anomalous_at"]


def continued(frames: Frames, previous: pl.DataFrame, past: pl.DataFrame, closed: pl.DataFrame) -> Frames:
    """The stage's frames with what connects them to what was said before.

    A report that is raised now and was not before, on a series where another report of the same direction and of an
    overlapping window is not raised any more, supersedes it: the one with the longest overlap, of equals the smaller
    identity. A report that superseded another one goes on saying so.

    Args:
        frames: what the stage computed.
        previous: MRDL rows of the computed days, as they were.
        past: MRDL rows of the days before.
        closed: MEEL rows of the computed days, as they were; closures by corrected data hold while the report is gone.
    """
    rows = frames[DETECTED.name]
    said = pl.concat([previous, past]).filter(pl.col("supersedes").is_not_null())
    kept = said.select("report_id", kept="supersedes").unique("report_id").join(rows, on="report_id", how="semi")
    took = _successors(rows, previous, past)
    rows = (
        rows.drop("supersedes", strict=False)
        .join(took, on="report_id", how="left", maintain_order="left")
        .join(kept, on="report_id", how="left", maintain_order="left")
        .with_columns(supersedes=pl.coalesce("took", "kept"))
        .drop("took", "kept")
    )
    gone = closed.filter(resolution_reason=CORRECTED).join(rows, on="report_id", how="anti")
    ended = pl.concat([ENDED.conform(frames[ENDED.name]), gone.select(list(ENDED.body))])
    return {DETECTED.name: rows, ENDED.name: ended}


def _successors(rows: pl.DataFrame, previous: pl.DataFrame, past: pl.DataFrame) -> pl.DataFrame:
    """Columns report_id, took."""
    born = _newest(rows.join(previous, on="report_id", how="anti").join(past, on="report_id", how="anti"))
    vanished = _newest(previous.join(rows, on="report_id", how="anti").join(past, on="report_id", how="anti"))
    pairs = born.join(vanished, on=[*SERIES, "direction"], suffix="_before").with_columns(
        overlap=pl.min_horizontal("last_anomalous_at", "last_anomalous_at_before")
        - pl.max_horizontal("window_start", "window_start_before")
    )
    return (
        pairs.filter(pl.col("overlap") > pl.duration())
        .sort("report_id", pl.col("overlap"), "report_id_before", descending=[False, True, False])
        .unique("report_id", keep="first", maintain_order=True)
        .select("report_id", took="report_id_before")
    )


def _newest(rows: pl.DataFrame) -> pl.DataFrame:
    newest = rows.sort("report_id", "tick").unique("report_id", keep="last", maintain_order=True)
    return newest.select("report_id", *SERIES, "direction", *_WINDOW)
