"""One look at the service levels: the ledger is kept, every objective judged, and what changed recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mrs_assets.contracts.logs.slo import SLO_RESULTS
from mrs_assets.contracts.settings import Settings
from mrs_assets.slo.facts import Facts
from mrs_assets.slo.judging import Judged, judge, news_in, result_rows
from mrs_assets.slo_watch.facts import read_facts
from mrs_assets.slo_watch.ledger import keep_ledger
from mrs_resources.kernel import Appended, Provenance
from mrs_resources.log_store import EVER, Transaction


@dataclass(frozen=True)
class Looked:
    """What one look found.

    Attributes:
        facts: what was known.
        judged: every objective for each of its subjects.
        ledger: what was appended to `slo_log`; None where nothing was to count.
        results: what was appended to `slo_results_log`; None where nothing changed, and in an empty namespace.
    """

    facts: Facts
    judged: Sequence[Judged]
    ledger: Appended | None
    results: Appended | None


def look(tx: Transaction, settings: Settings, provenance: Provenance, plan_id: str | None = None) -> Looked:
    """Measure and judge at the transaction's instant.

    Args:
        tx: open transaction; views show what the logs say.
        settings: what is configured.
        provenance: who writes.
        plan_id: the plan that the caller's run ends, which therefore counts as done.
    """
    is_empty = tx.newest_write() is None
    ledger = keep_ledger(tx, settings, provenance, plan_id)
    facts = read_facts(tx, settings, plan_id)
    judged = judge(facts)
    rows = news_in(result_rows(judged, facts), facts)
    if is_empty or rows.is_empty():
        return Looked(facts, judged, ledger, None)
    results = tx.append(SLO_RESULTS, rows, replace(EVER, complete=False), provenance)
    return Looked(facts, judged, ledger, results)
