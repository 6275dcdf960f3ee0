"""The naive model: what files and words come to, folded with nothing but dictionaries.

It knows none of our code. Last word per fact wins, whatever file it came in; what a file does not mention
stands, save where the retailer's files speak for whole store-days.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Fact = tuple[str, str, str, str]
"""Retailer, store, sku, ISO day."""

SPEAKS_FOR_STORE_DAYS = {"bolt"}
"""Retailers whose files are the whole truth of each store-day of which they have a row."""

Word = Mapping[str, Any]
"""One action of an analyst, as sent."""


@dataclass
class Naive:
    """Everything that was sent, folded.

    Attributes:
        facts: fact → units as text; None: no value.
        signals: (retailer, event) → the signal as last sent.
        words: annotation → action, in the order in which they came.
    """

    facts: dict[Fact, str | None] = field(default_factory=dict)
    signals: dict[tuple[str, str], Word] = field(default_factory=dict)
    words: dict[str, Word] = field(default_factory=dict)

    def read(self, feed: str, retailer: str, text: str) -> None:
        if feed == "sales":
            self._read_sales(retailer, list(csv.DictReader(io.StringIO(text))))
        for line in text.splitlines() if feed != "sales" else ():
            said = json.loads(line)
            if feed == "edits":
                self.words[said["annotation_id"]] = said
            else:
                self.signals[retailer, said["event_id"]] = said

    def _read_sales(self, retailer: str, rows: list[dict[str, str]]) -> None:
        said: dict[Fact, str | None] = {}
        contradicts_itself = False
        for row in rows:
            fact = (retailer, row["store_id"], row["sku"], row["ts"])
            contradicts_itself |= fact in said and said[fact] != (row["units"] or None)
            said[fact] = row["units"] or None
        if retailer in SPEAKS_FOR_STORE_DAYS and not contradicts_itself:
            spoken_for = {(retailer, store, day) for _, store, _, day in said}
            lacking = {f for f in self.facts if (f[0], f[1], f[3]) in spoken_for and f not in said}
            self.facts = {fact: units for fact, units in self.facts.items() if fact not in lacking}
        self.facts |= said


@dataclass
class Verdict:
    """What the standing words on one report come to: the last decision, the last value per field, evidence given."""

    decision: str | None = None
    reopened: bool = False
    fields: dict[str, str] = field(default_factory=dict)
    evidence: int = 0


def verdict(words: Iterable[Word]) -> Verdict:
    """Fold the words on one report."""
    ordered = sorted(words, key=lambda w: (w["acted_at"], w["annotation_id"]))
    undone = undone_by(ordered)
    said = Verdict()
    by_edit: str | None = None
    for word in ordered:
        action = word["action"]
        if word["annotation_id"] in undone or action == "undo":
            continue
        if action == "add_evidence":
            said.evidence += 1
        elif action == "clear":
            said.fields.pop(word["field"], None)
            if by_edit == word["field"]:
                return _without_edits_of(ordered, word)
        elif action == "edit":
            said.fields[word["field"]] = word["value"]
        if action in DECISIONS or (action == "edit" and word["field"] in DECIDING):
            said.decision, by_edit = DECISIONS.get(action, "edited"), word["field"] if action == "edit" else None
            said.reopened = False
        elif action == "reopen":
            said.decision, said.reopened, by_edit = None, True, None
    return said


def undone_by(words: Iterable[Word]) -> set[str]:
    """What was taken back: an undo that was itself undone takes nothing back."""
    undone: set[str] = set()
    for word in sorted(words, key=lambda w: (w["acted_at"], w["annotation_id"]), reverse=True):
        if word["action"] == "undo" and word["annotation_id"] not in undone:
            undone.add(word["undoes"])
    return undone


DECIDING = ("final_cause", "final_cause_category")
DECISIONS = {"approve": "approved", "reject": "rejected", "defer": "deferred"}


def _without_edits_of(ordered: list[Word], clear: Word) -> Verdict:
    """An edit that was cleared decided nothing: fold again as if it had never been said."""
    before = (clear["acted_at"], clear["annotation_id"])
    return verdict(
        w
        for w in ordered
        if w is not clear
        and not (
            w["action"] == "edit" and w["field"] == clear["field"] and (w["acted_at"], w["annotation_id"]) < before
        )
    )
