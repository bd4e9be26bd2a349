"""The suite of a configuration file in pytest: one test per case."""

import json
import sys
from pathlib import Path

import pytest
from plugin_suite import HEADER, accept, with_and_without_xdist
from synthetic import make_result

from xai_eval import evaluate
from xai_eval.store.goldens import Goldens

sys.path.append(str(Path(__file__).parents[1] / "cli"))
from cli_runs import FACTORY

# Together these take longer than the default run may.
pytestmark = pytest.mark.slow

ONE_TEST = "def test_explanation(xai_case):\n    xai_case.check()\n"
SUITE = """
golden = "gold"
models = "file:nets.py:net"
images = "scenes:2"
device = "cpu"

[[suite]]
task = "cams"
methods = ["gradcam"]

[profile.other]
golden = "gold-other"
reports = "reports-other"
"""


@pytest.fixture(scope="module", autouse=True)
def everything_is_imported():
    """Import what the tasks import, because pytester forgets what a run imports, and torch cannot be imported twice."""
    evaluate("cams", images="scenes:1", methods=["gradcam"], device="cpu")
    evaluate("dissection", images="scenes:8", clip="none", layers=["layer4"], shuffles=0, device="cpu")


@pytest.fixture
def suite(pytester, monkeypatch, own_tasks):
    """A repository with a configuration file, a model, and one test."""
    monkeypatch.delenv("CI", raising=False)
    (pytester.path / "nets.py").write_text(FACTORY)
    (pytester.path / "xai_eval.toml").write_text(SUITE)
    pytester.makepyfile(test_suite=ONE_TEST)
    return pytester


def configure(repo, before, after):
    text = (repo.path / "xai_eval.toml").read_text()
    assert before in text
    (repo.path / "xai_eval.toml").write_text(text.replace(before, after))


@with_and_without_xdist
def test_every_case_is_a_test(suite, arguments):
    suite.runpytest().assert_outcomes(failed=2)
    accept(suite)
    assert len(list((suite.path / "gold").glob("cams/*/result.json"))) == 2
    found = suite.runpytest("-v", *arguments)
    found.assert_outcomes(passed=2)
    found.stdout.fnmatch_lines(["*test_explanation[[]cams-nets.py:net-scenes/scene-01[]]*"])
    found.stdout.fnmatch_lines(["*2 cases: 2 ok"])


def test_one_image_alone_is_computed_alone(suite):
    suite.runpytest()
    accept(suite)
    found = suite.runpytest("-k", "scene-01")
    found.assert_outcomes(passed=1, deselected=1)
    found.stdout.fnmatch_lines(["*1 case: 1 ok"])
    record = json.loads((suite.path / "reports" / "run.json").read_text())
    assert (record["planned"], record["finished"]) == (1, True)


def test_a_drift_fails_its_test_and_the_printed_commands_work(suite):
    from xai_eval.cli.main import main

    suite.runpytest()
    accept(suite)
    (suite.path / "old.py").write_text(FACTORY)
    (suite.path / "nets.py").write_text(FACTORY.replace("return Net(0)", "return Net(1)"))
    found = suite.runpytest()
    found.assert_outcomes(failed=2)
    (command, *_) = [line.split("xai-eval ")[1] for line in found.outlines if line.startswith("find the cause: ")]
    assert "--images" not in command, "the record of the run has the images"
    assert "--model file:nets.py:net" in command, "what stored data names is run only if somebody names it"
    assert main([*command.split(), "--old-model", "file:old.py:net"]) == 0


def test_the_result_is_there_for_assertions_of_ones_own(suite):
    suite.makepyfile(
        test_suite="""
        def test_explanation(xai_case):
            assert xai_case.name.startswith("cams-nets.py:net-scenes/scene-0")
            assert xai_case.result["gradcam"].degenerate is None
            assert len(xai_case.results) == 1
            xai_case.check()
        """
    )
    found = suite.runpytest()
    found.assert_outcomes(failed=2)
    found.stdout.fnmatch_lines(["*2 cases: 2 new"])


def test_a_selection_of_a_set_leaves_no_golden_unused(suite):
    configure(suite, "scenes:2", "scenes:3")
    suite.runpytest()
    accept(suite)
    configure(suite, "scenes:3", "scenes:2")
    suite.runpytest().assert_outcomes(passed=2)


@pytest.mark.slow
def test_a_task_that_explains_a_whole_model_is_one_test(suite):
    (suite.path / "xai_eval.toml").write_text(
        'device = "cpu"\n[[suite]]\ntask = "dissection"\nimages = "scenes:8"\nclip = "none"\nlayers = ["layer4"]\n'
        'shuffles = 0\nmodels = ["scenes:objects"]'
    )
    suite.runpytest().assert_outcomes(failed=1)
    accept(suite)
    suite.runpytest().assert_outcomes(passed=1)


def test_the_marker_selects_them(suite):
    suite.makepyfile(test_other="def test_other(): pass")
    suite.runpytest("-m", "not xai").assert_outcomes(passed=1, deselected=2)


def test_a_profile_has_folders_of_its_own(suite):
    suite.runpytest("--xai-profile", "other").assert_outcomes(failed=2)
    assert (suite.path / "reports-other" / "index.html").exists() and not (suite.path / "reports").exists()
    found = suite.runpytest("--xai-profile", "gpu")
    found.assert_outcomes(errors=1)
    found.stdout.fnmatch_lines(["*unknown profile 'gpu'. Known: other."])


