"""Views: the declarations of the current state, from which table, schema, empty frame and docs are derived.

What a view's columns mean is said here; which log supplies them is said in `mrs_assets.hydration.precedence`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from mrs_assets.contracts.columns import INSTANT, SQL_TYPES
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.errors import UnknownName
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.rereview import REREVIEW_WORKLIST

VIEW_SOURCES = ("detected", "clustered", "attribution", "rereview", "cohort", "finalised", "ui", "replay")
"""Values of every `source_used_*` column: which log supplied the field group. NULL: nobody did."""


@dataclass(frozen=True)
class ViewField:
    """One column of a view: its name, polars type, and meaning in words."""

    name: str
    dtype: pl.DataType
    description: str


@dataclass(frozen=True)
class FieldGroup:
    """Columns that one source supplies together, so that they never contradict one another."""

    name: str
    fields: tuple[ViewField, ...]


@dataclass(frozen=True)
class View:
    """One dataset of current state: one row per key.

    Attributes:
        name: table, asset and Parquet name.
        title: what one row is.
        key: the column that identifies a row.
        groups: field groups, in column order; the key is a field of the first one.
    """

    name: str
    title: str
    key: str
    groups: tuple[FieldGroup, ...]

    @cached_property
    def fields(self) -> Mapping[str, ViewField]:
        """Every column by name, in order: the groups' fields, a source per group, the degraded state."""
        own = [field for group in self.groups for field in group.fields]
        sources = [
            ViewField(f"source_used_{group.name}", pl.String(), f"Which log supplied the field group `{group.name}`.")
            for group in self.groups
        ]
        state = [
            ViewField("is_degraded", pl.Boolean(), "A row that this one rests on missed an input."),
            ViewField("degraded_reasons", pl.List(pl.String()), "Sorted short codes of what was missing."),
            ViewField("known_at", INSTANT, "`written_at` of the newest row that this one rests on. UTC."),
        ]
        return {field.name: field for field in [*own, *sources, *state]}

    @cached_property
    def schema(self) -> pl.Schema:
        """Columns and polars types, in order."""
        return pl.Schema({name: field.dtype for name, field in self.fields.items()})

    @cached_property
    def ddl(self) -> str:
        """Column list of the materialised table."""
        return ", ".join(f'"{name}" {SQL_TYPES[dtype]}' for name, dtype in self.schema.items())

    def describe(self, column: str) -> str:
        """What a column means, in words."""
        return self.fields[column].description

    def empty(self) -> pl.DataFrame:
        """A frame without rows and with every column typed."""
        return pl.DataFrame(schema=self.schema)


@dataclass(frozen=True)
class Fold:
    """How a view is computed from the logs: generated SQL, to be executed by whoever holds the warehouse.

    Every statement takes `$run_id` and `$as_of` (an instant, or NULL for now) and returns the view's columns.

    Attributes:
        view: what is computed.
        reads: logs named by the statements.
        as_of: computes everything from the logs alone.
        rebuild: the same for the present; may read the tables of views that come before it in the catalogue.
        refresh: `rebuild` limited to the keys in the table `touched_<view>`.
        touched: log → SELECT of the keys that its rows written after `$since` may change.
        touched_by_views: SELECT of the keys that may change because other views did; reads their `touched_<view>` and
            `replaced_<view>` tables. NULL where there are none.
    """

    view: View
    reads: tuple[Contract, ...]
    as_of: str
    rebuild: str
    refresh: str
    touched: Mapping[str, str]
    touched_by_views: str | None = None


def _taken(contract: Contract, *names: str, **renamed: str) -> tuple[ViewField, ...]:
    """Fields that mean what a log says they mean; keywords give the view's name for a log's column."""
    origin = {**{name: name for name in names}, **renamed}
    return tuple(ViewField(name, contract.schema[column], contract.describe(column)) for name, column in origin.items())


def _ranked(*names: str) -> tuple[str, ...]:
    return tuple(name + rank for rank in ("", "_2", "_3") for name in names)


