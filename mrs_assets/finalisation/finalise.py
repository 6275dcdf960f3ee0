"""The consolidated record: what the stages said of each report, with what people decided laid over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from mrs_assets.contracts.columns import INSTANT
from mrs_assets.contracts.logs.ended import CORRECTED
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.settings import Settings
from mrs_assets.finalisation.editable import EVENT_FIELDS, REPORT_FIELDS
from mrs_assets.finalisation.rebase import NEEDS_REVIEW, READ, Belief, Row, as_json, conflicts, review_state
from mrs_assets.finalisation.verdict import Action, Verdict, combined, fold

_SAID = pl.Schema(
    {
        "report_id": pl.String(),
        "ui_window_start": INSTANT,
        "ui_window_end": INSTANT,
        "ui_report_group_id": pl.String(),
        "ui_cluster_name": pl.String(),
        "ui_cause": pl.String(),
        "ui_category": pl.String(),
        "approved_cause": pl.String(),
        "final_decision": pl.String(),
        "annotation_id": pl.String(),
        "finalized_at": INSTANT,
        "is_reopened": pl.Boolean(),
        "review_state": pl.String(),
        "review_sides": pl.String(),
        "edited_as": pl.List(pl.String()),
        "evidence_count": pl.Int64(),
        "issues": pl.List(pl.String()),
    }
)


def finalise(
    folded: pl.DataFrame,
    report_edits: pl.DataFrame,
    event_edits: pl.DataFrame,
    settings: Settings,
    missing: frozenset[str] = frozenset(),
    beliefs: Mapping[tuple[str, str], Belief] | None = None,
    reviewed: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Consolidate reports.

    Args:
        folded: one row per report in the columns of `minority_reports`, as the stages alone have it, and `withdrawn`:
            the report is no longer detected, and the row holds its last known values.
        report_edits: standing actions in the columns of `user_edits_log`; `report_id` is the report meant now,
            `made_on` the one that the action names.
        event_edits: the same on events; `report_group_id` is the event meant now.
        settings: time zones of the retailers.
        missing: reasons known to the caller, such as `MEEL_down` or `edits_down`.
        beliefs: (annotation, report meant now) → what the annotation's author looked at.
        reviewed: the reports' rows with what re-reviews concluded laid over; words of people are compared with them,
            and nothing else of the record rests on them. The same as `folded` where absent.

    Returns:
        One row per report in the columns of FINALISED, without `refresh_seq`, sorted by `report_id`.
    """
    said = _what_was_said(folded, report_edits, event_edits, beliefs or {}, reviewed)
    rows = folded.drop([name for name in said.columns if name != "report_id"], strict=False)
    rows = rows.join(said, on="report_id", how="left").with_columns(
        pl.col("evidence_count").fill_null(0),
        pl.col("issues").fill_null(pl.lit([], dtype=pl.List(pl.String))),
    )
    rows = _with_windows(rows)
    rows = _with_structure(rows)
    rows = _with_final_cause(rows)
    rows = _with_status(rows, missing)
    rows = rows.with_columns(_first_day(settings, rows).alias("business_day"))
    kept = [name for name in FINALISED.body if name in rows.columns and name != "refresh_seq"]
    return rows.select(kept).sort("report_id")


def _by_subject(edits: pl.DataFrame, subject: str) -> dict[str, list[Action]]:
    actions: dict[str, list[Action]] = {}
    for row in edits.iter_rows(named=True):
        actions.setdefault(row[subject], []).append(row)
    return actions


def _what_was_said(
    folded: pl.DataFrame,
    report_edits: pl.DataFrame,
    event_edits: pl.DataFrame,
    beliefs: Mapping[tuple[str, str], Belief],
    reviewed: pl.DataFrame | None,
) -> pl.DataFrame:
    """One row per report that an action is about, directly or through its event."""
    says = {} if reviewed is None else {row["report_id"]: row for row in reviewed.select(READ).to_dicts()}
    reports = _by_subject(report_edits, "report_id")
    events = {key: fold(rows, EVENT_FIELDS) for key, rows in _by_subject(event_edits, "report_group_id").items()}
    about = folded.filter(pl.col("report_id").is_in(list(reports)) | pl.lit(bool(events)))
    rows = []
    for now in about.select(*READ, "withdrawn").iter_rows(named=True):
        report_id = now["report_id"]
        actions = reports.get(report_id, [])
        own = fold(actions, REPORT_FIELDS)
        event = events.get(own.fields.get("report_group_id", now["report_group_id"]), Verdict())
        if actions or event != Verdict():
            verdict = combined(own, event)
            said = {**now, **says.get(report_id, {})}
            rows.append(_as_row(report_id, verdict) | _rebased(said, actions, own, verdict, beliefs))
    return pl.DataFrame(rows, schema=_SAID)


