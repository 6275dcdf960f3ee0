"""`make bench`: every measurement of speed and size, one process after another."""

from __future__ import annotations

import subprocess
import sys

RUNS = (
    ("the append kernel", ["benchmarks.kernel"]),
    ("the door and the series", ["benchmarks.ingest", "1000000", "10000000"]),
    ("a dirty file beside a clean one", ["benchmarks.dirty", "1000000"]),
    ("detection", ["benchmarks.detection"]),
    ("many series over years: memory", ["benchmarks.scale", "--series", "2000"]),
    ("hydration", ["benchmarks.hydration", "--reports", "1000000"]),
    ("a one-day tick", ["benchmarks.tick"]),
    ("a transaction on each storage", ["benchmarks.commits"]),
    ("Dagster's own rows", ["benchmarks.event_rows"]),
    ("looking at the service levels", ["benchmarks.service_levels"]),
    ("a correction against the full rebuild", ["benchmarks.correction"]),
    ("recall", ["benchmarks.recall"]),
    ("bearing failure", ["benchmarks.degradation"]),
)


def main() -> None:
    """Run each in a process of its own, so that memory figures do not mix."""
    for title, module in RUNS:
        print(f"\n== {title}", flush=True)
        subprocess.run([sys.executable, "-m", *module], check=True)


if __name__ == "__main__":
    main()
