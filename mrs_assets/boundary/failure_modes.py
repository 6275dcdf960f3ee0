"""The ways in which what is not critical fails, and what becomes of each. The tests try every one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["flagged", "dead letters", "nothing"]
"""`flagged`: rows carry the reason; `dead letters`: bad rows are set aside, good ones used; `nothing`: all is well."""


@dataclass(frozen=True)
class FailureMode:
    """One way to fail.

    Attributes:
        name: short name.
        means: what happens to the input or the stage.
        outcome: what rows say.
        heals: what mends it.
    """

    name: str
    means: str
    outcome: Outcome
    heals: str


A_GOOD_FILE = "a good file"
THE_NEXT_TRY = "the next try"

FEED_MODES = (
    FailureMode("absent", "no file ever came", "flagged", A_GOOD_FILE),
    FailureMode("late", "the newest file is older than `late_after_days`", "flagged", A_GOOD_FILE),
    FailureMode("empty", "a file without rows", "flagged", A_GOOD_FILE),
    FailureMode("missing column", "a required column is not there: the file is rejected", "flagged", A_GOOD_FILE),
    FailureMode("renamed column", "a required column has an unknown name: rejected", "flagged", A_GOOD_FILE),
    FailureMode("retyped column", "a required column reads as something else: no row comes in", "flagged", A_GOOD_FILE),
    FailureMode("extra columns", "columns that nobody knows: not read", "nothing", "not needed"),
    FailureMode("malformed rows", "some rows do not parse", "dead letters", A_GOOD_FILE),
    FailureMode("not a number", "NaN or infinity in a number", "dead letters", A_GOOD_FILE),
    FailureMode("duplicated keys", "the same row twice", "nothing", "not needed"),
    FailureMode("conflicting keys", "two rows of one key that differ", "dead letters", A_GOOD_FILE),
    FailureMode("shifted dates", "dates beyond what a file may speak of: no row comes in", "flagged", A_GOOD_FILE),
    FailureMode("wrong units", "numbers of another unit: nobody can see it in one file", "nothing", A_GOOD_FILE),
    FailureMode("slow", "reading takes long, within its limit", "nothing", "not needed"),
    FailureMode("hanging", "reading takes longer than its limit", "flagged", THE_NEXT_TRY),
    FailureMode("raising", "reading fails", "flagged", THE_NEXT_TRY),
    FailureMode("out of memory", "reading takes more memory than its limit", "flagged", THE_NEXT_TRY),
    FailureMode("killed", "whoever reads it is killed with -9", "flagged", THE_NEXT_TRY),
)
"""Of an optional feed."""

WANT_MODES = (
    FailureMode("dropped", "it is not there when the stage reads", "flagged", THE_NEXT_TRY),
    FailureMode("unreadable", "reading it fails", "flagged", THE_NEXT_TRY),
)
"""Of what a stage wants, whatever it is: a feed's log, another stage's log, a model, edits."""

STAGE_MODES = (
    FailureMode("raising", "it fails", "flagged", THE_NEXT_TRY),
    FailureMode("hanging", "it takes longer than its limit", "flagged", THE_NEXT_TRY),
    FailureMode("out of memory", "it takes more memory than its limit", "flagged", THE_NEXT_TRY),
    FailureMode("killed", "its process is killed with -9", "flagged", THE_NEXT_TRY),
    FailureMode("out of order", "rows come back under their neighbours' keys", "flagged", THE_NEXT_TRY),
)
"""Of a stage that computes apart."""
