"""Values that a test computed itself: from the first run over the golden to a drift, under every way to run pytest."""

import json
import math

import numpy as np
import pytest
from bare_suite import HEADER, ONE, PARAMETRISED, only_tests
from plugin_suite import accept

from xai_eval import Case, Result, Score
from xai_eval.cli.main import main
from xai_eval.errors import UsageError
from xai_eval.pytest_plugin.bare_result import bare_result, require_result
from xai_eval.report.page import shown_cases
from xai_eval.store.goldens import Goldens
from xai_eval.store.runs import load_cases

ID = "values/pytest-test-own-py-test-map-saliency-*"


def inputs(repo):
    return sorted(result.case.input for result in Goldens(repo.path / "golden").load_all()[0].values())


def states(repo):
    document = json.loads((repo.path / "reports" / "verdicts.json").read_text())
    return {name: number for name, number in document["states"].items() if number}


def test_new_accepted_ok_moved_accepted_ok(repo, monkeypatch, capsys):
    only_tests(repo, ONE)
    first = repo.runpytest()
    first.assert_outcomes(failed=1)
    first.stdout.fnmatch_lines([f"new: {ID}", f'if this is right: xai-eval accept {ID} --reason "..."'])
    assert not (repo.path / "golden").exists()
    # The printed command, in another process as it were: it needs nothing but the saved run.
    printed = next(line for line in first.outlines if line.startswith("if this is right: xai-eval accept "))
    key = printed.split()[6]
    assert main(["accept", key, "--reason", "looked"]) == 0
    assert inputs(repo) == ["pytest/test_own.py::test_map/saliency"]
    assert main(["check"]) == main(["log", key]) == main(["report"]) == 0
    repo.runpytest().assert_outcomes(passed=1)
    monkeypatch.setenv("MOVED", "1")
    monkeypatch.setattr(shown_cases, "FIGURES", 1)
    moved = repo.runpytest()
    moved.assert_outcomes(failed=1)
    moved.stdout.fnmatch_lines([f"drift: {ID}: Saliency changed (evidence): *moved by 0.*The test computes it*"])
    # Nothing can compute it again, so no such command is offered.
    moved.stdout.no_fnmatch_line("*explain-drift*")
    the_page_shows_the_map_without_an_image(repo)
    explain_drift_says_that_only_the_test_can_compute_it(capsys)
    assert main(["accept", "test_own.py::test_map/saliency", "--reason", "by the name of the test"]) == 0
    repo.runpytest().assert_outcomes(passed=1)


def the_page_shows_the_map_without_an_image(repo):
    page = (repo.path / "reports" / "index.html").read_text()
    assert "pytest/test_own.py::test_map/saliency" in page
    assert "xai-eval accept values/pytest-test-own-py-test-map-saliency-" in page
    assert "explain-drift" not in page and "<dt>models</dt><dd>none</dd>" in page
    assert 'alt="saliency, obtained: red speaks for it' in page
    assert "<code></code>" not in page
    for figure in ("_values", "_drift_saliency"):
        assert list((repo.path / "reports" / "figures").glob(f"*{figure}.png"))


def explain_drift_says_that_only_the_test_can_compute_it(capsys):
    assert main(["explain-drift", "test_own.py::test_map/saliency"]) == 2
    told = capsys.readouterr().err
    assert "was computed by a test (pytest/test_own.py::test_map/saliency)" in told
    assert "Changed since the golden: nothing that is recorded." in told


@pytest.mark.slow
def test_workers_and_their_groups_do_not_change_the_case(repo, few_plugins):
    marked = PARAMETRISED.replace("@pytest.mark.param", '@pytest.mark.xdist_group("g")\n@pytest.mark.param', 1)
    only_tests(repo, marked)
    repo.runpytest("-p", "no:xdist")
    accept(repo)
    for workers, distribution in (("2", "load"), ("1", "loadgroup")):  # one worker gets all tests of a group
        result = repo.runpytest_subprocess("-n", workers, "--dist", distribution)
        result.assert_outcomes(passed=3)
        result.stdout.fnmatch_lines(["3 cases: 3 ok"])