def _rebased(
    now: Row,
    actions: Sequence[Action],
    own: Verdict,
    verdict: Verdict,
    beliefs: Mapping[tuple[str, str], Belief],
) -> dict[str, Any]:
    """What the record says of words that came from another identity, and of those that the machine contradicts."""
    report_id = now["report_id"]
    former = sorted({action["made_on"] for action in actions} - {report_id})
    keys = {action["annotation_id"]: (action["annotation_id"], report_id) for action in actions}
    looked_at = {annotation: beliefs[key] for annotation, key in keys.items() if key in beliefs}
    sides = [] if now["withdrawn"] else conflicts(actions, own, looked_at, now)
    return {
        "review_state": review_state(verdict, sides, looked_at, now),
        "review_sides": as_json(sides),
        "issues": sorted(verdict.issues | {f"{NEEDS_REVIEW}_{side.field}" for side in sides}),
        "edited_as": former or None,
    }


def _as_row(report_id: str, verdict: Verdict) -> dict[str, Any]:
    return {
        "report_id": report_id,
        "ui_window_start": verdict.fields.get("window_start"),
        "ui_window_end": verdict.fields.get("window_end"),
        "ui_report_group_id": verdict.fields.get("report_group_id"),
        "ui_cluster_name": verdict.fields.get("cluster_name"),
        "ui_cause": verdict.fields.get("final_cause"),
        "ui_category": verdict.fields.get("final_cause_category"),
        "approved_cause": verdict.approved_cause,
        "final_decision": verdict.decision,
        "annotation_id": verdict.decided_by,
        "finalized_at": verdict.decided_at,
        "evidence_count": verdict.evidence_count,
        "is_reopened": verdict.review_state == "reopened",
    }


def _edited(field: str, rows: str) -> list[pl.Expr]:
    """The analyst's value where there is one, and the source that then supplied it."""
    ui = pl.col(f"ui_{field}")
    return [
        pl.coalesce(ui, field).alias(field),
        pl.when(ui.is_not_null()).then(pl.lit("ui")).otherwise(pl.col(rows)).alias(rows),
    ]


def _with_windows(rows: pl.DataFrame) -> pl.DataFrame:
    """A window that would end before it begins is not applied."""
    ui = ["ui_window_start", "ui_window_end"]
    start, end = pl.coalesce("ui_window_start", "window_start"), pl.coalesce("ui_window_end", "window_end")
    reversed_ = pl.any_horizontal(pl.col(ui).is_not_null()) & (end < start).fill_null(False)
    rows = rows.with_columns(
        pl.when(reversed_)
        .then(pl.col("issues").list.concat(pl.lit(["window_reversed"])))
        .otherwise("issues")
        .alias("issues"),
        *(pl.when(~reversed_).then(pl.col(name)).alias(name) for name in ui),
    )
    return rows.with_columns(
        *_edited("window_start", "source_used_window_start"), *_edited("window_end", "source_used_window_end")
    )


def _with_structure(rows: pl.DataFrame) -> pl.DataFrame:
    """A cluster named by a person is not the machine's entry, so that its id and closeness do not stand beside it."""
    machine = pl.col("ui_cluster_name").is_null()
    return rows.with_columns(
        *_edited("report_group_id", "source_used_group_id"),
        *_edited("cluster_name", "source_used_structure"),
        *(pl.when(machine).then(pl.col(name)).alias(name) for name in ("cluster_id", "cluster_match_confidence")),
    )


