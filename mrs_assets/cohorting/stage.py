"""The cohorting stage: one MRCH row per report and tick, one MELOG row per event and tick."""

from __future__ import annotations

import polars as pl

from mrs_assets.cohorting import events, groups, links, moments, words
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.feeds.stores import STORES
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.ended import CORRECTED, ENDED
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.stage import Frames, Input, Inputs, Others, Stage, Want

MODEL_VERSION = "cohorting-declared-1"
"""Raised by hand when a link, strength or limit changes."""

DOWN = "MRCH_down"
NOVEL = "novel"
"""Cluster of reports that are like no known shape, and so not like each other either."""

IDENTITY = ["retailer", "business_day", "report_id", "tick"]
DAYS_AHEAD = 2
"""Zones lie up to 26 hours apart: at the end of one retailer's day another may be two days ahead."""

_ANY_DAY = 36_500


def cohort(inputs: Inputs) -> Frames:
    """Group the reports at every tick of the scope, from what is known by then."""
    reports = _reports(inputs)
    asked = reports.filter(_in_scope(inputs.scope))
    if asked.is_empty():
        return {COHORTED.name: COHORTED.empty(), EVENTS.name: _with_closed(EVENTS.empty(), inputs)}
    at = moments.instants(asked)
    nodes = _nodes(reports, at)
    found = _links(nodes, inputs, at)
    nodes = groups.grouped(nodes, found)
    found = groups.within_groups(found, nodes)
    states = words.named(events.states(nodes, inputs["ended"]))
    states = states.join(words.shared(found), on="group", how="left")
    members = nodes.join(words.reasons(found, nodes), on="node").filter(pl.col("tick") == pl.col("moment"))
    return {
        COHORTED.name: _cohorted(members.filter(_in_scope(inputs.scope)), states, inputs["previous"]),
        EVENTS.name: _with_closed(_events(members, states, inputs.scope), inputs),
    }


def _with_closed(events: pl.DataFrame, inputs: Inputs) -> pl.DataFrame:
    """With the events that corrected data closed: they hold while no row speaks of them, cohorting down or not."""
    closed = inputs["events"].filter(resolution_reason=CORRECTED).join(events, on="report_group_id", how="anti")
    closed = closed.with_columns(pl.col("degraded_reasons").list.set_difference([DOWN]).list.sort())
    closed = closed.with_columns(is_degraded=pl.col("degraded_reasons").list.len() > 0)
    return pl.concat([events, closed.select(events.columns)])


def _in_scope(scope: Scope) -> pl.Expr:
    return pl.col("business_day").is_between(scope.first_day, scope.last_day)


def _reports(inputs: Inputs) -> pl.DataFrame:
    """MRDL rows with what the other logs say of the same report and tick."""
    same = ["report_id", "tick"]
    clusters = inputs["clustered"].drop_nulls("cluster_id").select(*same, "cluster_id", "cluster_name")
    causes = (
        inputs["attributed"]
        .drop_nulls("confidence_score")
        .select(
            *same,
            cause="proposed_cause",
            category="proposed_cause_category",
            confidence="confidence_score",
            cause_missed="degraded_reasons",
        )
    )
    regions = inputs["stores"].select("retailer", "store_id", "region")
    reports = inputs["detected"].with_columns(onset="first_detected_from", active=pl.col("window_end").is_null())
    gaps = {name: links.onset_gap(retailer) for name, retailer in inputs.settings.retailers.items()}
    gap = pl.DataFrame(
        {"retailer": list(gaps), "gap": list(gaps.values())}, schema_overrides={"gap": pl.Duration("us")}
    )
    return (
        reports.join(clusters, on=same, how="left")
        .join(causes, on=same, how="left")
        .join(regions, on=["retailer", "store_id"], how="left")
        .join(gap, on="retailer", how="left")
        .with_columns(
            pl.col("gap").fill_null(links.onset_gap(None)),
            owner=pl.when(pl.col("category").is_in(links.WIDE_CATEGORIES))
            .then(pl.lit("*"))
            .when(pl.col("category").is_in(links.RETAILER_CATEGORIES))
            .then("retailer")
            .otherwise(pl.concat_str("retailer", "store_id", separator="/")),
        )
    )


def _nodes(reports: pl.DataFrame, at: pl.DataFrame) -> pl.DataFrame:
    """Each report at each moment: its newest row by then."""
    held = moments.held(reports, ["report_id"], at).with_row_index("node")
    return held.with_columns(until=pl.coalesce("window_end", "moment"))


def _links(nodes: pl.DataFrame, inputs: Inputs, at: pl.DataFrame) -> pl.DataFrame:
    """All links. A cause is what is proposed now; shapes are all that a report has had so far."""
    caused = nodes.filter(pl.col("cause") != "unknown").with_columns(weight=pl.col("confidence"))
    shapes = inputs["clustered"].filter(pl.col("cluster_id") != NOVEL).select("report_id", "tick", "cluster_id")
    shaped = (
        moments.held(shapes, ["report_id", "cluster_id"], at)
        .select("at", "report_id", "cluster_id")
        .join(nodes.drop("cluster_id"), on=["at", "report_id"])
        .with_columns(weight=pl.lit(0.0))
    )
    columns = ["at", "key", "node", "onset", "until", "gap", "weight"]
    return pl.concat(
        links.linked(tie, links.keyed(tie, caused if tie.name == "cause" else shaped).select(columns))
        for tie in links.TIES
    )


