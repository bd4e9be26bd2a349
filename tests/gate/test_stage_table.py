"""The table of stages is whole: every kind has a row, and nothing beside it knows how stages are called."""

import ast
from pathlib import Path

import pytest

import xai_eval
from xai_eval.gate import stage_table
from xai_eval.gate.stage_table import meaning_of, meaning_of_box, rules_of
from xai_eval.result.stage import OwnKind, Stage, StageKind

PACKAGE = Path(xai_eval.__file__).parent
OWN = Stage(OwnKind("attention rollout"), "layer4")
KIND_ROWS = {kind.value: rules_of(Stage(kind, "a part")) for kind in StageKind}
ROWS = {
    **KIND_ROWS,
    **{f"{kind} of {of}": rules_of(Stage(StageKind(kind), of)) for kind, of in stage_table._PARTS},
    str(OWN): rules_of(OWN),
}


def test_every_kind_has_a_row_and_a_kind_of_a_user_the_default():
    assert all(rules_of(Stage(kind)) is not rules_of(OWN) for kind in StageKind)


@pytest.mark.parametrize("name", ROWS)
def test_every_row_says_what_its_steps_begin_with_and_by_how_much_the_stage_may_move(name):
    rules = ROWS[name]
    assert all(bool(step.after) != bool(step.given) for step in rules.steps) and rules.steps
    assert all(before.kinds for step in rules.steps for before in step.after)
    limits = rules.limits
    assert 0.0 <= limits.on_cpu <= limits.elsewhere <= limits.alarm_elsewhere


def test_a_part_that_is_not_like_the_others_of_its_kind_is_not():
    for kind, of in stage_table._PARTS:
        assert rules_of(Stage(StageKind(kind), of)) != rules_of(Stage(StageKind(kind), "another part"))


def test_every_kind_and_every_shared_box_has_a_meaning_of_its_own():
    meanings = {str(kind): meaning_of(Stage(kind)) for kind in StageKind}
    boxes = {rules.family: meaning_of_box(Stage(StageKind(name))) for name, rules in KIND_ROWS.items() if rules.family}
    for name, meaning in {**meanings, **boxes}.items():
        assert meaning and not meaning.endswith("."), name
    every = [*meanings.values(), *boxes.values()]
    assert len(set(every)) == len(every)
    assert meaning_of(OWN) == ""


def test_the_box_of_a_layer_is_not_called_by_one_of_its_stages():
    for kind in (StageKind.ACTIVATIONS, StageKind.OVERLAP):
        assert "this layer" in meaning_of_box(Stage(kind, "layer4"))
        assert "this layer" not in meaning_of(Stage(kind, "layer4"))


NAMING = ("result/stage.py", "gate/stage_table.py", "gate/stages.py", "report/page/chain.py", "store/lazy.py")
TAKING_APART = {
    "startswith",
    "endswith",
    "split",
    "partition",
    "rpartition",
    "removeprefix",
    "removesuffix",
    "re",
}


@pytest.mark.parametrize("name", NAMING)
def test_no_name_of_a_stage_is_taken_apart(name):
    nodes = list(ast.walk(ast.parse((PACKAGE / name).read_text())))
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    assert (used | imported) & TAKING_APART == set()
