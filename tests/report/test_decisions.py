"""What needs a decision stands on the page by cause: what is the same for all cases of a cause is said once."""

import html
import re

import pytest

from xai_eval.gate.causes import Group, grouped, told_together
from xai_eval.gate.judge import judge_all
from xai_eval.gate.judge_run import Judged
from xai_eval.gate.verdict import State
from xai_eval.report.cases import collect
from xai_eval.report.page.decisions import decisions
from xai_eval.report.page.shown_cases import worst_cases_first
from xai_eval.report.text.commands import USUAL
from xai_eval.report.text.summary import worst_first
from xai_eval.report.write import write_report


@pytest.fixture(scope="module")
def moved(build, tmp_path_factory):
    """Three cases that moved for one cause, beside one case of every state."""
    record, obtained, goldens, verdicts = build.run()
    names = ("first.png", "second.png", "third.png")
    more = [build.result(name, gradcam=build.heat(build.spot(0.7, 0.8))) for name in names]
    goldens |= build.by_key(*(build.result(name).condensed() for name in names))
    obtained |= build.by_key(*more)
    errors = [verdict for verdict in verdicts if verdict.state is State.ERROR]
    return Judged(record, obtained, goldens, [*errors, *judge_all(obtained, goldens)])


def test_each_failing_case_stands_once_and_only_causes_of_several_are_told_apart(moved):
    cases = worst_cases_first(collect(moved.results, moved.goldens, moved.verdicts, moved.pairs))
    found = list(decisions(cases, USUAL, moved.record.requests))
    shown = [row.view.key for decision in found for row in decision.rows]
    assert sorted(shown) == sorted(v.case.key for v in moved.verdicts if v.failed and v.state is not State.MISSING)
    groups = {group.title: group for group in grouped(worst_first(moved.verdicts)) if len(group.verdicts) > 1}
    assert groups
    assert [each.title for each in found if each.cause] == [f"{title}." for title in groups]
    assert [each.find.split()[:3] for each in found if each.cause] == [
        ["xai-eval", "explain-drift", each.rows[0].view.key] for each in found if each.cause
    ]
    for decision in found:
        assert decision.title or len(decision.rows) == 1


def test_each_decision_has_its_remedy_and_the_command_that_does_it(moved):
    cases = worst_cases_first(collect(moved.results, moved.goldens, moved.verdicts, moved.pairs))
    commands = {
        decision.rows[0].view.state: decision.command for decision in decisions(cases, USUAL, moved.record.requests)
    }
    keys = {state: [v.case.key for v in worst_first(moved.verdicts) if v.state is state] for state in State}
    assert commands == {
        "error": "",
        "drift": f'xai-eval accept {" ".join(keys[State.DRIFT])} --reason "..."',
        "incomparable": f'xai-eval accept {keys[State.INCOMPARABLE][0]} --reason "..."',
        "unused": "xai-eval prune",
    }


def test_what_drifted_is_shown_small_and_what_has_no_image_is_not(moved):
    cases = worst_cases_first(collect(moved.results, moved.goldens, moved.verdicts, moved.pairs))
    images = {
        row.view.input: row.images
        for decision in decisions(cases, USUAL, moved.record.requests)
        for row in decision.rows
    }
    assert [each.word for each in images["birds/first.png"]] == ["expected", "obtained", "difference"]
    assert all(max(each.width, each.height) == 96 for each in images["birds/first.png"])
    assert images["birds/other.JPEG"] == images["birds/broken.JPEG"] == ()


def test_groups_stand_where_their_worst_case_belongs(moved):
    ordered = worst_first(moved.verdicts)
    told = list(told_together(ordered))
    places = [ordered.index(each.verdicts[0] if isinstance(each, Group) else each) for each in told]
    assert places == sorted(places)


def test_the_page_says_the_cause_once(moved, tmp_path):
    page = write_report(tmp_path, moved).read_text(encoding="utf-8")
    listed = page[page.index('id="failed"') : page.index('id="new"')]
    text = html.unescape(re.sub(r"<[^>]*>", "", listed))
    (group,) = (each for each in grouped(worst_first(moved.verdicts)) if len(each.verdicts) > 1)
    assert text.count(group.title) == 1
    assert group.verdicts[0].cause and text.count(group.verdicts[0].cause) == 1
    assert all(text.count(verdict.short) >= 1 for verdict in group.verdicts)
