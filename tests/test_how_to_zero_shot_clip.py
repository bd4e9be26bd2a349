"""The page on CLIP is what it says it is: its files, its code and its commands, as they stand there."""

import json
import re
import shlex
from pathlib import Path

import pytest

from xai_eval import evaluate, load_model
from xai_eval.cli.main import main

# Together these take longer than the default run may.
pytestmark = pytest.mark.slow

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "zero-shot-clip.md"


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def commands():
    return [shlex.split(line)[1:] for block in blocks("console") for line in block.splitlines()]


@pytest.fixture
def place(tmp_path, monkeypatch, without_figures):
    """A folder with the files of the page, and the working directory in it."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)
    words, prompts = blocks("text")
    Path("words.txt").write_text(words)
    Path("prompts.txt").write_text(prompts)
    return tmp_path


def field(place, name, which=0):
    """A field of a result of the last run."""
    found = sorted((place / "reports" / "results").glob("*/*/result.json"))[which]
    (wanted,) = [each for each in json.loads(found.read_text())["fields"] if each["name"] == name]
    return wanted


CAMS = [each for each in commands() if each[:2] == ["run", "cams"]]


@pytest.mark.parametrize(
    ("command", "classes"),
    [
        (CAMS[0], "12; 12 words (objects), each in 1 prompt (bare)"),
        (CAMS[1], "3; 3 words (balloon,bird,boat), each in 1 prompt (bare)"),
        (CAMS[2], "4; 4 words (words.txt), each in 1 prompt (bare)"),
        (CAMS[3], "4; 4 words (words.txt), each in 2 prompts (prompts.txt)"),
    ],
    ids=lambda each: each[-1] if isinstance(each, list) else "",
)
def test_the_words_of_the_command_are_the_classes(place, command, classes):
    assert main([*command, "--quiet"]) == 0
    assert field(place, "model")["content"]["classes"] == classes


def test_a_word_that_is_not_chosen_can_be_explained(place):
    assert main([*CAMS[4], "--quiet"]) == 0
    assert field(place, "explained")["text"] == "boat" != field(place, "predicted")["text"]


@pytest.mark.parametrize("task", ["lime", "attributions"])
def test_other_tasks_explain_it_as_well(place, task):
    (command,) = [each for each in commands() if each[:2] == ["run", task]]
    assert main([*command, "--quiet"]) == 0
    assert field(place, "predicted")["text"] == "balloon"


def test_a_changed_file_of_words_is_a_change_of_the_weights(place, capsys):
    (accept,) = [each for each in commands() if each[0] == "accept"]
    assert main([*CAMS[2], "--quiet"]) == 0 and main(accept) == 0
    Path("words.txt").write_text(Path("words.txt").read_text().replace("car", "lamp"))
    assert main([*CAMS[2], "--quiet"]) == 0
    verdicts = json.loads((place / "reports" / "verdicts.json").read_text())["verdicts"]
    assert [each["sentence"][:26] for each in verdicts] == ["Weights changed on record "] * 2


def test_the_code_of_the_page_prints_the_probabilities_of_the_words(capsys):
    exec(blocks("python")[0], {})
    predicted, _, probabilities = capsys.readouterr().out.partition(" ")
    assert predicted == "balloon"
    assert "'balloon (0)': 0.99" in probabilities


def test_the_layers_are_called_as_the_page_says():
    (result,) = evaluate("cams", model="open_clip:scenes:objects", images="scenes:1", methods=["gradcam"])
    assert result.case.params["layer"].startswith("clip.visual.layer4")
    assert "clip.visual.layer4" in load_model("open_clip:scenes:objects").layer_names


def test_words_that_the_model_does_not_know_are_told():
    assert "never taught all words of 'zebra'" in load_model("open_clip:scenes:balloon,zebra").classes_from
