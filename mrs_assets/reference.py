"""Writes docs/reference from the declarations: logs, views, stages, settings, commands."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from mrs_assets.boundary.failure_modes import FEED_MODES, STAGE_MODES, WANT_MODES
from mrs_assets.cli.app import app
from mrs_assets.contracts import alerting, resilience, storage
from mrs_assets.contracts import settings as declared
from mrs_assets.contracts.columns import SQL_TYPES
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.execution import Execution
from mrs_assets.contracts.feeds import CONTEXT_FEEDS, FEED_DECLARATIONS
from mrs_assets.contracts.logs.catalogue import LOGS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.recall import Recall
from mrs_assets.contracts.service_levels import ServiceLevels
from mrs_assets.contracts.sources import Source
from mrs_assets.contracts.stage import Stage
from mrs_assets.contracts.views import VIEWS, View
from mrs_assets.finalisation.asset_body import EDITS_DOWN
from mrs_assets.graph import STAGES
from mrs_assets.health.reading import HEALTH_VIEWS
from mrs_assets.health.view import HealthView
from mrs_assets.slo.objectives import OBJECTIVES

GENERATED = "<!-- Written by `make docs` from the declarations in the code. -->\n\n"
SECTIONS: dict[str, type[BaseModel]] = {
    "[retailers.<name>]": declared.Retailer,
    "[retailers.<name>.sources.<source>]": Source,
    "[feeds.<name>]": declared.ContextFeed,
    "[detection]": declared.Detection,
    "[auto_approval]": declared.AutoApproval,
    "[calendar]": declared.Calendar,
    "[execution]": Execution,
    "[storage]": storage.Storage,
    "[isolation]": resilience.Isolation,
    "[retries]": resilience.Retries,
    "[breakers]": resilience.Breakers,
    "[recovery]": resilience.Recovery,
    "[replays]": resilience.Replays,
    "[alerts]": alerting.Alerting,
    "[alerts.channels.<name>]": alerting.Channel,
    "[slo]": ServiceLevels,
    "[drift]": resilience.Drift,
    "[recall]": Recall,
    "[[faults]]": resilience.Fault,
}


def pages() -> dict[str, str]:
    """File name → text of every reference page."""
    texts = {
        "logs.md": _logs(),
        "views.md": _views(),
        "feeds.md": _feeds(),
        "stages.md": _stages(),
        "settings.md": _settings(),
        "commands.md": _commands(),
        "degradation.md": _degradation(),
        "service-levels.md": _service_levels(),
    }
    return {name: GENERATED + text.rstrip() + "\n" for name, text in texts.items()}


def _columns(dataset: Contract | View | HealthView) -> Iterator[str]:
    yield "| column | type | meaning |"
    yield "|---|---|---|"
    for name, dtype in dataset.schema.items():
        yield f"| `{name}` | {SQL_TYPES[dtype]} | {dataset.describe(name)} |"


def _logs() -> str:
    lines = ["# Logs", "", "Append-only tables in the warehouse. Each has a dead-letter twin, `<log>_errors`.", ""]
    for log in LOGS:
        code = f" ({log.code})" if log.code else ""
        lineage = f" Lineage, not content: {', '.join(f'`{c}`' for c in log.lineage)}." if log.lineage else ""
        key = ", ".join(f"`{c}`" for c in log.key)
        lines += [f"## {log.name}{code}", "", f"{log.title} Key: {key}.{lineage}", "", *_columns(log), ""]
    return "\n".join(lines)


def _views() -> str:
    lines = [
        "# Current state",
        "",
        "Tables folded from the logs; see [current state](../explanation/current-state.md).",
        "",
    ]
    for view in VIEWS:
        lines += [f"## {view.name}", "", view.title, "", *_columns(view), ""]
    lines += [
        "# Health",
        "",
        "Tables of every published snapshot, as of its newest row; see [how to read health](../how-to/read-health.md).",
        "",
    ]
    for table in HEALTH_VIEWS:
        lines += [f"## {table.name}", "", table.title, "", *_columns(table), ""]
    return "\n".join(lines)


def _feeds() -> str:
    lines = [
        "# Feeds",
        "",
        "Files go to `inbox/<feed>/<retailer>/` in MRS_HOME: CSV, NDJSON or Parquet, gzip or zstd.",
        "",
    ]
    for feed in FEED_DECLARATIONS.values():
        written = ", ".join(f"`{target.contract.name}`" for target in feed.targets)
        lines += [
            f"## {feed.name}",
            "",
            f"Written to {written}.",
            "",
            "| column | reads as | | also called |",
            "|---|---|---|---|",
        ]
        for column in feed.columns:
            need = "required" if column.required else f"default `{column.default}`" if column.default else "optional"
            also = ", ".join(f"`{s}`" for s in column.synonyms)
            lines.append(f"| `{column.name}` | {column.kind} | {need} | {also} |")
        lines += ["", *(f"- `{rule.error_code}`: {rule.message}" for rule in feed.rules), ""]
    return "\n".join(lines)


def _stages() -> str:
    lines = [
        "# Stages",
        "",
        "What each stage needs, what it wants, and the reason on its rows when a want is not there.",
        "",
    ]
    for stage in STAGES:
        lines += [f"## {stage.name}", "", *_one_stage(stage), ""]
    return "\n".join(lines)


def _one_stage(stage: Stage) -> Iterator[str]:
    yield stage.description
    yield ""
    yield f"Writes {', '.join(f'`{c.name}`' for c in stage.writes)}. A row depends on its {stage.span}."
    yield ""
    yield "| input | log or model | days before | days after | without it |"
    yield "|---|---|---|---|---|"
    for name, need in stage.needs.items():
        yield f"| {name} | `{need.contract.name}` | {need.days_before} | {need.days_after} | the stage fails |"
    for name, want in stage.wants.items():
        if want.log is not None:
            log = want.log
            yield f"| {name} | `{log.contract.name}` | {log.days_before} | {log.days_after} | `{want.reason}` |"
        else:
            yield f"| {name} | model `{want.model}` | | | `{want.reason}` |"


def _degradation() -> str:
    lines = [
        "# What fails, and what rows say",
        "",
        "Nothing on this page stops a run, and the tests try all of it on a real graph; see "
        "[degradation](../explanation/degradation.md). A stage's own fallback writes typed NULLs.",
        "",
        "## Reasons",
        "",
        "| where | without | rows of | carry |",
        "|---|---|---|---|",
    ]
    for stage in STAGES:
        rows_of = ", ".join(f"`{contract.name}`" for contract in stage.writes)
        for name, want in stage.wants.items():
            lines.append(f"| {stage.name} | {name} | {rows_of} | `{want.reason}` |")
        if stage.down:
            lines.append(f"| {stage.name} | its own answer | {rows_of} | `{stage.down}` |")
    lines.append(f"| {FINALISED.name} | edits | `{FINALISED.name}` | `{EDITS_DOWN}` |")
    tables = {
        f"Files of an optional feed ({', '.join(CONTEXT_FEEDS)})": FEED_MODES,
        "Anything that a stage wants, when it is read": WANT_MODES,
        f"Stages that compute apart ({', '.join(stage.name for stage in STAGES if not stage.critical)})": STAGE_MODES,
    }
    for title, modes in tables.items():
        lines += ["", f"## {title}", "", "| how it fails | what happens | on the rows | mended by |"]
        lines += ["|---|---|---|---|"]
        lines += [f"| {mode.name} | {mode.means} | {mode.outcome} | {mode.heals} |" for mode in modes]
    return "\n".join(lines)


def _service_levels() -> str:
    lines = [
        "# Service levels",
        "",
        "One check each on `slo_results_log`; see [service levels](../explanation/service-levels.md). Limits are keys",
        "of `[slo]` in [the settings](settings.md); one of 0 that has no key is fixed.",
        "",
        "| check | about | limit | taken over | severity | error budget |",
        "|---|---|---|---|---|---|",
    ]
    defaults = ServiceLevels()
    for each in OBJECTIVES:
        side = "at least" if each.at_least else "at most"
        limit = f"{side} {each.limit(defaults):g} {each.unit}" + (f", `{each.setting}`" if each.setting else "")
        budget = "yes" if each.judged_days is not None else ""
        window = each.window_in_words(defaults)
        lines.append(f"| `{each.name}` | `{each.asset}` | {limit} | {window} | {each.severity} | {budget} |")
    lines += ["", *(f"- `{each.name}`: {each.description}" for each in OBJECTIVES)]
    return "\n".join(lines)


def _settings() -> str:
    lines = ["# Settings", "", "`feeds.toml` in the working directory, or the file that `MRS_FEEDS` names.", ""]
    lines += ["`MRS_HOME` says where the system lives; `.mrs/` by default.", ""]
    for title, section in SECTIONS.items():
        lines += [f"## {title}", "", *_section(section), ""]
    return "\n".join(lines)


def _section(section: type[BaseModel]) -> Iterator[str]:
    text = inspect.getdoc(section) or ""
    yield text.split("Attributes:")[0].strip()
    yield ""
    yield "| key | default |"
    yield "|---|---|"
    for name, info in section.model_fields.items():
        default = info.get_default(call_default_factory=True)
        yield f"| `{name}` | {'required' if default is PydanticUndefined else f'`{default}`'} |"
    if "Attributes:" in text:
        yield ""
        yield "```"
        yield inspect.cleandoc("\n" + text.split("Attributes:")[1]).strip()
        yield "```"


def _commands() -> str:
    root: Any = typer.main.get_command(app)
    lines = ["# Commands", "", root.help.strip(), ""]
    for name, command in sorted(root.commands.items()):
        for sub, leaf in sorted(getattr(command, "commands", {"": command}).items()):
            lines += [f"## mrs {f'{name} {sub}'.strip()}", "", *_one_command(leaf), ""]
    return "\n".join(lines)


def _one_command(command: Any) -> Iterator[str]:
    yield (command.help or "").strip()
    shown = [parameter for parameter in command.params if parameter.name != "help"]
    if shown:
        yield ""
        yield "| argument or option | default | meaning |"
        yield "|---|---|---|"
    for parameter in shown:
        is_option = parameter.param_type_name == "option"
        name = parameter.opts[0] if is_option else parameter.name.upper()
        default = "" if parameter.default in (None, False, "") else f"`{parameter.default}`"
        yield f"| `{name}` | {default} | {getattr(parameter, 'help', None) or ''} |"


def main() -> None:
    """Write every page below the folder that the command line names."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
