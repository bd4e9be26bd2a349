"""The catalogue of attacks: each is tried, and must be held.

`*_attacks.py` of this folder hold the catalogue; a new attack is one more entry of one of their `ATTACKS`.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from hostile.attack_table import PROPERTY

FILES = sorted(path.stem for path in Path(__file__).parent.glob("*_attacks.py"))
ATTACKS = [attack for name in FILES for attack in importlib.import_module(f"hostile.{name}").ATTACKS]
# The kinds of docs/threats.md.
KINDS = (
    "programs chosen by data",
    "links and special files",
    "half-done work",
    "text",
    "cost",
    "types",
    "images",
    "names",
    "what a reviewer sees",
)


def test_the_catalogue_covers_every_kind_and_names_each_attack_once():
    assert {attack.kind for attack in ATTACKS} <= set(KINDS)
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize(
    "attack",
    [pytest.param(each, id=each.name, marks=[pytest.mark.slow] if each.slow else []) for each in ATTACKS],
)
def test_an_attack_is_held(attack, tmp_path, record_property):
    came = attack.tried(tmp_path)
    row = {"name": attack.name, "kind": attack.kind, "held": came is None, "came": came or ""}
    record_property(PROPERTY, row)
    assert came is None, f"expected: {attack.expected}; came: {came}"
