"""What the documentation says holds: its links lead somewhere and its commands exist as typed."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from mrs_assets.cli.app import app
from mrs_assets.contracts.feeds import CONTEXT_FEEDS
from mrs_assets.contracts.logs.catalogue import LOGS
from mrs_assets.contracts.settings import load_settings
from mrs_assets.definitions import build_definitions
from mrs_assets.reference import pages

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(p for p in (ROOT / "docs").rglob("*.md") if p.parent.name != "reference")])
WRITTEN_BY_MAKE_DOCS = {ROOT / "docs" / "reference" / name for name in pages()}
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
FENCED_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
INLINE_COMMAND = re.compile(r"`(mrs [^`]+)`")
SHELL_OPERATORS = {"|", "||", "&&", ";", ">", "2>", "<", "&", ")"}
ASSET_WORD = re.compile(r"--select\s+'?([a-z_,]+)'?")


def headings(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    prose = FENCED_BLOCK.sub("", page.read_text("utf-8"))
    titles = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def commands_of(text: str) -> list[list[str]]:
    """Words of every `mrs …` command in shell blocks and in inline code."""
    lines = [line for block in SHELL_BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    lines += INLINE_COMMAND.findall(FENCED_BLOCK.sub("", text).replace("\n", " "))
    found = []
    for line in lines:
        try:
            lexer = shlex.shlex(line.replace("$(", " ; "), posix=True, punctuation_chars="|&;<>)")
            lexer.whitespace_split = True
            words = list(lexer)
        except ValueError:  # a quotation that the next line ends
            continue
        starts = [n for n, word in enumerate(words) if word == "mrs" and (n == 0 or words[n - 1] in SHELL_OPERATORS)]
        for start in starts:
            rest = words[start + 1 :]
            end = next((n for n, word in enumerate(rest) if word in SHELL_OPERATORS), len(rest))
            found.append(rest[:end])
    return found


def problem_with(words: list[str]) -> str | None:
    """Why the command line would refuse these words as unknown; None where it would not."""
    command: Any = typer.main.get_command(app)
    while words and hasattr(command, "commands"):
        if words[0] in ("--help", "…"):
            return None
        if words[0] not in command.commands and (default := getattr(command, "default_command", None)):
            words = [default, *words]
        if command.invoke_without_command and words[0] in {name for p in command.params for name in p.opts}:
            break
        if words[0] not in command.commands:
            return f"there is no command {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    options = {name: p for p in command.params for name in p.opts if p.param_type_name == "option"}
    places = sum(p.param_type_name == "argument" for p in command.params)
    while words:
        word, words = words[0], words[1:]
        if not word.startswith("--"):
            places -= 1
            continue
        if word == "--help":
            continue
        if word not in options:
            return f"there is no option {word}"
        words = words if options[word].is_flag else words[1:]
    return "too many arguments" if places < 0 else None


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(FENCED_BLOCK.sub("", page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        there = target.exists() or target in WRITTEN_BY_MAKE_DOCS
        if not there or (anchor and target.suffix == ".md" and target.exists() and anchor not in headings(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_exist_with_the_options_used(page: Path) -> None:
    problems = {
        " ".join(words): problem
        for words in commands_of(page.read_text("utf-8"))
        if (problem := problem_with(words)) is not None
    }
    assert problems == {}


def test_commands_are_found_in_the_pages() -> None:
    """Guards the two tests above: a page whose commands are not recognised would pass them."""
    found = {words[0] for page in PAGES for words in commands_of(page.read_text("utf-8")) if words}
    root: Any = typer.main.get_command(app)
    assert found >= set(root.commands) - {"plan", "demo", "ui"}


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("show reports --as-of now --limit 3", None),
        ("models approve abc --as me", None),
        ("recall --dry-run --trigger aged", None),
        ("recall --wet-run", "there is no command '--wet-run'"),
        ("shew reports", "there is no command 'shew'"),
        ("show reports --colour", "there is no option --colour"),
        ("tick now", "too many arguments"),
    ],
)
def test_a_wrong_command_is_noticed(command: str, problem: str | None) -> None:
    assert problem_with(command.split()) == problem


def test_assets_materialised_in_the_pages_exist() -> None:
    graph = build_definitions(load_settings({}, ROOT)).resolve_asset_graph()
    known = {key.to_user_string() for key in graph.materializable_asset_keys}
    named = {
        asset
        for page in PAGES
        for block in SHELL_BLOCK.findall(page.read_text("utf-8"))
        for selection in ASSET_WORD.findall(block.replace("\\\n", " "))
        for asset in selection.split(",")
    }
    assert named
    assert named <= known


def test_the_glossary_names_every_log_that_is_not_context_and_its_code() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    rows = {
        tuple(re.findall(r"^\| (\S+) \| `(\w+)`", line)[0])
        for line in text.splitlines()
        if line.startswith("| ") and "`" in line
    }
    context = {f"{feed}_log" for feed in CONTEXT_FEEDS}
    assert rows <= {(log.code or "–", log.name) for log in LOGS}
    assert rows >= {(log.code or "–", log.name) for log in LOGS if log.name not in context}


def test_the_index_links_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link).resolve() for link in LINK.findall(index.read_text("utf-8"))}
    pages_below = {page for page in PAGES if page.is_relative_to(ROOT / "docs") and page != index}
    assert pages_below - linked == set()
