"""Each objective, driven across its limit on a real graph and back: its check, the log of results, and its alert."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from mrs_assets.alerting.note import Note
from mrs_assets.slo.objectives import OBJECTIVES, Objective
from tests.slo.levels import (
    DAYS,
    admit_only,
    alerts,
    checks,
    copied,
    sales,
    states,
    time_passes,
    value_of,
)
from tests.slo.stories import admission, answers, freshness, telling
from tests.slo.stories.story import Story
from tests.world import World

ROOMS = (freshness.STORIES, admission.STORIES, answers.STORIES, telling.STORIES)
STORIES = {name: story for stories in ROOMS for name, story in stories.items()}
IN_SHORT = {name for stories in ROOMS for name in [*stories][:1]}
"""One of each kind, told whenever tests are run; the others are a sweep."""


@pytest.mark.few(len(IN_SHORT))
@pytest.mark.parametrize("objective", sorted(OBJECTIVES, key=lambda o: o.name not in IN_SHORT), ids=lambda o: o.name)
def test_what_is_missed_is_told_gets_worse_and_is_told_to_be_over(
    objective: Objective, known: World, tmp_path: Path
) -> None:
    story = STORIES[objective.name]
    acts = story.tell(known, tmp_path / "home")

    world = next(acts)
    kept = checks(world)[objective.name]
    assert kept.passed
    assert own_alert(world, objective, story) == []

    world = acts.send(kept)
    missed = checks(world)[objective.name]
    assert (missed.passed, missed.severity.value) == (False, objective.severity.upper())
    (opened,) = own_alert(world, objective, story)
    assert (opened.state, opened.tells) == ("open", story.explained_by is None)
    assert fingerprint_of(opened.parent_id, world) == story.explained_by
    assert says(opened, objective, value_of(missed))

    world = acts.send(missed)
    worse = checks(world)[objective.name]
    assert not worse.passed
    assert value_of(worse) < value_of(missed) if objective.at_least else value_of(worse) > value_of(missed)
    updated = own_alert(world, objective, story)[-1]
    assert (updated.state, updated.cleared_at) == ("updated", None)
    assert says(updated, objective, value_of(worse))

    world = acts.send(worse)
    again = checks(world)[objective.name]
    assert again.passed
    cleared = own_alert(world, objective, story)[-1]
    assert (cleared.state, cleared.tells) == ("updated", False)
    assert cleared.cleared_at == cleared.noted_at, "being gone is no news before it has lasted"

    time_passes(world, minutes=world.settings.alerts.hold_down_minutes)
    assert checks(world)[objective.name].passed
    notes = own_alert(world, objective, story)
    resolved = notes[-1]
    assert (resolved.state, resolved.cleared_at) == ("resolved", cleared.cleared_at)
    assert resolved.noted_at - cleared.noted_at >= timedelta(minutes=world.settings.alerts.hold_down_minutes)
    assert {note.alert_id for note in notes} == {opened.alert_id}
    assert resolved.tells == any(note.tells for note in notes[:-1]), "who was told hears that it is over"
    assert all(note.parent_id is None for note in notes if note.tells)
    assert states(world, objective.name, story.subject)[-3:] == ["met", "breached", "met"]
    assert next(acts, None) is None


def own_alert(world: World, objective: Objective, story: Story) -> list[Note]:
    """Every change of the alerts of an objective."""
    subject = "ALL" if story.subject == "*" else story.subject
    return [note for note in alerts(world) if note.fingerprint == f"slo:{objective.name}:{subject}"]


def fingerprint_of(alert_id: str | None, world: World) -> str | None:
    return next((note.fingerprint for note in alerts(world) if note.alert_id == alert_id), None)


def says(note: Note, objective: Objective, value: float) -> bool:
    """Whether an alert says the value that the check says."""
    return note.body.startswith(f"{value:.4g} {objective.unit} where the limit is ")


def test_every_objective_has_a_story_and_no_story_is_left_untold() -> None:
    assert sorted(STORIES) == sorted(objective.name for objective in OBJECTIVES)


def test_a_file_that_no_replay_was_ever_planned_for_is_left_behind_too(known: World, tmp_path: Path) -> None:
    world = copied(known, tmp_path / "home")
    world.send(sales(DAYS, DAYS + 2), "next.csv")
    admit_only(world)
    time_passes(world, minutes=61)
    assert value_of(checks(world)["no_partition_left_failed"]) == 2
