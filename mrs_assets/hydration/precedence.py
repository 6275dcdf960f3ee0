"""The precedence table: for every field group of a report, which logs may supply it, in which order, and when.

The order is the same everywhere: what a person set, what finalisation decided, cohort, re-review, attribution,
clustering, detection. A group lists those of them that have its fields. The first source that speaks supplies the
whole group, so that a cause never stands beside another cause's confidence.

Two sources speak on a condition that is worth a reason:

* *finalised* supplies a machine's fields only for a report that detection has withdrawn: then it holds the last
  known values. Otherwise it would shadow newer rows of the logs that it was itself made from.
* *rereview* speaks while what it looked at still stands: it is of detection's newest tick, and neither detection nor
  the original stage has written anything of that tick since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.ended import CORRECTED, ENDED
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.replays import SUPERSEDED
from mrs_assets.contracts.logs.rereview import REATTRIBUTED, RECLUSTERED, REREVIEW_WORKLIST
from mrs_assets.hydration.newest import LogRow

D = LogRow("d", DETECTED, "report_id", ("tick",))
E = LogRow("e", ENDED, "report_id", only=f"resolution_reason <> '{CORRECTED}'")
"""Closures that a tick saw; what corrected data closed is told by finalisation."""
C = LogRow("c", CLUSTERED, "report_id", ("tick",))
P = LogRow("p", ATTRIBUTED, "report_id", ("tick",))
H = LogRow("h", COHORTED, "report_id", ("tick",))
RC = LogRow("rc", RECLUSTERED, "report_id", ("tick", "round"))
RP = LogRow("rp", REATTRIBUTED, "report_id", ("tick", "round"))
W = LogRow("w", REREVIEW_WORKLIST, "report_id", ("round",))
F = LogRow("f", FINALISED, "report_id")
S = LogRow("s", SUPERSEDED, "report_id")

REPORT_LOGS: tuple[LogRow, ...] = (D, E, C, P, H, RC, RP, W, F, S)
"""Every log that tells of a report, each with the alias of its newest live row."""


@dataclass(frozen=True)
class Source:
    """One log's right to supply a field group.

    Attributes:
        name: what `source_used_<group>` says.
        row: the log's newest live row.
        speaks: SQL condition under which it supplies the group.
        columns: view column → SQL expression, where it is not the row's column of the same name.
    """

    name: str
    row: LogRow
    speaks: str
    columns: Mapping[str, str] = field(default_factory=dict)


def _still_stands(review: str, original: str) -> str:
    """That nothing which a re-review looked at was written anew since; silent where detection withdrew the report."""
    return (
        f"({review}.tick = d.tick AND {review}.written_at > d.written_at "
        f"AND ({original}.report_id IS NULL OR ({review}.tick >= {original}.tick "
        f"AND {review}.written_at > {original}.written_at)))"
    )


RECLUSTERED_IS_NEWEST = f"(rc.cluster_name IS NOT NULL AND {_still_stands('rc', 'c')})"
REATTRIBUTED_IS_NEWEST = f"(rp.proposed_cause IS NOT NULL AND {_still_stands('rp', 'p')})"
_WITHDRAWN = "(d.report_id IS NULL AND f.report_id IS NOT NULL)"
_LAST_KNOWN = Source("finalised", F, _WITHDRAWN)
_DETECTED = Source("detected", D, "d.report_id IS NOT NULL")
_LAYOUT = {"tsne_x": '{0}."layout_x"', "tsne_y": '{0}."layout_y"', "clustered_tick": '{0}."tick"'}
_PROPOSED = {"attributed_tick": '{0}."tick"'}
_FINAL = {
    "final_cause": '{0}."proposed_cause"',
    "final_cause_category": '{0}."proposed_cause_category"',
    "final_confidence": '{0}."confidence_score"',
}

PRECEDENCE: Mapping[str, tuple[Source, ...]] = {
    "identity": (_LAST_KNOWN, _DETECTED),
    "status": (
        Source("replay", S, "s.report_id IS NOT NULL", {"report_status": "'superseded'"}),
        Source("finalised", F, "f.report_id IS NOT NULL"),
        Source("cohort", H, "h.report_id IS NOT NULL"),
        Source("rereview", RP, REATTRIBUTED_IS_NEWEST),
        Source("attribution", P, "p.report_id IS NOT NULL"),
        Source("clustered", C, "c.report_id IS NOT NULL"),
        _DETECTED,
    ),
    "closure": (
        _LAST_KNOWN,
        Source(
            "detected",
            D,
            "d.report_id IS NOT NULL",
            {"event_status": "coalesce(e.event_status, 'active')", "resolution_reason": "e.resolution_reason"},
        ),
    ),
    "window_start": (Source("ui", F, "f.source_used_window_start = 'ui'"), _LAST_KNOWN, _DETECTED),
    "window_end": (
        Source("ui", F, "f.source_used_window_end = 'ui'"),
        Source("finalised", F, f"({_WITHDRAWN} AND f.window_end IS NOT NULL)"),
        Source(
            "detected",
            D,
            "coalesce(e.window_end, d.window_end) IS NOT NULL",
            {"window_end": "coalesce(e.window_end, d.window_end)"},
        ),
    ),
    "measures": (_LAST_KNOWN, _DETECTED),
    "structure": (
        Source("ui", F, "f.source_used_structure = 'ui'"),
        Source("finalised", F, f"({_WITHDRAWN} AND f.cluster_name IS NOT NULL)"),
        Source("rereview", RC, RECLUSTERED_IS_NEWEST),
        Source("clustered", C, "c.cluster_name IS NOT NULL"),
    ),
    "shape": (
        Source("rereview", RC, RECLUSTERED_IS_NEWEST, _LAYOUT),
        Source("clustered", C, "c.report_id IS NOT NULL", _LAYOUT),
    ),
    "proposed": (
        Source("finalised", F, f"({_WITHDRAWN} AND f.proposed_cause IS NOT NULL)"),
        Source("rereview", RP, REATTRIBUTED_IS_NEWEST, _PROPOSED),
        Source("attribution", P, "p.report_id IS NOT NULL", _PROPOSED),
    ),
    "group_id": (
        Source("ui", F, "f.source_used_group_id = 'ui'"),
        Source("finalised", F, f"({_WITHDRAWN} AND f.report_group_id IS NOT NULL)"),
        Source("cohort", H, "h.report_group_id IS NOT NULL"),
    ),
    "cohort": (
        Source("finalised", F, f"({_WITHDRAWN} AND f.cohort_id IS NOT NULL)"),
        Source(
            "cohort",
            H,
            "h.report_id IS NOT NULL",
            {"cohort_event_status": "h.event_status", "group_supersedes": "h.supersedes", "cohorted_tick": "h.tick"},
        ),
    ),
    "final": (
        Source("ui", F, "f.source_used_final = 'ui'"),
        Source("finalised", F, f"(f.final_decision IS NOT NULL OR ({_WITHDRAWN} AND f.final_cause IS NOT NULL))"),
        Source("rereview", RP, REATTRIBUTED_IS_NEWEST, _FINAL),
        Source("attribution", P, "p.report_id IS NOT NULL", _FINAL),
    ),
    "review": (Source("finalised", F, "f.report_id IS NOT NULL"),),
    "recall": (Source("rereview", W, "w.report_id IS NOT NULL", {"rereview_round": 'w."round"'}),),
}
"""Field group of `minority_reports` → its sources, the first that speaks wins."""

DEGRADES: Mapping[str, str] = {
    "d": "TRUE",
    "e": "TRUE",
    "c": f"NOT coalesce({RECLUSTERED_IS_NEWEST}, FALSE)",
    "p": f"NOT coalesce({REATTRIBUTED_IS_NEWEST}, FALSE)",
    "h": "TRUE",
    "rc": RECLUSTERED_IS_NEWEST,
    "rp": REATTRIBUTED_IS_NEWEST,
    "w": "FALSE",
    "f": "TRUE",
    "s": "TRUE",
}
"""Row alias → SQL condition under which its degraded state is the report's."""

MACHINE = ("cohort", "attribution", "clustered", "detected")
"""Sources that finalisation consolidates: what the stages said, before any verdict or recall."""