def test_every_parameter_has_its_own_golden_and_a_selection_calls_nothing_unused(repo):
    only_tests(repo, PARAMETRISED)
    repo.runpytest().assert_outcomes(failed=3)
    accept(repo)
    assert len(inputs(repo)) == 3 and "pytest/test_own.py::test_map[a/b c.jpg]/saliency" in inputs(repo)
    for selection in (["-k", "cat"], ["test_own.py::test_map[dog.jpg]"]):
        result = repo.runpytest(*selection)
        assert result.ret == pytest.ExitCode.OK, selection
        result.stdout.no_fnmatch_line("unused *")
        assert main(["check"]) == 0


def test_a_renamed_test_is_an_unused_golden_and_a_new_case(repo):
    only_tests(repo, ONE + ONE.rpartition("\ndef")[2].replace(" test_map", "def test_other"))
    repo.runpytest()
    accept(repo)
    only_tests(
        repo,
        ONE.replace("test_map", "test_new") + "def test_other(xai_golden): xai_golden.check(SPOT, name='saliency')\n",
    )
    result = repo.runpytest()
    assert states(repo) == {"ok": 1, "missing": 1, "unused": 1}
    result.stdout.fnmatch_lines([f"unused *{ID[:-1]}*No test of the run checked this case.*"])
    assert main(["accept", "test_own.py::test_new/saliency", "--reason", "renamed"]) == 0
    assert main(["prune"]) == 0
    assert inputs(repo) == ["pytest/test_own.py::test_new/saliency", "pytest/test_own.py::test_other/saliency"]


@pytest.mark.slow
def test_a_value_that_a_failed_test_did_not_reach_is_not_unused(repo, monkeypatch, few_plugins):
    two = ONE + '    xai_golden.check(SPOT, name="second")\n'
    only_tests(repo, two.replace("): xai_golden", "):\n    xai_golden"))
    for _ in range(2):  # the test ends at the first value without a golden
        repo.runpytest()
        accept(repo)
    assert len(inputs(repo)) == 2
    monkeypatch.setenv("MOVED", "1")
    repo.runpytest().stdout.no_fnmatch_line("unused *")
    assert states(repo) == {"drift": 1}
    assert main(["check"]) == 1
    assert states(repo) == {"drift": 1}
    # The group that pytest-xdist adds to the id of the test is no part of it.
    grouped = (
        (repo.path / "test_own.py").read_text().replace("def test_map", '@pytest.mark.xdist_group("g")\ndef test_map')
    )
    only_tests(repo, grouped)
    repo.runpytest_subprocess("-n", "1", "--dist", "loadgroup").assert_outcomes(failed=1)
    assert states(repo) == {"drift": 1}
    monkeypatch.delenv("MOVED")
    only_tests(repo, ONE)
    repo.runpytest().stdout.fnmatch_lines(["unused *values/pytest-test-own-py-test-map-second-*"])


@pytest.mark.slow
def test_one_name_twice_in_a_test_is_an_error_and_a_second_try_is_not(repo):
    only_tests(repo, ONE)
    repo.runpytest()
    accept(repo)
    twice = ONE.replace("): xai_golden", "):\n    xai_golden") + '    xai_golden.check(SPOT, name="saliency")\n'
    only_tests(repo, twice)
    result = repo.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *UsageError: xai_golden.check got the name 'saliency' twice in one test; *"])
    again = (
        ONE.replace("): xai_golden", "):\n    xai_golden")
        + "    os.environ.setdefault('TRIED', '') or os.environ.update(TRIED='1') or pytest.fail('once')\n"
    )
    only_tests(repo, again)
    result = repo.runpytest_subprocess("--reruns", "1", "-p", "no:xdist")
    result.assert_outcomes(passed=1)
    assert result.parseoutcomes()["rerun"] == 1


WRONG = (
    HEADER
    + """
import math
BAD = {
    "channels": np.ones((3, 5, 5)),
    "NaN": np.full((5, 5), np.nan),
    "text": "a word",
    "nothing": None,
    "empty": np.ones((0, 5)),
}
@pytest.mark.parametrize("kind", BAD)
def test_wrong(kind, xai_golden): xai_golden.check(BAD[kind], name="saliency")
def test_unnamed(xai_golden): xai_golden.check(SPOT)
"""
)


def test_a_wrong_value_is_one_sentence_at_the_line_of_the_test(repo):
    only_tests(repo, WRONG)
    result = repo.runpytest()
    result.assert_outcomes(failed=6)
    text = result.stdout.str()
    assert text.count("UsageError: xai_golden.check") == 6
    # The only code that is shown is that of the test.
    assert "hooks.py" not in text and "bare_fields.py" not in text and "plain_array.py" not in text
    assert "> def test_wrong(kind, xai_golden): xai_golden.check" in text.replace(">   ", "> ").replace(">  ", "> ")


