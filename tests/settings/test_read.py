"""What a configuration file may say, and the sentence for what it may not."""

import math
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_eval.errors import UsageError
from xai_eval.settings.engine import Engine
from xai_eval.settings.find import Document
from xai_eval.settings.read import load_settings, read_settings
from xai_eval.settings.settings import NO_SETTINGS
from xai_eval.store.upgrade_policy import Decides, Policy

FULL = """
golden = "gold"
reports = "out"
tasks_files = ["mine.py"]
models = ["file:nets.py:a", "scenes:objects"]
images = "photos/"
device = "cpu"
workers = 3

[[suite]]
task = "cams"
methods = ["gradcam"]
layers = ["layer4.1"]

[[suite]]
task = "lime"
models = ["scenes:places"]
num_samples = 10

[tolerances.cams]
centre_distance = 1
gradcam = { largest = 0.1 }

[upgrades]
weights = "stages"

[profile.gpu]
golden = "gold-gpu"
device = "cuda"
engine = "ray"
gpus_per_worker = 0.5
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("xai_eval.toml").write_text(FULL)
    return tmp_path


def test_a_file_is_read_as_it_is_written(place):
    found = load_settings()
    assert (found.name, found.golden, found.reports) == ("xai_eval.toml", Path("gold"), Path("out"))
    assert list(found.task_files) == ["mine.py"]
    assert (found.models, found.images, found.device) == (("file:nets.py:a", "scenes:objects"), ("photos/",), "cpu")
    cams, lime = found.suite
    assert (cams.task, cams.models, cams.params) == ("cams", None, {"methods": ["gradcam"], "layers": ["layer4.1"]})
    assert (lime.task, lime.models, lime.params) == ("lime", ("scenes:places",), {"num_samples": 10})
    assert found.engine == Engine("local", workers=3)
    assert found.tolerances == {"cams": {"centre_distance": 1.0, "gradcam": {"largest": 0.1}}}
    assert found.policy == Policy(Decides.STAGES, Decides.STAGES, Decides.INCOMPARABLE)


def test_paths_are_relative_to_the_file(place, monkeypatch):
    below = place / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    found = load_settings()
    assert (found.golden, found.reports) == (place / "gold", place / "out")
    assert list(found.task_files) == [str(place / "mine.py")]
    assert found.name == str(place / "xai_eval.toml")


def test_a_profile_replaces_what_it_names(place):
    found = load_settings(profile="gpu")
    assert (found.golden, found.reports, found.device) == (Path("gold-gpu"), Path("out"), "cuda")
    assert found.engine == Engine("ray", workers=3, gpus_per_worker=0.5)
    with pytest.raises(UsageError, match=re.escape("xai_eval.toml: unknown profile 'gpus'. Did you mean gpu?")):
        load_settings(profile="gpus")


def test_without_a_file_everything_is_as_usual(tmp_path):
    assert load_settings(tmp_path) is NO_SETTINGS
    with pytest.raises(UsageError, match="no configuration file here"):
        load_settings(tmp_path, profile="gpu")


WRONG = {
    "unknown key": ('model = "a"', "xai_eval.toml: unknown key 'model'. Did you mean models"),
    "nested table": ("[tool.xai_eval]\n", "the keys stand at the top of the file, without [tool.xai_eval]"),
    "number for a text": ("golden = 3", "xai_eval.toml: golden is 3; expected a text."),
    "empty text": ('device = ""', "device is ''; expected a text."),
    "number for texts": ("models = [3]", 'models is [3]; expected one or more texts, such as ["one", "two"].'),
    "no texts": ("images = []", "images is []; expected one or more texts"),
    "one table for several": ('[suite]\ntask = "cams"', "suite is {'task': 'cams'}; expected tables"),
    "no task": ("[[suite]]\nmethods = []", "xai_eval.toml, suite 1 names no task. Add task ="),
    "models of an entry": ('[[suite]]\ntask = "cams"\nmodels = 1', "xai_eval.toml, suite 1 (cams): models is 1"),
    "tolerance in words": ('[tolerances.cams]\nmap = "wide"', "tolerances.cams.map is 'wide'; expected a number"),
    "negative tolerance": ("[tolerances.cams]\nmap = {top = -1}", "tolerances.cams.map.top is -1; expected a number"),
    "infinite tolerance": ("[tolerances.cams]\nmap = inf", "tolerances.cams.map is inf; expected a number"),
    "true as a tolerance": ("[tolerances.cams]\nmap = true", "tolerances.cams.map is True; expected a number"),
    "an unknown upgrade": ("[upgrades]\nweight = 'stages'", "xai_eval.toml, upgrades: unknown key 'weight'"),
    "an unknown policy": (
        "[upgrades]\nweights = 'fields'",
        "upgrades.weights is 'fields'; expected one of 'explanation', 'stages', 'incomparable'.",
    ),
    "a policy that is no text": (
        "[upgrades]\nlibraries = ['stages']",
        "upgrades.libraries is ['stages']; expected one",
    ),
    "unknown engine": ('engine = "spark"', "xai_eval.toml: unknown engine 'spark'. Known: local, ray."),
    "no workers": ("workers = 0", "xai_eval.toml: workers is 0; expected a whole number, at least 1."),
    "half a worker": ("[profile.gpu]\nworkers = 1.5", "xai_eval.toml, profile.gpu: workers is 1.5; expected a whole"),
    "GPUs in words": ('gpus_per_worker = "one"', "gpus_per_worker is 'one'; expected a number above 0"),
    "upgrades in one word": ("upgrades = 'stages'", "upgrades is 'stages'; expected a table."),
    "tolerances of no task": ("[tolerances]\ncams = 1", "xai_eval.toml, tolerances: cams is 1; expected a table."),
    "profile without a table": ("[profile]\ngpu = 1", "profile.gpu is 1; expected a table."),
    "key of a profile": ("[profile.gpu]\nsuite = []", "xai_eval.toml, profile.gpu: unknown key 'suite'."),
    "value of a profile": (
        "[profile.gpu]\nmodels = 1",
        "xai_eval.toml, profile.gpu: models is 1; expected one or more",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_with_its_key_and_what_was_expected(tmp_path, monkeypatch, name):
    text, sentence = WRONG[name]
    monkeypatch.chdir(tmp_path)
    Path("xai_eval.toml").write_text(text)
    with pytest.raises(UsageError) as refused:
        load_settings()
    assert sentence in str(refused.value) and "\n" not in str(refused.value)


SCALARS = [None, True, 0, -1, 2.5, math.nan, math.inf, "", "cams", b"x"]
LISTS = [[], ["cams"], [3], [[]], [{}], [{"task": "cams"}], [{"task": 3}], [{"task": "cams", "models": [""]}]]
TABLES = [
    {},
    {"": 1},
    {"cams": 1},
    {"cams": {}},
    {"cams": {"map": 1}},
    {"cams": {"map": {"a": "b"}}},
    {"a": {"device": 3}},
    {"weights": "stages", "libraries": 3},
]
VALUES = st.sampled_from([*SCALARS, *LISTS, *TABLES])
FOLDERS = ["golden", "reports", "models", "images", "device", "tasks_files"]
KEYS = [*FOLDERS, "suite", "tolerances", "upgrades", "profile", "other"]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4))
def test_any_table_is_read_or_refused_with_its_file(table):
    try:
        read_settings(Document(Path.cwd() / "xai_eval.toml", table))
    except UsageError as error:
        assert str(error).startswith("xai_eval.toml")