MINORITY_REPORTS = View(
    name="minority_reports",
    title="One live report: its current state by fixed precedence.",
    key="report_id",
    groups=(
        FieldGroup(
            "identity",
            _taken(
                DETECTED,
                "report_id",
                "retailer",
                "business_day",
                "store_id",
                "sku",
                "first_detected_from",
                "supersedes",
            ),
        ),
        FieldGroup("status", _taken(FINALISED, "report_status")),
        FieldGroup("closure", _taken(FINALISED, "event_status", "resolution_reason")),
        FieldGroup("window_start", _taken(FINALISED, "window_start")),
        FieldGroup("window_end", _taken(FINALISED, "window_end")),
        FieldGroup(
            "measures",
            _taken(
                DETECTED,
                "tick",
                "last_anomalous_at",
                "direction",
                "severity_score",
                "impact_estimate",
                "impact_lower",
                "impact_upper",
                "impact_unit",
                "uplift_units",
                "attributed_sales_total",
                "baseline_sales_total",
                "scan_z",
                "anomaly_probability",
            ),
        ),
        FieldGroup(
            "structure",
            _taken(CLUSTERED, "cluster_id", "cluster_name", "similarity_score", "cluster_match_confidence"),
        ),
        FieldGroup(
            "shape",
            _taken(
                CLUSTERED,
                "feature_vector",
                "layout_x",
                "layout_y",
                tsne_x="layout_x",
                tsne_y="layout_y",
                clustered_tick="tick",
            ),
        ),
        FieldGroup(
            "proposed",
            _taken(
                ATTRIBUTED,
                *_ranked("proposed_cause", "proposed_cause_category", "confidence_score"),
                "supporting_evidence",
                "context_snapshot",
                attributed_tick="tick",
            ),
        ),
        FieldGroup("group_id", _taken(COHORTED, "report_group_id")),
        FieldGroup(
            "cohort",
            _taken(
                COHORTED,
                "cohort_id",
                "cohort_name",
                "cohort_reason",
                "cohort_confidence",
                "cohort_size",
                cohort_event_status="event_status",
                group_supersedes="supersedes",
                cohorted_tick="tick",
            ),
        ),
        FieldGroup(
            "final",
            _taken(
                FINALISED,
                "final_decision",
                "final_cause",
                "final_cause_category",
                "final_confidence",
                "finalized_at",
                "annotation_id",
            ),
        ),
        FieldGroup(
            "review",
            _taken(
                FINALISED, "review_state", "review_sides", "evidence_count", "edit_issues", "edited_as", "refresh_seq"
            ),
        ),
        FieldGroup(
            "recall",
            _taken(REREVIEW_WORKLIST, "trigger_reason", "trigger_at", "outputs_generated_at", rereview_round="round"),
        ),
    ),
)

MINORITY_EVENTS = View(
    name="minority_events",
    title="One event: its current state, its members now, and what people said of it.",
    key="report_group_id",
    groups=(
        FieldGroup("identity", _taken(EVENTS, "report_group_id", "retailer", "business_day", "tick")),
        FieldGroup("status", _taken(EVENTS, "event_status", "resolution_reason")),
        FieldGroup("window", _taken(EVENTS, "window_start", "window_end")),
        FieldGroup(
            "measures",
            _taken(
                EVENTS,
                "direction",
                "retailers",
                "stores",
                "skus",
                "retailer_count",
                "store_count",
                "sku_count",
                "report_count",
                "severity_score",
                "impact_estimate",
                "impact_lower",
                "impact_upper",
                "impact_unit",
                "attributed_sales_total",
                "baseline_sales_total",
            ),
        ),
        FieldGroup("name", _taken(EVENTS, "cohort_name")),
        FieldGroup("leading", _taken(EVENTS, "leading_cause", "leading_cause_category", "leading_cause_confidence")),
        FieldGroup(
            "members",
            (
                ViewField(
                    "live_report_count", pl.Int64(), "Reports that belong to the event now and were not withdrawn."
                ),
                ViewField("active_report_count", pl.Int64(), "Those of them that are still going on."),
                ViewField("superseded_by", pl.String(), "The event that most of its former reports belong to now."),
            ),
        ),
        FieldGroup(
            "final",
            _taken(
                FINALISED,
                "final_decision",
                "final_cause",
                "final_cause_category",
                "final_confidence",
                "finalized_at",
                "annotation_id",
            ),
        ),
        FieldGroup("review", _taken(FINALISED, "review_state", "evidence_count")),
    ),
)

VIEWS: tuple[View, ...] = (MINORITY_REPORTS, MINORITY_EVENTS)


def find_view(name: str) -> View:
    """The view of a name, in any case; `reports` and `events` will do.

    Raises:
        UnknownName: there is no such view.
    """
    for view in VIEWS:
        if name.lower() in (view.name, view.name.removeprefix("minority_")):
            return view
    raise UnknownName(f"There is no view called {name!r}.", remedy=f"Views: {', '.join(v.name for v in VIEWS)}.")
