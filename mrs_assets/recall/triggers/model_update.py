"""Another version of a model, or of a stage's code, would answer now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from mrs_assets.recall.facts import Facts
from mrs_assets.recall.fired import fired, listed
from mrs_assets.recall.patterns import placed_anew

NAME = "model_update"


def model_update(facts: Facts) -> pl.DataFrame:
    """Undecided reports that another version than the one in force attributed, or other code computed.

    Of the cluster library those alone whose place is another one in the library in force: a report's place follows
    from its stored features, so that it is known beforehand. A version that nothing is known of fires nothing.
    """
    return fired(NAME, _found(facts))


def _found(facts: Facts) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    for what, column in (("cause", "cause_version"), ("cluster", "cluster_code"), ("cause", "cause_code")):
        now = (facts.in_force if column.endswith("version") else facts.code).get(what)
        if now is not None:
            other = facts.undecided.filter(pl.col(column) != now)
            for report, evidence in listed(other, column):
                yield report, f"{column}|{now}", {**evidence, "in_force": now}
    moved = placed_anew(facts).join(facts.undecided.select("report_id"), on="report_id", how="semi")
    in_force = facts.in_force.get("cluster")
    for report, evidence in listed(moved, "cluster_id", "now_cluster", "cluster_version"):
        yield report, f"cluster_version|{in_force}", {**evidence, "in_force": in_force}
