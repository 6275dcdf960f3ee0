"""What each measurement hands to the report: figures against targets, tables, pictures, and what they do not say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl
from matplotlib.figure import Figure


@dataclass(frozen=True)
class Target:
    """One figure that was asked for.

    Attributes:
        figure: what is measured, in words.
        measured: the value seen; None where it could not be measured.
        reach: what is asked for.
        aim: what the field's best would look up to.
        lower_is_better: whether the value should stay under its limits.
        interval: 95 % bootstrap interval over stores, where there is one.
        remark: why it is not met, or what it rests on.
    """

    figure: str
    measured: float | None
    reach: float
    aim: float
    lower_is_better: bool = False
    interval: tuple[float, float] | None = None
    remark: str = ""


@dataclass(frozen=True)
class Section:
    """One chapter of the report.

    Attributes:
        title: heading.
        text: Markdown: data, split, seeds, what failed, limits.
        targets: figures that were asked for.
        tables: caption → rows.
        pictures: caption → figure.
    """

    title: str
    text: str
    targets: tuple[Target, ...] = ()
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    pictures: Mapping[str, Figure] = field(default_factory=dict)
