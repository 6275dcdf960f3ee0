"""Hundreds of flaps of one feed over a day, and a process that is killed three times while it tells of them.

MRS_FLAPS says how many; `make soak` tries a thousand.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import polars as pl

from mrs_assets.alert_watch.books import history
from mrs_assets.alerting.note import open_alerts
from mrs_assets.contracts.logs.alerts import ALERTS, DELIVERIES
from mrs_resources.log_store import SYSTEM_RUN, LogStore
from tests.alerting.receivers import webhook
from tests.alerting.storm import FLAPS

ROOT = Path(__file__).parents[2]
KILLS = ((0, "sent"), (4 * FLAPS // 5 + 1, "inside"), (3 * FLAPS // 2 + 2, "committed"))
"""Looks, and moments in or after them."""


def storm(home: Path, url: str, fatal_look: int = 0, moment: str = "") -> int:
    arguments = [sys.executable, "-m", "tests.alerting.storm", str(home), url, str(fatal_look), moment]
    return subprocess.run(arguments, cwd=ROOT, env=os.environ, timeout=900, check=False).returncode


def test_a_storm_is_told_in_a_handful_of_messages_none_lost_and_none_twice_whoever_is_killed(tmp_path: Path) -> None:
    with webhook() as hook:
        for look, moment in KILLS:
            assert storm(tmp_path, hook.url, look, moment) == -signal.SIGKILL
        assert storm(tmp_path, hook.url) == 0
    with LogStore(tmp_path).transaction() as tx:
        rows = {contract: tx.live(contract, run_id=SYSTEM_RUN) for contract in (ALERTS, DELIVERIES)}
        assert open_alerts(history(tx)) == []
    assert rows[ALERTS].height == 2 * FLAPS + 1  # coming and going is kept, and the end
    brought = hook.delivered()
    titles = Counter(message.title for message in brought.values())
    assert 2 <= len(brought) <= 6
    assert sum(title.startswith("[resolved]") for title in titles) >= 1
    # Who died after the receiver took the opening sends it again, and it is recognised.
    repeated = Counter(delivery for message in hook.taken for delivery in message.delivery_ids)
    assert sorted(repeated.values()) == [*[1] * (len(brought) - 1), 2]
    assert len({message.message_id for message in hook.taken}) == len(brought)
    told = rows[ALERTS].filter("tells").select("alert_id", "change")
    sent = rows[DELIVERIES].filter(pl.col("outcome") == "sent").select("alert_id", "change")
    assert told.sort(pl.all()).equals(sent.unique().sort(pl.all()))
