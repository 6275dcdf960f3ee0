"""Which storage the logs of a home lie in, so that nobody begins a second, empty history beside the first."""

from __future__ import annotations

from pathlib import Path

from mrs_assets.contracts.errors import SettingsMistake
from mrs_assets.contracts.storage import Kind

FOLDER = "warehouse"
FILE = "mrs.duckdb"
_MOVED = "moved_to"


def check_residence(home: Path, kind: Kind) -> None:
    """Refuse a storage that is not the one that the logs of a home lie in.

    Raises:
        SettingsMistake: they lie in the other.
    """
    lives = residence(home)
    if lives is not None and lives != kind:
        raise SettingsMistake(
            f"The logs of {home} lie in the backend {lives!r}; [storage] asks for {kind!r}. Nothing was opened.",
            remedy=f'Run `mrs migrate --to {kind}`, or set backend = "{lives}".',
        )


def residence(home: Path) -> Kind | None:
    """Where the logs of a home lie; None where none were written to a file and none were moved."""
    try:
        moved = (home / FOLDER / _MOVED).read_text("utf-8").strip()
    except FileNotFoundError:
        return "file" if (home / FOLDER / FILE).exists() else None
    return "ducklake" if moved == "ducklake" else "file"


def move_residence(home: Path, kind: Kind) -> None:
    """Say where the logs lie from now on. All of it is seen, or the word before."""
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f".{_MOVED}.new"
    fresh.write_text(f"{kind}\n", encoding="utf-8")
    fresh.replace(folder / _MOVED)
