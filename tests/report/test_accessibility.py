"""No rule of axe-core is broken, best practice and level AAA included: five pages, wide and narrow, light and dark."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import chromium
import pytest
from axe_playwright_python.sync_playwright import Axe
from synthetic import unit_labels

from xai_eval.gate.judge import judge_all
from xai_eval.gate.judge_run import Judged
from xai_eval.gate.run_findings import RunFindingsCollector
from xai_eval.report.page.compared_runs import compared_runs
from xai_eval.report.write import write_report
from xai_eval.result.fields import UnitLabels
from xai_eval.result.fingerprint import fingerprint_text
from xai_eval.result.result import Case, Provenance, Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.store.noise import Measured

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_figures")]
PAGES = ("every state", "first run", "all well", "two runs and an upgrade", "units")


@pytest.fixture(scope="module")
def browser():
    with chromium.launched() as browser:
        yield browser


def weighted(result, weights):
    """A result of a model with these weights."""
    stages = {**result.stages, Stage(StageKind.MODEL_WEIGHTS, "net"): fingerprint_text(weights)}
    return dataclasses.replace(result, stages=stages, provenance=Provenance(digests={"weights": weights}))


def dissected(label):
    units = UnitLabels(unit_labels(label=[label, "tree", "sea"]).frame, 0.01)
    return Result(Case("dissection", "scenes:objects", "scenes (4 images)", {}), {"clip_units": units})


@pytest.fixture(scope="module")
def pages(run, build, tmp_path_factory):
    same = build.result("same.JPEG")
    new = dataclasses.replace(run.record, versions={"torch": "2.16.0"}, models=("scenes:renorm",))
    sides = {
        "first run": ([same, build.result("b.JPEG")], []),
        "all well": ([same], [same.condensed()]),
        "two runs and an upgrade": (
            [weighted(build.staged(0.5), "c" * 64)],
            [weighted(build.staged(0.0), "a" * 64).condensed()],
        ),
        "units": ([dissected("car")], [dissected("boat").condensed()]),
    }
    made = {"every state": run.page}
    for name, (results, accepted) in sides.items():
        obtained, goldens = build.by_key(*results), build.by_key(*accepted)
        collector = RunFindingsCollector(Measured({}, ()))
        verdicts = judge_all(obtained, goldens, listener=collector)
        judged = Judged(new, obtained, goldens, verdicts, run_findings=collector.findings(), pairs=collector.pairs)
        two = compared_runs(run.record, Path("old"), new, Path("new")) if name.startswith("two runs") else None
        made[name] = write_report(tmp_path_factory.mktemp("axe"), judged, compared=two)
    return made


def test_the_pages_show_what_is_to_be_looked_at(pages):
    two, units = (pages[name].read_text(encoding="utf-8") for name in PAGES[3:])
    assert all(f'<h2 id="{each}">' in two for each in ("compared", "upgrade"))
    assert 'class="chain"' in two and 'class="layer"' in units


@pytest.fixture(scope="module")
def tab(browser):
    context = browser.new_context(offline=True)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def rules(tab):
    """All rules of axe-core that have to hold, also those that it leaves out unless asked: target size, experiments."""
    Axe().run(tab, options={"runOnly": ["document-title"]})  # this brings it into the page
    known = tab.evaluate("axe.getRules().map((each) => each.ruleId)")
    assert {*known} > {"target-size", "region", "color-contrast-enhanced", "focus-order-semantics"}
    return {each: {"enabled": True} for each in known}


def opened(tab, page, width, scheme="light"):
    """Open a page with all that it folds away."""
    chromium.resize(tab, width, 900)
    tab.emulate_media(color_scheme=scheme)
    tab.goto("about:blank")
    tab.goto(page.as_uri())
    chromium.open_details(tab)


def violations(tab, rules):
    found = Axe().run(tab, options={"resultTypes": ["violations"], "rules": rules}).response["violations"]
    return [f"{each['id']} ({each['impact']}): {each['nodes'][0]['html'][:200]}" for each in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390, 320])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(tab, rules, pages, name, width, scheme):
    opened(tab, pages[name], width, scheme)
    assert violations(tab, rules) == []


@pytest.mark.parametrize("width", [1440, 320])
def test_axe_finds_nothing_where_cases_are_sorted_and_an_image_is_at_full_size(tab, rules, pages, width):
    opened(tab, pages["every state"], width)
    tab.get_by_role("combobox", name="sort by").select_option("name")
    tab.get_by_role("checkbox", name="drift 4").check()
    assert violations(tab, rules) == []
    tab.get_by_role("button", name="Full size").first.click()
    assert violations(tab, rules) == []