def test_a_run_of_values_alone_that_was_cut_short_can_be_checked(repo, capsys):
    only_tests(repo, ONE + "def test_wrong(xai_golden): xai_golden.check(None, name='x')\n")
    repo.runpytest()
    assert main(["check"]) == 1
    assert "1 of 2 planned cases measured" in capsys.readouterr().out


RESULTS = (
    HEADER
    + """
from xai_eval import Case, Heatmap, HeatmapTolerance, Result, Score
CASE = {case}
def test_result(xai_golden):
    heat = Heatmap(SPOT, HeatmapTolerance(largest=0.02))
    xai_golden.check(Result(CASE, {{"heat": heat, "share": Score(0.5, 0.01)}}))
"""
)


def test_a_result_made_by_hand_needs_no_model_and_its_tiny_map_is_judged_by_its_own_range(repo, monkeypatch):
    only_tests(repo, RESULTS.format(case='Case("shap", "", "photos/cat.jpg")'))
    repo.runpytest()
    accept(repo)
    monkeypatch.setenv("MOVED", "1")
    moved = repo.runpytest()
    moved.stdout.fnmatch_lines(["drift: shap/photos-cat-jpg-*: Heat changed (evidence): the heat moved by *"])
    moved.stdout.no_fnmatch_line("*explain-drift*")
    assert main(["accept", "cat.jpg", "--reason", "looked"]) == 0


@pytest.mark.parametrize(
    "case, given, told",
    [
        (Case("shap", "", "x"), ("a", None), r"got name with the Result of shap/x-\w+; expected none"),
        (Case("shap", "", "x"), (None, 0.1), r"got tolerance with the Result of shap/x-\w+; expected none"),
        (Case("my task/1", "", "x"), (None, None), "got a Result of the task 'my task/1'; expected letters"),
        (Case("", "", "x"), (None, None), "got a Result of the task ''; expected letters"),
    ],
    ids=["named", "with a tolerance", "no folder", "no task"],
)
def test_a_result_that_cannot_be_checked_is_refused_in_one_sentence(case, given, told):
    with pytest.raises(UsageError, match=told):
        require_result(Result(case, {"share": Score(0.5, 0.01)}), *given)
    assert require_result(Result(Case("a.b-c_1+", "", "x"), {}), None, None)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("factor, told", [(1.0, True), (0.0, True), (1e300, False), (5e-324, False)])
def test_a_map_beyond_single_precision_has_a_digest_alone(factor, told, request):
    results = [bare_result(each * factor, "map", None, request.node) for each in (np.eye(70), np.eye(70)[::-1])]
    (now,), (was,) = (each.stages.values() for each in results)
    assert (now.sketch is not None) == told
    assert (now.digest == was.digest) == (factor == 0.0)
    assert math.isfinite(now.distance(was)) == told


def test_a_list_of_results_is_refused_with_the_loop_to_write():
    results = [Result(Case("shap", "", str(number)), {}) for number in range(2)]
    with pytest.raises(UsageError, match=r"got 2 Results at once.*for result in results"):
        require_result(results, None, None)


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", 3, "\x00", b"bytes"], ids=repr)
def test_a_name_that_cannot_be_read_is_refused(name, request):
    with pytest.raises(UsageError, match="expected a text in one line"):
        bare_result(1.0, name, None, request.node)


LIBRARIES = (
    HEADER
    + """
from helper import explain
def test_map(xai_golden): xai_golden.check(explain(), name="saliency")
"""
)


def test_the_libraries_of_the_test_and_of_its_own_modules_are_recorded(repo):
    repo.makepyfile(helper="import numpy, scipy.ndimage\nfrom PIL import Image\ndef explain(): return numpy.eye(8)\n")
    only_tests(repo, LIBRARIES)
    repo.runpytest()
    (result,) = load_cases(repo.path / "reports" / "results")[0].values()
    assert {"python", "xai-eval", "numpy", "scipy", "pillow"} <= set(result.provenance.versions)
    assert "torch" not in result.provenance.versions and "pytest" not in result.provenance.versions
    assert result.provenance.parameters["value"] == {"saliency": "ndarray of shape (8, 8) and type float64"}
