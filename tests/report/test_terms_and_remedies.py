"""Words of the page: every term has an explanation in one place; cases in quarantine say what ends their quarantine."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

import numpy as np
import pytest

from xai_eval.gate.judge import judge_all
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.pixels import diverging_legend, heat_legend
from xai_eval.report.page import shown_cases
from xai_eval.report.page.aside import asides
from xai_eval.report.page.colour_bars import gradient, kinds_of_maps
from xai_eval.report.page.terms import meaning, term_groups
from xai_eval.report.text.about_tables import about_table
from xai_eval.report.text.commands import Folders
from xai_eval.report.text.summary import state_word
from xai_eval.result.fields import Severity, SignedMap
from xai_eval.result.result import Case
from xai_eval.result.stage import StageKind
from xai_eval.store.quarantine import Quarantine

WHERE = Folders(Path("reports"), Path("golden"))


def test_every_state_severity_and_stage_is_explained_once():
    listed = [each.words for group in term_groups() for each in group.terms]
    named = {group.title: {each.words for each in group.terms} for group in term_groups()}
    assert {state_word(state) for state in State} < named["States of a case"]
    assert named["Severities of a drift"] == {severity.label for severity in Severity}
    assert {str(kind) for kind in StageKind} <= named["Steps of the computation"]
    assert all(meaning(word) for word in (*named["States of a case"], *named["Severities of a drift"]))
    assert all(each.meaning for group in term_groups() for each in group.terms)
    assert all(len(words) == len(set(words)) for words in ([each.words for each in g.terms] for g in term_groups()))
    assert meaning("flamingo") == "" and len(listed) > 100


def quarantined(build, image, **changed):
    now, was = build.result(image, **changed), build.result(image)
    (verdict,) = judge_all(build.by_key(now), build.by_key(was.condensed()))
    later = datetime.date(2027, 1, 31)
    aside = dataclasses.replace(verdict, quarantine=Quarantine("Mira", "being replaced", later))
    return ReportCase(aside, now, was.condensed())


def test_a_case_in_quarantine_says_what_ends_it(build):
    moved = quarantined(build, "moved.JPEG", gradcam=build.heat(build.spot(0.8, 0.8)))
    again = quarantined(build, "again.JPEG")
    failing = ReportCase(Verdict(Case("cams", "m", "birds/x"), State.DRIFT), None, None)
    first, second = asides([moved, again, failing], WHERE)
    assert f'delete the entry ["{moved.key}"] of golden/quarantine.toml' in first.remedy
    assert first.command.startswith(f"xai-eval accept {moved.key} ")
    assert len(first.images) == 3
    assert second.remedy == f'It matches its golden again. Delete the entry ["{again.key}"] of golden/quarantine.toml.'
    assert (second.command, second.images) == ("", ())


@pytest.mark.parametrize("legend", [heat_legend(), diverging_legend()])
def test_a_colour_bar_has_the_colours_of_the_maps(legend):
    stops = gradient(legend).removeprefix("linear-gradient(to right, ").removesuffix(")").split(", ")
    colours = np.array([[int(stop[at : at + 2], 16) for at in (1, 3, 5)] for stop in stops])
    places = np.linspace(0, 255, len(colours))
    mixed = np.stack([np.interp(np.arange(256), places, colours[:, channel]) for channel in range(3)], axis=1)
    # What a browser mixes between two colours of the bar is hardly another colour than that of the map.
    assert np.abs(mixed - legend[0]).max() < 12


def test_a_case_has_the_colour_bars_of_its_maps(build):
    (both,) = (ReportCase(Verdict(each.case, State.MISSING), each, None) for each in [build.result()])
    assert kinds_of_maps(both) == ("heat",)
    attributed = build.result(saliency=SignedMap(build.spot(0.2, 0.2) - build.spot(0.8, 0.8)))
    assert kinds_of_maps(ReportCase(Verdict(attributed.case, State.MISSING), attributed, None)) == ("heat", "signed")


def test_a_table_says_what_it_shows():
    assert about_table("means", ["method", "deletion"]).startswith("The mean of each measure")
    assert about_table("of_a_user", ["iou_equal_area", "x"]) == "One row per IoU at equal area."
    assert about_table("of_a_user", []) == ""


def test_the_page_is_filled_in_its_order(build, monkeypatch):
    results = [build.result(f"{name}.JPEG") for name in "abcd"]
    cases = [ReportCase(Verdict(each.case, State.MISSING), each, None) for each in results]
    one = 4 * build.SIDE**2  # the image and three maps
    for most, fitting in ((0, 0), (one - 1, 0), (one, 1), (2 * one + 5, 2), (9 * one, 4)):
        monkeypatch.setattr(shown_cases, "IN_THE_FILE", most)
        assert shown_cases.images_beside(cases) == {case.key for case in cases[fitting:]}
