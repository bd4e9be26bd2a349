"""What the page tells of the history of a case, in words, as a table, and as a chart that a screen reader reads."""

import math
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_eval.cli.main import main
from xai_eval.gate.judge import judge
from xai_eval.gate.leading_measure import leading_measure
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.page.history_chart import history_chart
from xai_eval.report.page.history_view import history_view
from xai_eval.result.result import Case
from xai_eval.store.goldens import Goldens
from xai_eval.store.history import Acceptance, history_bytes, read_history
from xai_eval.store.runs import RunRecord


def accepted(place=1, **changed):
    when = f"2026-11-{place:02}T10:30:59+00:00"
    entry = {
        "who": "Mira",
        "state": "drift",
        "severity": "evidence",
        "verdict": "It moved.",
        "measure": "m",
        "excess": 2.0,
    }
    return Acceptance(when, f"reason {place}", "d" * 64, **{**entry, **changed})


@pytest.fixture
def drift(build):
    return judge(
        build.result("moved.JPEG", gradcam=build.heat(build.spot(0.7, 0.8))), build.result("moved.JPEG").condensed()
    )


def test_the_last_entry_says_who_when_why_and_what_was_replaced(drift):
    view = history_view(drift, [accepted(1, state="missing", severity="", verdict="New.", measure=""), accepted(2)])
    assert view.sentence == "Mira accepted this golden on 2026-11-02 10:30 UTC: reason 2"
    assert view.replaced == "It moved."
    assert [each.state for each in view.entries] == ["new", "drift evidence", "drift evidence"]
    assert view.entries[-1].measure == leading_measure(drift).words
    assert "2 times the largest distance" in view.chart.words


def test_a_first_golden_replaced_nothing_and_no_history_is_nothing(drift):
    assert history_view(drift, [accepted(state="missing")]).replaced == ""
    assert history_view(drift, [accepted(state="")]).replaced == ""
    assert history_view(drift, []) is None
    assert history_view(drift, [], "somebody rejected it").rejected == "somebody rejected it"


def test_of_a_long_history_the_newest_entries_are_shown(drift):
    view = history_view(drift, [accepted(place) for place in range(1, 21)])
    assert [each.reason for each in view.entries] == [*(f"reason {place}" for place in range(14, 21)), ""]
    assert view.earlier == 13


def test_the_leading_measure_is_the_finding_that_a_verdict_leads_with(drift):
    worst = drift.findings[0]
    found = leading_measure(drift)
    assert found.excess == worst.excess and f"{worst.value:.3g}" in found.words
    assert ("needs at least" in found.words) == (worst.value < worst.limit)


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), max_size=9))
def test_the_chart_keeps_order_and_side_of_the_limit(excesses):
    chart = history_chart(excesses, ["drift"] * len(excesses))
    known = [each for each in excesses if each is not None]
    assert (chart is None) == (len(known) < 2)
    if chart:
        assert [dot.beyond for dot in chart.dots] == [each > 1 for each in known]
        assert all(0 < dot.x < chart.width and 0 < dot.y < chart.height for dot in chart.dots)
        assert [dot.x for dot in chart.dots] == sorted(dot.x for dot in chart.dots)
        # Above the dashed line is beyond the limit; heights are rounded to a tenth.
        assert all((dot.y <= chart.limit) if dot.beyond else (dot.y >= chart.limit) for dot in chart.dots)


@given(st.floats(allow_nan=True), st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20))
def test_what_is_kept_of_a_measure_is_read_again(tmp_path_factory, excess, measure):
    place = tmp_path_factory.mktemp("history")
    (place / "accepted.json").write_bytes(history_bytes([accepted(excess=excess, measure=measure)]))
    (entry,) = read_history(place)
    assert entry.measure == measure and (entry.excess == excess or math.isnan(excess))
    assert history_view(Verdict(Case("cams", "m", "i"), State.OK), [entry]) is not None


def test_without_a_measure_a_history_is_stored_as_earlier_versions_read_it():
    assert b"measure" not in history_bytes([accepted(measure="")])
    assert b"excess" not in history_bytes([accepted(measure="")])


@pytest.fixture
def page(build, tmp_path, monkeypatch, without_figures):
    """The page of a case that was accepted once for each of two changes, read as XML below `details`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    for place, row in enumerate((0.3, 0.5, 0.7)):
        result = build.result("moved.JPEG", gradcam=build.heat(build.spot(row, 0.3)))
        result.save(tmp_path / "reports" / "results" / result.case.key)
        RunRecord(("cams",), ("m",), ("birds",), 1, finished=True).save(tmp_path / "reports")
        if place < 2:
            assert main(["accept", "moved", "--reason", f"<b>change {place}</b> & more"]) == 0
    assert main(["check"]) == 1
    return (tmp_path / "reports" / "index.html").read_text(encoding="utf-8")


def test_the_page_has_the_history_as_a_table_and_as_a_chart(page):
    part = page[page.index('<details class="history">') :]
    tree = ElementTree.fromstring(part[: part.index("</details>") + len("</details>")])
    rows = [["".join(cell.itertext()) for cell in row] for row in tree.iter("tr")]
    assert [row[2:4] for row in rows[1:]] == [
        ["<b>change 0</b> & more", "new"],
        ["<b>change 1</b> & more", "drift evidence"],
        ["–", "drift evidence"],
    ]
    chart = next(tree.iter("svg"))
    assert chart.attrib["role"] == "img" and chart.attrib["aria-label"].count("times the largest distance") == 2
    assert len(list(chart.iter("circle"))) == 2
    assert "accepted this golden on" in page and "It replaced another golden" in part


def test_a_history_that_cannot_be_read_is_told_in_its_case(page, tmp_path):
    (place,) = Goldens(tmp_path / "golden").folder.glob("cams/*")
    (place / "accepted.json").write_text("[")
    assert main(["check"]) == 1
    page = (tmp_path / "reports" / "index.html").read_text(encoding="utf-8")
    assert "The history of the golden cannot be read" in page


def test_rejections_that_cannot_be_read_are_told_once_above_the_cases(page, tmp_path):
    (tmp_path / "reports" / "rejected.json").write_text("[")
    assert main(["check"]) == 1
    page = (tmp_path / "reports" / "index.html").read_text(encoding="utf-8")
    assert page.count("Rejected results are not shown:") == 1


def test_a_history_behind_a_link_is_not_read(page, tmp_path):
    (place,) = Goldens(tmp_path / "golden").folder.glob("cams/*")
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    assert main(["check"]) == 1
    page = (tmp_path / "reports" / "index.html").read_text(encoding="utf-8")
    assert "change 1" not in page
