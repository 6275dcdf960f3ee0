"""The published report belongs to the code that is here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.__main__ import PUBLISHED, SEED
from evaluation.report import FIGURES, PAGE, code_versions


@pytest.mark.parametrize("folder", [PUBLISHED, PUBLISHED / "peers"], ids=["ours", "beside public libraries"])
def test_it_was_measured_whole_with_these_versions_of_the_stages(folder: Path) -> None:
    told = json.loads((folder / FIGURES).read_text("utf-8"))
    assert (told["code"], told["seed"], told["quick"]) == (code_versions(), SEED, False), "run `make evaluate`"


def test_the_page_tells_every_figure() -> None:
    page = (PUBLISHED / PAGE).read_text("utf-8")
    for figure in json.loads((PUBLISHED / FIGURES).read_text("utf-8"))["figures"]:
        assert f"| {figure} |" in page
