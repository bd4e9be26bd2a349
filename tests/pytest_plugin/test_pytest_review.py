"""Under pytest: cases in quarantine, and what those who look at a pull request get to see."""

import datetime
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from plugin_suite import with_and_without_xdist
from synthetic import make_result

from xai_eval.store.goldens import Goldens
from xai_eval.store.quarantine import QUARANTINE_FILE

SUITE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import pytest
from synthetic import blob, make_result

@pytest.mark.parametrize("name, row", [("moved.jpg", 150), ("same.jpg", 80)])
def test_explanation(name, row, xai_golden):
    verdict = xai_golden.check(make_result(name, saliency=blob(row, 120)))
    assert verdict.state == ("drift" if row == 150 else "ok")
"""
MOVED = make_result("moved.jpg").case.key
SOON = str(datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=30))


@pytest.fixture
def repo(pytester, monkeypatch):
    """Goldens of two images, of which the first has drifted."""
    monkeypatch.delenv("CI", raising=False)
    pytester.makepyfile(test_suite=SUITE)
    for name in ("moved.jpg", "same.jpg"):
        Goldens(pytester.path / "golden").store(make_result(name), "looked")
    return pytester


def set_aside(repo, key=MOVED, expires=SOON, owner='"Mira"'):
    entry = f'["{key}"]\nowner = {owner}\nreason = "upstream"\nexpires = {expires}\n'
    (repo.path / "golden" / QUARANTINE_FILE).write_text(entry)


@with_and_without_xdist
def test_a_drift_in_quarantine_passes_and_is_shown(repo, arguments):
    repo.runpytest(*arguments).assert_outcomes(passed=1, failed=1)
    set_aside(repo)
    result = repo.runpytest(*arguments, "--junit-xml=junit.xml")
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [f"drift*evidence*{MOVED}*In quarantine until {SOON} (Mira: upstream).", "2 cases: *; 1 in quarantine"]
    )
    properties = [{p.get("name"): p.get("value") for p in case.iter("property")} for case in junit(repo)]
    assert sorted(p["xai_quarantine"] for p in properties) == ["", SOON]
    assert {p["xai_state"] for p in properties} == {"ok", "drift"}


def junit(repo):
    return list(ET.parse(repo.path / "junit.xml").iter("testcase"))


def test_an_expired_quarantine_fails_and_says_so(repo):
    set_aside(repo, expires="2020-01-31")
    result = repo.runpytest()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([f"drift: {MOVED}: *Its quarantine expired on 2020-01-31 (Mira: upstream)*"])
    set_aside(repo, key=make_result("same.jpg").case.key, expires="2020-01-31")
    repo.runpytest().assert_outcomes(failed=2)


@pytest.mark.parametrize("selection", [(), ("-k", "same")], ids=["all", "k"])
def test_an_entry_for_an_unknown_case_fails_the_run(repo, selection):
    set_aside(repo, key="cams/photos-mvoed-jpg")
    result = repo.runpytest(*selection)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*error*unknown case 'cams/photos-mvoed-jpg'. Did you mean*"])


def test_an_entry_of_a_case_that_was_not_selected_is_no_matter(repo):
    set_aside(repo)
    assert repo.runpytest("-k", "same").ret == pytest.ExitCode.OK


def test_a_damaged_file_fails_every_test_with_one_sentence(repo):
    set_aside(repo, owner="Mira")
    result = repo.runpytest()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines([f"*{QUARANTINE_FILE} is not TOML:*"])


def test_on_github_the_job_gets_a_summary_and_one_annotation(repo, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(repo.path / "summary.md"))
    result = repo.runpytest()
    assert (repo.path / "summary.md").read_text().count(f"| drift | evidence | `{MOVED}`") == 1
    told = [line for line in (*result.outlines, *result.errlines) if line.startswith("::error ")]
    assert len(told) == 1
    assert told[0].startswith(f"::error title=xai-eval::2 cases: 1 ok, 1 drift. The worst is {MOVED}: ")


@pytest.mark.slow
@pytest.mark.parametrize(("seen", "days", "passed"), [(-1000, 30, 2), (-20, -5, 1)])
def test_the_day_that_counts_is_not_that_which_a_test_sets(repo, seen, days, passed):
    """As freezegun does."""
    repo.makeconftest(
        f"""
import datetime, pytest
class Frozen(datetime.datetime):
    @classmethod
    def now(cls, zone=None):
        return cls.fromtimestamp(0, zone) + datetime.timedelta(days=FIRST + {seen})
FIRST = (datetime.date.today() - datetime.date(1970, 1, 1)).days

@pytest.fixture(autouse=True)
def frozen(monkeypatch):
    monkeypatch.setattr(datetime, "datetime", Frozen)
"""
    )
    set_aside(repo, expires=datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=days))
    repo.runpytest().assert_outcomes(passed=passed, failed=2 - passed)