WRONG = {
    "unknown key": ("models =", "model =", "*xai_eval.toml: unknown key 'model'. Did you mean models*"),
    "broken file": ("golden =", "golden", "*xai_eval.toml is not valid TOML*"),
    "no suite": ('[[suite]]\ntask = "cams"\nmethods = ["gradcam"]', "", "*xai_eval.toml has no [[][[]suite]], so *"),
    "unknown parameter": ("methods", "method", "*suite 1 (cams): unknown key 'method'. Did you mean methods*"),
    "missing images": ("scenes:2", "fotos/", "*suite 1 (cams), *fotos* does not exist*"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_the_file_ends_pytest_with_a_sentence(suite, name):
    before, after, sentence = WRONG[name]
    configure(suite, before, after)
    found = suite.runpytest()
    assert found.ret != 0
    lines = [*found.outlines, *found.errlines]
    (said,) = {line for line in lines if "xai_eval.toml" in line or "fotos" in line}
    from fnmatch import fnmatch

    assert fnmatch(said, sentence), said
    assert not any("Traceback" in line or "site-packages" in line for line in lines)


def test_a_model_that_is_missing_fails_its_tests_with_a_sentence(suite):
    configure(suite, "nets.py:net", "nets.py:returns_text")
    found = suite.runpytest()
    found.assert_outcomes(failed=2)
    found.stdout.fnmatch_lines(["*suite 1 (cams), model file:nets.py:returns_text*returned a str; expected*"])
    assert "site-packages" not in found.stdout.str()


def test_without_a_file_the_sentence_says_how_to_get_one(suite):
    (suite.path / "xai_eval.toml").unlink()
    found = suite.runpytest()
    assert found.ret != 0
    told = "\n".join([*found.outlines, *found.errlines])
    assert "no configuration file was found" in told and "`xai-eval init`" in told


@pytest.fixture
def plain(pytester, monkeypatch):
    """A repository whose tests make their results themselves."""
    monkeypatch.delenv("CI", raising=False)
    pytester.makepyfile(test_own=f"{HEADER}\ndef test_one(xai_golden): xai_golden.check(make_result('one.jpg'))\n")
    return pytester


def test_folders_of_the_file_hold_for_tests_of_ones_own(plain):
    (plain.path / "pyproject.toml").write_text('[tool.xai_eval]\ngolden = "gold"\nreports = "out"\n')
    plain.runpytest().assert_outcomes(failed=1)
    accept(plain)
    assert (plain.path / "gold").is_dir() and (plain.path / "out" / "index.html").exists()
    plain.runpytest().assert_outcomes(passed=1)


def test_an_option_and_an_ini_key_win_over_the_file(plain):
    (plain.path / "pyproject.toml").write_text('[tool.xai_eval]\ngolden = "gold"\nreports = "out"\n')
    plain.makeini("[pytest]\nxai_report = from-ini")
    plain.runpytest("--xai-golden", "from-option").assert_outcomes(failed=1)
    assert (plain.path / "from-ini" / "index.html").exists()
    assert "from-option" in (plain.path / "from-ini" / "index.html").read_text()


def test_folders_are_relative_to_the_file_also_from_below(plain):
    below = plain.mkdir("below")
    (plain.path / "test_own.py").rename(below / "test_own.py")
    (below / "pytest.ini").write_text("[pytest]\n")
    (plain.path / "xai_eval.toml").write_text('golden = "gold"\nreports = "out"\n')
    plain.runpytest("below").assert_outcomes(failed=1)
    assert (plain.path / "out" / "index.html").exists()


def test_tolerances_of_the_file_hold_for_tests_of_ones_own(plain):
    moved = "from synthetic import blob\nimport numpy as np\nfrom xai_eval import Heatmap, HeatmapTolerance\n"
    Goldens(plain.path / "golden").store(make_result("one.jpg"), "looked")
    plain.makepyfile(
        test_own=f"{HEADER}{moved}def test_one(xai_golden):\n"
        "    xai_golden.check(make_result('one.jpg', saliency=blob(80, 120) * 0.9))\n"
    )
    plain.runpytest().assert_outcomes(failed=1)
    (plain.path / "xai_eval.toml").write_text("[tolerances.cams]\ngradcam = {largest = 0.2}")
    plain.runpytest().assert_outcomes(passed=1)
    (plain.path / "xai_eval.toml").write_text("[tolerances.cams]\ngradcam = {largest = 0.3}")
    found = plain.runpytest()
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["*xai_eval.toml: tolerances.cams.gradcam: the tolerance of the largest*above its cap*"])
    (plain.path / "xai_eval.toml").write_text("[tolerances.cams]\ngradcan = {largest = 0.2}")
    found = plain.runpytest()
    found.stdout.fnmatch_lines(["*xai_eval.toml: unknown field in tolerances.cams 'gradcan'. Did you mean gradcam*"])
    assert found.ret == 1


def test_a_broken_file_does_not_disturb_tests_without_explanations(pytester):
    (pytester.path / "xai_eval.toml").write_text("golden")
    pytester.makepyfile("def test_one(): pass")
    pytester.runpytest().assert_outcomes(passed=1)
