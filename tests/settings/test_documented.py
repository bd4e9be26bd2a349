"""The files that the documents show are valid, and say what the documents say of them."""

import re
import tomllib
from pathlib import Path

import pytest

from xai_eval.run.suite import completed, requests_of
from xai_eval.settings.find import Document
from xai_eval.settings.read import read_settings
from xai_eval.store.upgrade_policy import DEFAULT_POLICY

ROOT = Path(__file__).parents[2]
PAGE, README = ROOT / "docs" / "configuration.md", ROOT / "README.md"


def blocks(page):
    return re.findall(r"^```toml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def read(text, profile=None):
    parsed = tomllib.loads(text)
    in_pyproject = "tool" in parsed
    name = "pyproject.toml" if in_pyproject else "xai_eval.toml"
    return read_settings(Document(Path.cwd() / name, parsed["tool"]["xai_eval"] if in_pyproject else parsed), profile)


@pytest.mark.parametrize("page", [PAGE, README], ids=lambda page: page.name)
def test_a_shown_file_is_valid_down_to_the_parameters_of_its_tasks(page):
    settings = read(blocks(page)[0])
    requests = requests_of([completed(each, settings) for each in settings.suite], settings)
    assert {request.task for request in requests} == {"cams"}


def test_the_page_shows_what_its_example_asks_for():
    settings = read(blocks(PAGE)[0])
    requests = requests_of([completed(each, settings) for each in settings.suite], settings)
    assert len(requests) == 2 * 2 + 2 * 2, "two models on two image sets; one model on two image sets for two layers"


def test_the_shown_upgrades_are_the_defaults():
    assert blocks(PAGE)[1].startswith("[tool.xai_eval.upgrades]\n")
    assert read(blocks(PAGE)[1]).policy == DEFAULT_POLICY


def test_the_shown_profile_is_valid():
    assert read(blocks(PAGE)[2], "gpu").golden == Path("golden-gpu")


def test_the_page_names_every_key():
    text = PAGE.read_text(encoding="utf-8")
    where = ("golden", "reports", "models", "images", "device", "engine", "workers", "gpus_per_worker", "tasks_files")
    for key in (*where, "precision", "suite", "tolerances", "upgrades", "profile"):
        assert f"`{key}`" in text
