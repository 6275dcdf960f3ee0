"""How a model is declared that is learnt from logs: what it learns from, and one pure function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Model


@dataclass(frozen=True)
class Lessons:
    """What a model is learnt from, read at one instant.

    Attributes:
        settings: everything configured.
        frames: name → live rows of the log, up to the newest day that is learnt from.
        models: names of the models that it builds on → the versions in force; an absent one is not there.
    """

    settings: Settings
    frames: Mapping[str, pl.DataFrame]
    models: Mapping[str, Model] = field(default_factory=dict)

    def __getitem__(self, name: str) -> pl.DataFrame:
        return self.frames[name]


@dataclass(frozen=True)
class Learnt:
    """What came of it.

    Attributes:
        artefact: bytes; the same lessons give the same bytes.
        metrics: figures measured on rows that the model had not seen, by name.
    """

    artefact: bytes
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Trainable:
    """A model that is learnt apart from the tick, registered, and put in force by an approval.

    Attributes:
        name: in the registry; also the asset's name.
        reads: name → log that it learns from; without a row of the first there is nothing to learn, and its days are
            the days of training.
        learn: lessons → artefact and figures. Pure and seeded; raises UserMistake where there is too little to learn.
        description: what the asset page says.
        builds_on: model name → loader of the models whose versions in force it learns with.
    """

    name: str
    reads: Mapping[str, Contract]
    learn: Callable[[Lessons], Learnt]
    description: str
    builds_on: Mapping[str, Callable[[bytes], object]] = field(default_factory=dict)
