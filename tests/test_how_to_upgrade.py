"""The page on upgrades is what it says it is: its code, its commands, and the answers that it gives."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from xai_eval.cli.main import main
from xai_eval.gate.release.measures import MEASURES
from xai_eval.gate.release.release import Outcome
from xai_eval.gate.release.sign_flip import sign_flip
from xai_eval.result.naming import words

# Four runs over two dozen scenes take longer than the default run may.
pytestmark = pytest.mark.slow

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "upgrade.md"


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


RUNS, DIFFS, CHECK, LOG = ([shlex.split(line)[1:] for line in block.splitlines()] for block in blocks("console"))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The folder of the page after its four runs."""
    folder = tmp_path_factory.mktemp("upgrade")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("nets.py").write_text(blocks("python")[0])
        for each in RUNS:
            assert main([*each, "--quiet"]) == 0
    return folder


@pytest.fixture(autouse=True)
def here(place, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(place)


@pytest.mark.parametrize(
    ("words_of_diff", "code", "answer"),
    zip(DIFFS, (0, 1, 1), ("the same", "different, but not worse", "worse in: intended class"), strict=True),
    ids=["half", "retrained", "damaged"],
)
def test_the_three_comparisons_give_the_answers_of_the_page(capsys, words_of_diff, code, answer):
    assert main(words_of_diff) == code
    told = capsys.readouterr().out
    assert f"upgrade  The explanation is {answer}" in told
    assert main([*words_of_diff, "--json"]) == code
    release = json.loads(capsys.readouterr().out)["release"]
    assert answer in release["sentence"] and release["shares"][0]["images"] == 24
    assert all("Grad-CAM" not in each["measure"] for each in release["tested"])


def test_the_table_of_the_damaged_network_is_that_of_the_page(capsys):
    main(DIFFS[-1])
    told = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for line in blocks("text")[0].splitlines():
        assert " ".join(line.split()) in told


def test_the_upgrade_is_accepted_with_its_answer(capsys):
    assert [main(each) for each in CHECK] == [0, 0]
    assert "24 cases: 24 ok" in capsys.readouterr().out
    assert [main(each) for each in LOG] == [0, 0]
    assert "upgrade of the whole set: The explanation is different, but not worse" in capsys.readouterr().out


def test_what_the_page_says_of_answers_measures_and_numbers_is_so():
    text = PAGE.read_text(encoding="utf-8")
    for outcome in Outcome:
        assert str(outcome).split(", ")[-1] in text
    for name in MEASURES:
        assert words(name) in text
    assert sign_flip(np.full(4, 0.1)).above(-0.05) == 1 / 16, "four images prove nothing"
    assert round(10 * 0.9**11) == 3, "a loss in one image of ten is missed in 3 of 10 comparisons"