def _degraded() -> dict[str, pl.Expr]:
    reasons = pl.concat_list(
        pl.when(pl.col("cluster_id").is_null()).then(pl.lit("MRCL_down")),
        pl.when(pl.col("cause").is_null()).then(pl.lit("MRPAL_down")),
    ).list.drop_nulls()
    return {"is_degraded": reasons.list.len() > 0, "degraded_reasons": reasons}


def _cohorted(members: pl.DataFrame, states: pl.DataFrame, previous: pl.DataFrame) -> pl.DataFrame:
    rows = members.join(
        states.select("group", "cohort_name", "event_status", cohort_key="cohort_id", cohort_size="report_count"),
        on="group",
    ).select(
        *IDENTITY,
        "report_group_id",
        "cohort_name",
        "cohort_reason",
        "cohort_confidence",
        "cohort_size",
        "event_status",
        cohort_id=pl.coalesce("cohort_key", pl.format("report:{}", "report_id")),
        report_status=pl.lit("cohorted"),
        model_version=pl.lit(MODEL_VERSION),
        **_degraded(),
    )
    return COHORTED.conform(rows.join(_superseded(rows, previous), on=["report_id", "tick"], how="left"))


def _superseded(rows: pl.DataFrame, previous: pl.DataFrame) -> pl.DataFrame:
    """Per report and tick: the event that most of its members were in before, where that was another one.

    A row that keeps its event keeps what it said before.
    """
    same = ["report_id", "tick"]
    before = previous.select(*same, old="report_group_id", kept="supersedes")
    joined = rows.select(*same, "report_group_id").join(before, on=same, how="left")
    event = ["report_group_id", "tick"]
    moved = (
        joined.filter(pl.col("old") != pl.col("report_group_id"))
        .group_by(*event, "old")
        .len()
        .sort(*event, "len", "old", descending=[False, False, True, False])
        .group_by(event, maintain_order=True)
        .agg(moved_from=pl.col("old").first())
    )
    return joined.join(moved, on=event, how="left").select(*same, supersedes=pl.coalesce("moved_from", "kept"))


def _events(members: pl.DataFrame, states: pl.DataFrame, scope: Scope) -> pl.DataFrame:
    """Events with a row at their moment. The day is the latest of those rows', whoever computes it.

    An event whose leading cause rests on proposals that missed an input says so.
    """
    nothing = pl.lit([], dtype=pl.List(pl.String))
    days = (
        members.with_columns(**_degraded())
        .with_columns(pl.concat_list("degraded_reasons", pl.col("cause_missed").fill_null(nothing)))
        .group_by("group")
        .agg(
            business_day=pl.col("business_day").max(),
            degraded_reasons=pl.col("degraded_reasons").list.explode().drop_nulls().unique().sort(),
        )
    )
    rows = (
        states.join(days, on="group")
        .filter(_in_scope(scope))
        .with_columns(
            tick="moment", is_degraded=pl.col("degraded_reasons").list.len() > 0, model_version=pl.lit(MODEL_VERSION)
        )
    )
    return EVENTS.conform(rows.select(c for c in rows.columns if c in EVENTS.body))


def uncohorted(inputs: Inputs) -> Frames:
    """Rows for the reports of the scope without an event, for when cohorting is down. Events stay as last told."""
    rows = inputs.asked("detected").select(*IDENTITY, report_status=pl.lit("cohorted"))
    return {COHORTED.name: COHORTED.conform(rows), EVENTS.name: inputs["events"].select(list(EVENTS.body))}


def _remembered(log: Contract, *seen: str) -> Input:
    return Input(log, days_before=moments.HORIZON.days + 2, days_after=DAYS_AHEAD, others=Others(columns=seen or None))


_CAUSE = ("proposed_cause", "proposed_cause_category", "confidence_score", "degraded_reasons")


COHORTING_STAGE = Stage(
    name=COHORTED.name,
    writes=(COHORTED, EVENTS),
    compute=cohort,
    fallback=uncohorted,
    down=DOWN,
    answers="detected",
    needs={"detected": _remembered(DETECTED), "previous": Input(COHORTED), "events": Input(EVENTS)},
    wants={
        "clustered": Want("MRCL_down", log=_remembered(CLUSTERED, "cluster_id", "cluster_name")),
        "attributed": Want("MRPAL_down", log=_remembered(ATTRIBUTED, *_CAUSE)),
        "ended": Want("MEEL_down", log=_remembered(ENDED)),
        "stores": Want("stores_down", log=Input(STORES, days_before=_ANY_DAY)),
    },
    span="everything",
    description=(
        "Which reports belong together: linked by cause, or by shape and product, store or region, at nearly the same "
        "time. Each event carries the sums, the leading cause and the words for its reports."
    ),
)
