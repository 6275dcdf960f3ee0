"""Trusts no position: what comes back from a stage is matched, row by row, with what it was asked about."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from mrs_assets.boundary.degrading import degraded_by
from mrs_assets.contracts.stage import Frames, Inputs, Stage

IDENTITY = ("retailer", "business_day", "report_id", "tick", "store_id", "sku")
"""What a row says of whose it is."""


@dataclass(frozen=True)
class Answers:
    """A stage's frames after the match.

    Attributes:
        frames: log name → rows that belong to what was asked; rows of the fallback for what got no answer.
        unexpected: rows that came back and belong to nothing that was asked about, or to it a second time.
        unanswered: asked rows that nothing came back for.
        first: the first unexpected row, in words.
    """

    frames: Frames
    unexpected: int = 0
    unanswered: int = 0
    first: str | None = None

    @property
    def are_whole(self) -> bool:
        """Whether each row asked about got one answer; where not, others may have their neighbour's."""
        return not (self.unexpected or self.unanswered)


def matched(stage: Stage, inputs: Inputs, frames: Frames) -> Answers:
    """Keep the rows that say whose they are and were asked for; a wrong one takes none of its siblings with it.

    One hash join over the rows; a stage that answers for no need in particular is left as it is.
    """
    if stage.answers is None or stage.fallback is None:
        return Answers(frames)
    log, key = stage.writes[0], list(stage.writes[0].key)
    asked = inputs.asked(stage.answers)
    identity = [name for name in IDENTITY if name in asked.columns and name in log.body]
    came = log.conform(frames[log.name]).with_row_index("place")
    good = came.join(asked.select(identity), on=identity, how="semi", nulls_equal=True, maintain_order="left").unique(
        key, keep="first", maintain_order=True
    )
    odd = came.join(good.select("place"), on="place", how="anti", maintain_order="left")
    silent = asked.join(good, on=key, how="anti", maintain_order="left")
    if odd.is_empty() and silent.is_empty():
        return Answers(frames)
    fallen = log.conform(stage.fallback(inputs)[log.name]).join(silent, on=key, how="semi", maintain_order="left")
    whole = pl.concat([good.drop("place"), degraded_by(fallen, [stage.down])])
    first = ", ".join(f"{name} {odd[name][0]}" for name in identity) if odd.height else None
    return Answers({**frames, log.name: whole}, odd.height, silent.height, first)
