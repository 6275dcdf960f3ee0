"""Raises alerts: what was found becomes notes in `alerts_log`, and nothing where nothing changed."""

from __future__ import annotations

from collections.abc import Callable, Collection

from mrs_assets.alert_watch.books import history, keep
from mrs_assets.alerting.condition import Look
from mrs_assets.alerting.fold import changes
from mrs_assets.alerting.note import Note, open_alerts
from mrs_assets.contracts.settings import Settings
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import Transaction

Looking = Callable[[Collection[str]], Look]
"""Given the fingerprints of open alerts, what is found now."""


def raise_alerts(tx: Transaction, settings: Settings, look: Looking, provenance: Provenance) -> list[Note]:
    """Look, and append what follows.

    Args:
        tx: the open transaction; its instant is the instant of the look.
        settings: hold-downs and steps.
        look: looks.
        provenance: who writes.

    Returns:
        The notes that were appended.
    """
    known = history(tx)
    found = look({note.fingerprint for note in open_alerts(known)})
    notes = changes(known, found, tx.now, settings.alerts)
    keep(tx, notes, provenance)
    return notes
