"""The mark of a home, by which a process on another machine sees that it has the same one before it."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

from mrs_assets.contracts.errors import SettingsMistake


def mark_of(home: Path) -> str:
    """The home's mark; made when it has none."""
    place = _place(home)
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = place.with_name(f".mark.{uuid4().hex}")
        fresh.write_text(uuid4().hex, encoding="utf-8")
        try:
            os.link(fresh, place)  # the first of several is the one that holds
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return place.read_text("utf-8")


def check_mark(home: Path, mark: str) -> None:
    """Refuse to work on another home than was meant.

    Raises:
        SettingsMistake: at this path there is another home here, or none.
    """
    place = _place(home)
    if not place.exists() or place.read_text("utf-8") != mark:
        raise SettingsMistake(
            f"A worker does not see the home {home}. Nothing was written.",
            remedy="Give every worker the same folder under the same path.",
        )


def _place(home: Path) -> Path:
    return home / "warehouse" / "mark"
