"""500 random histories of edits and corrections, side by side in one warehouse: every standing word is accounted for.

What is expected is kept in a plain model beside the warehouse: what the machine says of each identity that a report
takes on, and what each author had seen of it.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.edits import USER_EDITS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.views import MINORITY_REPORTS
from mrs_assets.finalisation.asset_body import finalise_scope
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.hydrator import Hydrator
from mrs_resources.log_store import LogStore, Transaction
from tests.finalisation.test_edits_survive import MARCH, SETTINGS, STAGES
from tests.hydration.rows import PROVENANCE, action, instant, put, replace_all, report_id, row

HISTORIES, STEPS, IDENTITIES = 500, 7, 3
CAUSES = ("Campaign 1", "Rain", "Till fault")
DECIDING = ("approve", "reject", "defer", "reopen")

Says = dict[str, Any]
"""What the machine says of an identity; empty where it does not exist."""


@dataclass
class Word:
    """One action, with what its author looked at."""

    id: str
    what: str
    made_on: int
    seen_at: datetime
    saw: Says
    value: str | None = None
    undoes: str | None = None


@dataclass
class History:
    """One report: the identities it takes on, what replaced what, and what was said."""

    n: int
    chance: random.Random
    says: dict[int, Says] = field(default_factory=dict)
    parent: dict[int, int] = field(default_factory=dict)
    beliefs: dict[int, list[tuple[datetime, Says]]] = field(default_factory=dict)
    words: list[Word] = field(default_factory=list)

    def drawn(self) -> Says:
        pick = self.chance.choice
        return {"cause": pick(CAUSES), "direction": pick(("up", "up", "down")), "impact": pick((100, 150, 400))}

    def correct(self) -> None:
        here = self.chance.choice(list(self.says))
        what = self.chance.choice(("cause", "cause", "direction", "impact", "existence", "identity"))
        if what == "existence":
            self.says[here] = {} if self.says[here] else self.drawn()
        elif what == "identity" and len(self.says) < IDENTITIES:
            new = self.n * IDENTITIES + len(self.says)
            self.parent[new], self.says[new], self.says[here] = here, self.drawn(), {}
        elif self.says[here] and what != "identity":
            self.says[here] = self.says[here] | {what: self.drawn()[what]}

    def speak(self) -> dict[str, Any]:
        pick = self.chance.choice
        here = pick(list(self.beliefs))
        belief = pick(self.beliefs[here][-2:])  # the newest, or a screen that was not loaded again
        earlier = [word for word in self.words if word.what != "undo" and word.id not in self.undone]
        choices = ("edit", "edit", "approve", "reject", "add_evidence", "request_review", "defer", "reopen", "clear")
        what = pick((*choices, "undo") if earlier else choices)
        word = Word(f"a-{self.n}-{len(self.words)}", what, here, *belief)
        word.value = pick(CAUSES) if what == "edit" else belief[1]["cause"] if what == "approve" else None
        word.undoes = pick(earlier).id if what == "undo" else None
        acted_at = instant(10 + len(self.words))
        self.words.append(word)
        return action(
            USER_EDITS,
            word.id,
            what,
            here,
            field="final_cause" if what in ("edit", "clear") else None,
            value=word.value,
            undoes=word.undoes,
            acted_at=acted_at,
            based_on_written_at=word.seen_at,
        )

    @property
    def undone(self) -> set[str]:
        return {word.undoes for word in self.words if word.undoes}

    def reaching(self, identity: int) -> list[Word]:
        """Standing words on an identity and on those that it replaced, in the order of acting."""
        line = {identity}
        while identity in self.parent:
            line.add(identity := self.parent[identity])
        return [w for w in self.words if w.made_on in line and w.what != "undo" and w.id not in self.undone]


def test_no_edit_is_silently_dropped(store: LogStore) -> None:
    histories = [History(n, random.Random(n)) for n in range(1, HISTORIES + 1)]  # noqa: S311 - histories, not secrets
    for history in histories:
        history.says[history.n * IDENTITIES] = history.drawn()
    reviews = 0
    with store.transaction() as tx:
        for _ in range(STEPS):
            _write(tx, histories)
            put(tx, USER_EDITS, *(h.speak() for h in histories if h.beliefs and h.chance.random() < 0.7))
            finalise_scope(tx, MARCH, SETTINGS, PROVENANCE)
            records = {record["report_id"]: record for record in tx.live(FINALISED).iter_rows(named=True)}
            for history in histories:
                for identity, says in history.says.items():
                    record = records[report_id(identity)]
                    _check(history, identity, says, record)
                    reviews += record["review_sides"] is not None
            _look(tx, histories)
            for history in histories:
                history.correct()
    assert reviews > HISTORIES, "the histories are worth trying"


def _write(tx: Transaction, histories: list[History]) -> None:
    alive = [(h, n, says) for h in histories for n, says in h.says.items() if says]
    for contract in STAGES:
        rows = []
        for h, n, says in alive:
            values = {
                DETECTED: {
                    "direction": says["direction"],
                    "impact_estimate": says["impact"],
                    "supersedes": report_id(h.parent[n]) if n in h.parent else None,
                },
                ATTRIBUTED: {"proposed_cause": says["cause"]},
            }
            rows.append(row(contract, n=n, **values.get(contract, {})))
        replace_all(tx, contract, *rows)


def _look(tx: Transaction, histories: list[History]) -> None:
    """Everybody reads the published view; of a closed record its last known values are seen."""
    shown = Hydrator(FOLDS).as_of(tx, MINORITY_REPORTS, None)
    known_at = dict(zip(shown["report_id"], shown["known_at"], strict=True))
    for history in histories:
        for identity, says in history.says.items():
            seen = history.beliefs.setdefault(identity, [])
            seen.append((known_at[report_id(identity)], says or seen[-1][1]))


def _check(history: History, identity: int, says: Says, record: dict[str, Any]) -> None:
    words = history.reaching(identity)
    where = (history.n, identity, [(w.id, w.what, w.value) for w in words], says, record)
    made_elsewhere = sorted({report_id(w.made_on) for w in words} - {report_id(identity)})
    assert record["edited_as"] == (made_elsewhere or None), where
    assert record["evidence_count"] == sum(w.what == "add_evidence" for w in words), where
    set_ = [w for w in words if w.what in ("edit", "clear")][-1:]
    held = next((w for w in set_ if w.what == "edit"), None)
    if held is not None:
        assert (record["final_cause"], record["source_used_final"]) == (held.value, "ui"), where
    deciding = [w for w in words if w.what in DECIDING or w is held]
    decided = deciding[-1] if deciding and deciding[-1].what != "reopen" else None
    assert record["annotation_id"] == (decided.id if decided else None), where
    if held is None and decided is not None and decided.what == "approve":
        assert record["final_cause"] == decided.value, where

    last = [w for w in words if w.what in ("request_review", *DECIDING) or w is held][-1:]
    is_reopened = bool(says) and [w.what for w in last] == ["reopen"]
    assert record["report_status"].startswith("reopened") == is_reopened, where

    expected = _conflicts(words, held, decided, says) if says else set()
    found = json.loads(record["review_sides"] or "[]")
    assert {(side["annotation_id"], side["field"]) for side in found} == expected, where
    if expected:
        codes = {f"needs_review_{field}" for _, field in expected}
        assert codes <= set(record["edit_issues"]), where
        assert record["review_state"] in ("needs_review", *(_ASKS.get(w.what) for w in last)), where
    else:
        assert record["review_state"] == (_ASKS.get(last[0].what) if last else None), where


_ASKS = {"request_review": "requested", "defer": "deferred", "reopen": "reopened"}


def _conflicts(words: list[Word], held: Word | None, decided: Word | None, says: Says) -> set[tuple[str, str]]:
    expected = set()
    if held is not None:
        confirmed = [w for w in words[words.index(held) :] if w is held or w.what in ("approve", "reject")]
        saw = max(confirmed, key=lambda w: w.seen_at).saw
        if says["cause"] not in (saw["cause"], held.value):
            expected.add((held.id, "final_cause"))
    if decided is not None and decided.what != "defer":
        if decided.what == "approve" and says["cause"] != decided.value:
            expected.add((decided.id, "final_cause"))
        if says["direction"] != decided.saw["direction"]:
            expected.add((decided.id, "direction"))
        if max(says["impact"], decided.saw["impact"]) > 2 * min(says["impact"], decided.saw["impact"]):
            expected.add((decided.id, "impact"))
    return expected
