"""What the plugin makes of tests that check nothing."""

import pytest
from plugin_suite import HEADER, accept, with_and_without_xdist
from synthetic import make_result

from xai_eval.store.goldens import Goldens


def test_skipped_and_xfailed_tests_do_not_make_their_goldens_unused(repo):
    repo.runpytest()
    accept(repo)
    suite = repo.path / "test_suite.py"
    text = suite.read_text()
    suite.write_text(
        text.replace(
            "def test_explanation(name, xai_golden):",
            "def test_explanation(name, xai_golden, request):\n"
            "    if name == 'image-0.jpg': pytest.skip('today')\n"
            "    if name == 'image-1.jpg': pytest.xfail('known')",
        )
    )
    result = repo.runpytest()
    result.assert_outcomes(passed=8, skipped=1, xfailed=1)
    result.stdout.fnmatch_lines(["*tests that use goldens but checked no result: 2. Nothing of this run can be acc*"])


def test_a_run_that_measures_nothing_fails(repo):
    repo.makepyfile(test_suite="import pytest\ndef test_it(xai_golden): pytest.skip('no time')")
    result = repo.runpytest()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*nothing was measured*"])


ABSENT = """
import pytest
from xai_eval.errors import InputUnavailable

@pytest.fixture
def photographs():
    raise InputUnavailable("imagenet-samples is missing: looked in data/")

@pytest.mark.{marker}
def test_in_setup(photographs, xai_golden): ...

@pytest.mark.{marker}
def test_in_call(xai_golden):
    raise InputUnavailable("weights are missing: looked in data/")
"""


def test_an_absent_input_of_a_real_test_is_said_and_fails_when_strict(repo):
    repo.makepyfile(test_suite=ABSENT.format(marker="real"))
    result = repo.runpytest("-rs")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*imagenet-samples is missing: looked in data/*", "*weights are missing*"])
    repo.runpytest("--xai-strict").assert_outcomes(failed=1, errors=1)
    repo.makeini("[pytest]\nxai_strict = true")
    repo.runpytest().assert_outcomes(failed=1, errors=1)


def test_an_absent_input_of_an_ordinary_test_is_a_failure(repo):
    repo.makepyfile(test_suite=ABSENT.format(marker="xai"))
    repo.runpytest().assert_outcomes(failed=1, errors=1)


def test_a_gpu_test_says_that_cuda_is_missing_and_fails_when_strict(repo, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    repo.makepyfile(
        test_suite="import pytest\n@pytest.mark.gpu\n@pytest.mark.parametrize('n', [1, 2])\ndef test_it(n): pass\n"
        "def test_cpu(): pass"
    )
    result = repo.runpytest("-m", "gpu")
    result.assert_outcomes(skipped=2, deselected=1)
    result.stdout.fnmatch_lines(["*not measured*", "2 tests: CUDA is not available here", "nothing was measured: *"])
    some = repo.runpytest()
    some.stdout.fnmatch_lines(["2 tests: CUDA is not available here"])
    some.stdout.no_fnmatch_line("nothing was measured*")
    repo.runpytest("-m", "gpu", "--xai-strict").assert_outcomes(errors=2, deselected=1)


IDLE = (
    HEADER
    + """
def test_checks(xai_golden): xai_golden.check(make_result("one.jpg"))

@pytest.mark.real
def test_skips(xai_golden): pytest.skip("no weights")

def test_forgets(xai_golden): pass

def test_fails(xai_golden): assert False
"""
)


@with_and_without_xdist
def test_when_strict_every_test_that_checks_nothing_fails_once(repo, arguments):
    repo.makepyfile(test_suite=IDLE)
    Goldens(repo.path / "golden").store(make_result("one.jpg"), "looked")
    result = repo.runpytest_subprocess(*arguments, "--xai-strict")
    result.assert_outcomes(passed=2, skipped=1, failed=3)
    result.stdout.fnmatch_lines_random(
        ["FAILED *::test_skips - not measured*", "FAILED *::test_forgets - not measured*"]
    )


def test_a_skip_alone_fails_when_strict(repo):
    repo.makepyfile(test_suite="import pytest\n@pytest.mark.real\ndef test_it(xai_golden): pytest.skip('no weights')")
    assert repo.runpytest().ret == pytest.ExitCode.OK
    assert repo.runpytest("--xai-strict").ret == pytest.ExitCode.TESTS_FAILED
