"""The folds: each view with the statements that compute, rebuild and refresh it."""

from __future__ import annotations

from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.edits import USER_EVENT_EDITS
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.views import MINORITY_EVENTS, MINORITY_REPORTS, Fold
from mrs_assets.hydration.events_sql import U, events_sql
from mrs_assets.hydration.precedence import REPORT_LOGS
from mrs_assets.hydration.reports_sql import reports_sql
from mrs_assets.hydration.standing_sql import heard_sql

_REPORTS, _EVENTS = MINORITY_REPORTS.name, MINORITY_EVENTS.name
_TOUCHED_REPORTS = f"SELECT report_id FROM touched_{_REPORTS}"
_TOUCHED_EVENTS = f"SELECT report_group_id FROM touched_{_EVENTS}"
_NEW = "run_id = $run_id AND written_at > $since"
_HEARD = f"WITH RECURSIVE {', '.join(heard_sql(U, 'report_group_id', 'run_id = $run_id'))}"
_NEWLY_EDITED = "SELECT subject FROM u_heard WHERE written_at > $since"
_EDITED = f"SELECT report_group_id FROM {USER_EVENT_EDITS.name} WHERE run_id = $run_id"
_EVER_IN = (
    f"SELECT report_group_id FROM {COHORTED.name} WHERE run_id = $run_id "
    f"AND report_id IN ({_TOUCHED_REPORTS}) AND report_group_id IS NOT NULL"
)
"""Events that a touched report was ever in. What was said of one may hold, or no longer hold, for any that shares a
report with it."""


def _sharing_reports_with(events: str) -> str:
    """The events that ever held a report which was ever in one of some events."""
    return (
        f"SELECT o.report_group_id FROM {COHORTED.name} h JOIN {COHORTED.name} o USING (run_id, report_id) "
        f"WHERE h.run_id = $run_id AND h.report_group_id IN ({events}) AND o.report_group_id IS NOT NULL"
    )


REPORTS_FOLD = Fold(
    view=MINORITY_REPORTS,
    reads=tuple(row.contract for row in REPORT_LOGS),
    as_of=reports_sql(),
    rebuild=reports_sql(),
    refresh=reports_sql(limited_to=_TOUCHED_REPORTS),
    touched={
        row.contract.name: f"SELECT DISTINCT report_id FROM {row.contract.name} WHERE {_NEW}" for row in REPORT_LOGS
    },
)
EVENTS_FOLD = Fold(
    view=MINORITY_EVENTS,
    reads=(*REPORTS_FOLD.reads, EVENTS, USER_EVENT_EDITS),
    as_of=events_sql(),
    rebuild=events_sql(reports=_REPORTS),
    refresh=events_sql(reports=_REPORTS, limited_to=_TOUCHED_EVENTS),
    touched={
        EVENTS.name: f"SELECT DISTINCT report_group_id FROM {EVENTS.name} WHERE {_NEW}",
        USER_EVENT_EDITS.name: f"{_HEARD} SELECT subject AS report_group_id FROM ({_NEWLY_EDITED}) UNION "
        f"{_sharing_reports_with(_NEWLY_EDITED)}",
    },
    touched_by_views=f"{_EVER_IN} UNION SELECT report_group_id FROM {_REPORTS} WHERE report_id IN ({_TOUCHED_REPORTS}) "
    "AND report_group_id IS NOT NULL "
    f"UNION SELECT report_group_id FROM replaced_{_REPORTS} WHERE report_group_id IS NOT NULL "
    f"UNION {_sharing_reports_with(f'{_EVER_IN} INTERSECT {_EDITED}')}",
)

FOLDS: tuple[Fold, ...] = (REPORTS_FOLD, EVENTS_FOLD)
"""Every view, in the order in which they are refreshed."""
