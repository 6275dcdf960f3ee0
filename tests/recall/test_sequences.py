"""1,000 random sequences of reasons to doubt, side by side: they come to rest, and a second run ends the same."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.rereview import REREVIEW_WORKLIST
from mrs_assets.recall.conclusions import concluded
from mrs_assets.recall.facts import Facts
from mrs_assets.recall.table import all_fired
from mrs_assets.recall.worklist import WAITING, queue, to_review, updated
from tests.recall.made import NOW, SETTINGS, frame, report, report_id

SEQUENCES, MEMBERS, STEPS = 1_000, 4, 6
CAUSES = ("Rain", "Campaign", "unknown")
MAX_ROUNDS = 4
LIMITS = SETTINGS.recall.model_copy(
    update={"most_per_run": 1_500, "max_rounds": MAX_ROUNDS, "disagreeing_days": 1, "low_confidence_days": 1}
)


@dataclass
class Simulation:
    """All sequences in one set of facts; each has a retailer and an event of its own.

    The machine is fickle: what it concludes depends on how often it was asked, so that nothing rests because the
    answers agree. `turn` counts its answers.
    """

    seed: int
    now: datetime = NOW
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    worklist: pl.DataFrame = field(default_factory=lambda: REREVIEW_WORKLIST.empty(stored=True))
    requests: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=lambda: {"cause": "choice-1"})
    turn: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chances = [random.Random(self.seed * SEQUENCES + n) for n in range(SEQUENCES)]  # noqa: S311 - no secrets
        for n in range(SEQUENCES):
            for member in range(MEMBERS):
                row = report(n * MEMBERS + member + 1, retailer=f"r{n}", report_group_id=f"ME-{n}", cluster_id=f"c{n}")
                self.reports[row["report_id"]] = row | self._answer(row["report_id"], self.now)

    def facts(self) -> Facts:
        frames = {"reports": frame("reports", *self.reports.values()), "worklist": self.worklist}
        frames["requests"] = frame("requests", *self.requests)
        settings = SETTINGS.model_copy(update={"recall": LIMITS})
        return Facts(self.now, settings, frames, self.versions, {"cluster": "2", "cause": "2"})

    def happen(self, step: int) -> None:
        """One thing happens in each sequence, and to all of them now and then."""
        self.now += timedelta(days=self.chances[0].choice((0, 2, 200)))
        if self.chances[1].random() < 0.4:
            self.versions = {"cause": f"choice-{step}"}
        for n, chance in enumerate(self.chances):
            row = self.reports[report_id(n * MEMBERS + chance.randrange(MEMBERS) + 1)]
            what = chance.choice(("verdict", "reject", "request", "input", "correction", "nothing"))
            if what == "verdict":
                row |= {
                    "final_decision": "edited",
                    "person_cause": chance.choice(CAUSES),
                    "annotation_id": f"{n}-{step}",
                }
            elif what == "reject":
                row |= {"final_decision": "rejected", "person_cause": None, "annotation_id": f"{n}-{step}"}
            elif what == "request":
                asked = {"annotation_id": f"ask-{n}-{step}", "report_id": row["report_id"], "path": "reprocess"}
                self.requests.append(asked | {"actor": "ada", "action": "request_review"})
            elif what == "correction":  # the stages wrote it anew
                row |= self._answer(row["report_id"], self.now) | {"proposed_by": "attribution"}

    def look(self) -> int:
        """One run of recall; how many reports it looked at."""
        facts = self.facts()
        queued = queue(facts, all_fired(facts))
        before = self.worklist
        self._keep(updated(self.worklist, queued.items))
        items = to_review(facts, self.worklist).select(REREVIEW_WORKLIST.body.names())
        if items.is_empty():
            return 0
        rows = [self.reports[asked]["tick"] for asked in items["report_id"]]
        identity = items.select("retailer", "business_day", "report_id", "store_id", "sku").with_columns(
            tick=pl.Series(rows)
        )
        answers = [self._answer(asked, self.now) for asked in items["report_id"]]
        said = {name: [answer[name] for answer in answers] for name in ("proposed_cause", "confidence_score")}
        status = {"report_status": pl.lit("x"), "proposed_cause_category": pl.lit("Weather")}
        causes = ATTRIBUTED.conform(identity.with_columns(**{k: pl.Series(v) for k, v in said.items()}, **status))
        clusters = CLUSTERED.conform(
            identity.with_columns(cluster_id=pl.format("c{}", "retailer"), report_status=pl.lit("x"))
        )
        outcome = concluded(facts, items, clusters, causes, 1.0)
        assert outcome["outcome"].null_count() == 0
        for asked, answer in zip(items["report_id"], answers, strict=True):
            self.reports[asked] |= answer | {"proposed_by": "rereview", "cause_version": self.versions["cause"]}
        self._keep(updated(self.worklist, outcome))
        self._nothing_was_taken_back(before)
        return items.height

    def _answer(self, report: str, now: datetime) -> dict[str, Any]:
        turn = self.turn[report] = self.turn.get(report, -1) + 1
        drawn = hashlib.sha256(f"{report}|{turn}".encode()).digest()
        cause = CAUSES[drawn[0] % len(CAUSES)]
        return {"proposed_cause": cause, "confidence_score": round(drawn[1] / 255, 3), "considered_at": now}

    def _keep(self, body: pl.DataFrame) -> None:
        self.worklist = pl.concat([REREVIEW_WORKLIST.empty(stored=True), body], how="diagonal")

    def _nothing_was_taken_back(self, before: pl.DataFrame) -> None:
        closed = before.filter(~WAITING).select(REREVIEW_WORKLIST.body.names())
        kept = closed.join(self.worklist, on=REREVIEW_WORKLIST.body.names(), how="semi", nulls_equal=True)
        assert kept.height == closed.height, "a concluded round is what it was"

    def run(self) -> pl.DataFrame:
        decided = ("final_decision", "person_cause", "annotation_id")
        for step in range(STEPS):
            self.happen(step)
            words = {report: [row.get(name) for name in decided] for report, row in self.reports.items()}
            looks = 0
            while self.look():
                looks += 1
                assert looks < 40, "comes to rest"
            assert self.look() == 0, "and stays there"
            assert words == {report: [row.get(name) for name in decided] for report, row in self.reports.items()}
        return self.worklist


def test_random_sequences_come_to_rest_and_end_the_same_when_they_are_run_again() -> None:
    ended = Simulation(1).run()
    assert ended.equals(Simulation(1).run())
    reasons = set(ended["trigger_reason"])
    assert reasons >= {"analyst_request", "contradictory_evidence", "model_update", "low_confidence", "aged"}
    assert ended.filter(WAITING).is_empty(), "the backlog drained"
    spent = ended.select("report_id", "fingerprints").explode("fingerprints")
    assert spent.is_unique().all(), "a cause fires once for a report"
    rounds = ended.group_by("report_id").agg(
        asked=(pl.col("trigger_reason") == "analyst_request").sum(), rounds=pl.len()
    )
    assert (rounds["rounds"] - rounds["asked"]).max() == MAX_ROUNDS
    assert rounds.height > SEQUENCES


def test_another_run_is_another_sequence() -> None:
    one, other = Simulation(1), Simulation(2)
    one.happen(0)
    other.happen(0)
    assert one.reports != other.reports