def _with_final_cause(rows: pl.DataFrame) -> pl.DataFrame:
    """A person's cause, else the machine's; a rejected proposal leaves no cause."""
    by_person = pl.coalesce("ui_cause", "approved_cause")
    rejected = (pl.col("final_decision") == "rejected").fill_null(False)
    moved_on = pl.col("ui_cause").is_null() & pl.col("approved_cause").ne_missing(pl.col("proposed_cause"))
    rows = rows.with_columns(
        pl.when(by_person.is_not_null() | rejected).then(by_person).otherwise("proposed_cause").alias("final_cause"),
        pl.when(pl.col("approved_cause").is_not_null() & moved_on)
        .then(pl.col("issues").list.concat(pl.lit(["cause_moved_on"])))
        .otherwise("issues")
        .alias("issues"),
        by_person.is_not_null().alias("by_person"),
        rejected.alias("rejected"),
    )
    category = pl.coalesce(
        "ui_category",
        *(
            pl.when(pl.col("final_cause") == pl.col(f"proposed_cause{rank}")).then(f"proposed_cause_category{rank}")
            for rank in ("", "_2", "_3")
        ),
    )
    machine = pl.col("ui_cause").is_null() & (pl.col("final_cause") == pl.col("proposed_cause"))
    ui = pl.col("by_person") | pl.col("rejected") | pl.col("ui_category").is_not_null()
    return rows.with_columns(
        category.alias("final_cause_category"),
        pl.when(machine).then("confidence_score").alias("final_confidence"),
        pl.when(ui)
        .then(pl.lit("ui"))
        .when(pl.col("final_cause").is_not_null())
        .then(pl.lit("attribution"))
        .alias("source_used_final"),
        pl.col("issues").list.unique().list.sort().alias("edit_issues"),
    )


def _with_status(rows: pl.DataFrame, missing: frozenset[str]) -> pl.DataFrame:
    """What the report is, and what it had to do without."""
    withdrawn = pl.col("withdrawn")
    behind = {name: pl.col(name).is_null() | (pl.col(name) < pl.col("tick")) for name in _TICKS}
    unclustered = ~withdrawn & (behind["clustered_tick"] | behind["cohorted_tick"])
    unattributed = ~withdrawn & behind["attributed_tick"]
    reasons = pl.concat_list(
        "degraded_reasons",
        pl.lit(sorted(missing), dtype=pl.List(pl.String)),
        pl.when(unclustered).then(pl.lit(["MRCL_down"])).otherwise(pl.lit([], dtype=pl.List(pl.String))),
        pl.when(unattributed).then(pl.lit(["MRPAL_down"])).otherwise(pl.lit([], dtype=pl.List(pl.String))),
    )
    rows = rows.with_columns(
        pl.when(withdrawn).then(pl.lit("ended")).otherwise("event_status").alias("event_status"),
        pl.when(withdrawn).then(pl.lit(CORRECTED)).otherwise("resolution_reason").alias("resolution_reason"),
        reasons.list.unique().list.sort().alias("degraded_reasons"),
    )
    stage = (
        pl.when(withdrawn)
        .then(pl.lit("ended"))
        .when("is_reopened")
        .then(pl.lit("reopened"))
        .when(pl.col("event_status") == "ended")
        .then(pl.lit("ended"))
        .otherwise(pl.lit("finalised"))
    )
    first = pl.col("degraded_reasons").list.first()
    return rows.with_columns(
        pl.when(first.is_not_null())
        .then(pl.format("{}_degraded_{}", stage, first))
        .otherwise(stage)
        .alias("report_status"),
        (pl.col("is_degraded") | first.is_not_null()).alias("is_degraded"),
    )


_TICKS = ("clustered_tick", "cohorted_tick", "attributed_tick")


def _first_day(settings: Settings, rows: pl.DataFrame) -> pl.Expr:
    """The retailer's local day of the onset; UTC for a retailer that is no longer configured."""
    day = pl.col("first_detected_from").dt.date()
    for retailer in rows["retailer"].unique().sort():
        known = settings.retailers.get(retailer)
        zone = str(known.zone if known else ZoneInfo("UTC"))
        local = pl.col("first_detected_from").dt.convert_time_zone(zone).dt.date()
        day = pl.when(pl.col("retailer") == retailer).then(local).otherwise(day)
    return day
