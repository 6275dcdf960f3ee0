"""`python -m evaluation`: measure every chapter in this process and write the report."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from evaluation.chapters import APART, CHAPTERS, PEERS, is_installed, measure_of
from evaluation.report import LIBRARIES, Told, write_report
from evaluation.section import Section
from mrs_assets.injection.families import EVALUATION_SEEDS

PUBLISHED = Path("docs/evaluation")
SEEDS = range(EVALUATION_SEEDS.start, 9_900)
"""Seeds of a report; chapters draw up to a hundred seeds of their own from one."""

SEED = 2_611
"""Seed of the published report; nothing was learnt or chosen with it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for, tell the progress on stderr, write the report."""
    parser = argparse.ArgumentParser(prog="python -m evaluation", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED, help="what everything random is drawn from")
    parser.add_argument("--sections", nargs="+", choices=[*CHAPTERS, *APART], default=list(CHAPTERS), metavar="NAME")
    parser.add_argument("--output", type=Path, default=PUBLISHED, help="folder that the report is written to")
    parser.add_argument("--quick", action="store_true", help="measure on a part, to try it out")
    chosen = parser.parse_args(arguments)
    if chosen.seed not in SEEDS:
        parser.error(f"seed {chosen.seed} is not one to evaluate with: {SEEDS.start} to {SEEDS.stop - 1} are")
    sections: list[Section] = []
    began = time.monotonic()
    for name in chosen.sections:
        _tell(began, f"measuring {name}")
        sections += measure_of(name)(chosen.seed, quick=chosen.quick)
    compared = PEERS if "peers" in chosen.sections and is_installed() else ()
    write_report(sections, Told(chosen.seed, chosen.quick, (*LIBRARIES, *compared)), chosen.output)
    _tell(began, f"written to {chosen.output}")


def _tell(began: float, words: str) -> None:
    print(f"{time.monotonic() - began:7.1f} s  {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
