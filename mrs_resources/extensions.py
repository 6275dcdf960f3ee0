"""DuckDB's extensions, from the packages that are installed: nothing is fetched at run time."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import duckdb

from mrs_assets.contracts.errors import SettingsMistake
from mrs_resources.engine import text_literal


def load_extension(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load an extension that a package `duckdb-extension-<name>` brought.

    Raises:
        SettingsMistake: there is none for this version of DuckDB.
    """
    found = find_spec(f"duckdb_extension_{name}")
    for folder in (found and found.submodule_search_locations) or ():
        file = Path(folder) / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
        if file.exists():
            connection.execute(f"LOAD {text_literal(file)}")
            return
    package = f"duckdb-extension-{name.replace('_', '-')}"
    raise SettingsMistake(
        f"DuckDB {duckdb.__version__} has no extension {name!r} here.",
        remedy=f"Install {package}=={duckdb.__version__}, or the extra: pip install 'minority-report-system[lake]'.",
    )
