"""The heartbeat: proof that somebody looks after alerts, for an outside watcher that cries when it stops.

Every look of the `alerts` sensor and every tick replaces `heartbeat.json` in MRS_HOME and, where an address is given,
calls it. Whoever wants to know whether the teller lives reads the file, or waits for the call.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mrs_assets.contracts.alerting import Alerting

FILE = "heartbeat.json"
PING_SECONDS = 5


def beat(
    home: Path,
    now: datetime,
    by: str,
    looked_at: Sequence[str],
    failing: Sequence[str],
    policy: Alerting,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Leave a heartbeat, and call the address that waits for it.

    Args:
        home: MRS_HOME.
        now: when; UTC.
        by: who looked: `alerts` or `mrs tick`.
        looked_at: what was looked at.
        failing: channels with an alert that could not be delivered.
        policy: where the address is.
        environ: the environment.
    """
    told: dict[str, Any] = {"at": now.astimezone(UTC).isoformat(), "by": by, "looked_at": sorted(looked_at)}
    told["channels_failing"] = sorted(failing)
    told["ping"] = _ping(policy, os.environ if environ is None else environ)
    fresh = home / f".{FILE}.{os.getpid()}"
    with fresh.open("w", encoding="utf-8") as file:
        file.write(json.dumps(told, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(home / FILE)


def worries(home: Path, now: datetime, policy: Alerting) -> list[str]:
    """What is wrong with the teller, in words; nothing where it lives and is heard.

    Args:
        home: MRS_HOME.
        now: the instant asked about; UTC.
        policy: how old a heartbeat may be.
    """
    try:
        told = json.loads((home / FILE).read_text("utf-8"))
        at = datetime.fromisoformat(told["at"])
        age = now - at
        failing = [str(channel) for channel in told["channels_failing"]]
    except FileNotFoundError:
        return ["nobody looks after alerts: there is no heartbeat; start `mrs ui`, or run `mrs tick`"]
    except (ValueError, KeyError, TypeError):
        return [f"{FILE} cannot be read: the next look of the alerts sensor, or `mrs tick`, writes it anew"]
    found = [f"alerts could not be delivered over {channel}: `mrs alerts test {channel}`" for channel in failing]
    if age > timedelta(minutes=policy.heartbeat_minutes):
        found.append(
            f"nobody has looked after alerts since {at:%Y-%m-%d %H:%M} UTC, for longer than "
            f"{policy.heartbeat_minutes:g} minutes: is the daemon running?"
        )
    return found


def _ping(policy: Alerting, environ: Mapping[str, str]) -> str:
    """Call the address that an outside watcher gave; a failure is told and stops nothing."""
    if policy.ping_url_env is None:
        return "not configured"
    address = environ.get(policy.ping_url_env, "").strip()
    if not address:
        return f"{policy.ping_url_env} is not set"
    if not address.startswith(("https://", "http://")):
        return f"{policy.ping_url_env} is no http address"
    try:
        with urllib.request.urlopen(address, timeout=PING_SECONDS) as answer:  # noqa: S310 - http or https, see above
            return f"answered {answer.status}"
    except urllib.error.HTTPError as error:
        return f"answered {error.code}"
    except Exception as error:  # the words of a network error may hold the address
        return f"failed with {type(error).__name__}"
