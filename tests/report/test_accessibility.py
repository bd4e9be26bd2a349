"""No rule of axe-core is broken: pages of every state, wide and narrow, light and dark."""

from __future__ import annotations

import chromium
import pytest
from axe_playwright_python.sync_playwright import Axe

from xai_eval.gate.judge import judge_all
from xai_eval.gate.judge_run import Judged
from xai_eval.report.write import write_report

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_figures")]
PAGES = ("every state", "first run", "all well", "a stage moved", "no case")


@pytest.fixture(scope="module")
def browser():
    with chromium.launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(run, build, tmp_path_factory):
    same = build.result("same.JPEG")
    sides = {
        "first run": (build.by_key(same, build.result("b.JPEG")), {}),
        "all well": (build.by_key(same), build.by_key(same.condensed())),
        "a stage moved": (build.by_key(build.staged(0.5)), build.by_key(build.staged(0.0).condensed())),
        "no case": ({}, {}),
    }
    made = {"every state": run.page}
    for name, (obtained, goldens) in sides.items():
        judged = Judged(run.record, obtained, goldens, judge_all(obtained, goldens))
        made[name] = write_report(tmp_path_factory.mktemp("axe"), judged)
    return made


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390, 320])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(browser, pages, name, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    page = context.new_page()
    page.goto(pages[name].as_uri())
    # Folded parts are looked at, too.
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    page.wait_for_timeout(50)  # until the page has been told
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    context.close()
    told = [f"{each['id']} ({each['impact']}): {each['nodes'][0]['html'][:200]}" for each in found]
    assert told == []
