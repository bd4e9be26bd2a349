"""The report of many cases: a first page and further ones, which together hold every case once."""

from __future__ import annotations

import itertools
import json
import re

import chromium
import pytest
from axe_playwright_python.sync_playwright import Axe
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_eval.errors import StorageError
from xai_eval.gate.judge_run import Judged
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report import write as write_module
from xai_eval.report.cases import ReportCase
from xai_eval.report.earlier_report import remove_earlier_report
from xai_eval.report.page import decisions as decisions_module
from xai_eval.report.page import sheets, shown_cases
from xai_eval.report.page.decisions import decisions
from xai_eval.report.page.page import report_pages
from xai_eval.report.text.commands import USUAL
from xai_eval.report.write import write_report
from xai_eval.result.fields import Label
from xai_eval.result.result import Case, Result
from xai_eval.store.runs import RunRecord

IDS = re.compile(r'<(?:article|tr) id="([^"]+)" ?(?:class="\w+")? ?data-state')
STATES = [State.OK] * 20 + [State.MISSING] * 3 + [State.UNUSED, State.ERROR]


def verdicts():
    """The verdicts of a run with names that have to be escaped."""
    return [
        Verdict(Case(task, "net", f'set/<b>{number:02}"&.jpg'), state, reason="It is damaged.")
        for task in ("cams", "lime")
        for number, state in enumerate(STATES)
    ]


def judged(several=None):
    several = verdicts() if several is None else several
    found = {
        each.case.key: Result(each.case, {"predicted": Label(f"class {place % 3}", place % 3)})
        for place, each in enumerate(several)
        if each.state in (State.OK, State.MISSING)
    }
    goldens = {key: each for key, each in found.items() if "lime" in key}
    return Judged(RunRecord(("cams", "lime"), ("net",), ("set",), len(found), finished=True), found, goldens, several)


@pytest.fixture
def small(monkeypatch):
    """Pages of ten cases, two failing ones and one of each task that is ok on the first."""
    monkeypatch.setattr(sheets, "ONE_PAGE", 10)
    monkeypatch.setattr(sheets, "FIRST", 4)
    monkeypatch.setattr(sheets, "DRAWN", 6)
    monkeypatch.setattr(sheets, "ROWS", 10)
    monkeypatch.setattr(sheets, "ROWS_OF_A_DRAWN", 3)
    monkeypatch.setattr(shown_cases, "PASSING", 1)
    monkeypatch.setattr(write_module, "figure_files", lambda *_: {})


def files_of(folder):
    return {path.name: path.read_text() for path in folder.glob("*.*") if path.suffix in (".html", ".js")}


def index_of(files):
    text = files["cases.js"]
    return json.loads(text[text.index("{") : text.rindex("}") + 1])


def test_every_case_is_on_one_page_where_the_list_says(tmp_path, small):
    run = judged()
    assert write_report(tmp_path, run).name == "index.html"
    files = files_of(tmp_path)
    pages = {name: IDS.findall(text) for name, text in files.items() if name.endswith(".html")}
    assert sorted(pages) == [
        "cases-2.html",
        "cases-3.html",
        "cases-4.html",
        "cases-5.html",
        "cases-6.html",
        "index.html",
    ]
    assert sorted(itertools.chain(*pages.values())) == sorted(ReportCase(v, None, None).anchor for v in run.verdicts)
    found = index_of(files)
    assert {page["file"]: sorted(anchor for _, _, anchor in page["cases"]) for page in found["pages"]} == {
        name: sorted(anchors) for name, anchors in pages.items()
    }
    by_anchor = {ReportCase(v, None, None).anchor: v for v in run.verdicts}
    for page in found["pages"]:
        for kind, name, anchor in page["cases"]:
            told = dict(zip(found["filters"], found["kinds"][kind], strict=True))
            verdict = by_anchor[anchor]
            assert (told["task"], name, told["cause"]) == (verdict.case.task, verdict.case.input, ["none"])
            assert told["state"] == str(verdict.state).replace("missing", "new")


def test_every_link_leads_somewhere_and_all_pages_look_alike(tmp_path, small):
    write_report(tmp_path, judged())
    files = files_of(tmp_path)
    ids = {name: set(re.findall(r' id="([^"]+)"', text)) for name, text in files.items()}
    styles = {re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1] for name, text in files.items() if "html" in name}
    assert len(styles) == 1
    for name, text in files.items():
        assert "<b>0" not in text.replace("cases.js", "") or name == "cases.js"
        for place, anchor in re.findall(r'href="([\w.-]*)#?([^"]*)"', text) if name.endswith("html") else ():
            assert (place or name) in files
            assert not anchor or anchor in ids[place or name]


def test_the_first_page_counts_all_and_has_the_worst_of_each_state(tmp_path, small):
    write_report(tmp_path, judged())
    first = files_of(tmp_path)["index.html"]
    assert "50 cases: 40 ok, 2 error, 6 new, 2 unused" in first
    assert "2 goldens were not used" in first
    here = {re.search(r'data-state="(\w+)"', each)[1] for each in re.findall(r"<article[^>]+>", first)}
    assert here == {"error", "new", "unused", "ok"}
    assert '<a href="#further">Further pages</a> <span class="soft">5</span>' in first
    assert "These 6 cases have no golden yet" in first
    # Six that are not ok are drawn, four of them here; the others are rows, and the page says so.
    assert "4 cases that are not ok have no images, because many others are drawn" in first


def test_a_run_that_is_not_large_is_one_page(tmp_path, monkeypatch):
    monkeypatch.setattr(write_module, "figure_files", lambda *_: {})
    monkeypatch.setattr(sheets, "ONE_PAGE", 50)
    write_report(tmp_path, judged())
    assert files_of(tmp_path).keys() == {"index.html"}
    assert sheets.ONE_PAGE < 10_000


def test_a_shorter_report_removes_pages_that_it_does_not_have_and_no_files_of_others(tmp_path, small):
    write_report(tmp_path, judged())
    mine = {"cases-77.html": "my own", "cases-3.htm": "mine", "cases": "mine", "cases-x.html": "mine"}
    for name, text in mine.items():
        (tmp_path / name).write_text(text)
    write_report(tmp_path, judged(verdicts()[:12]))
    assert files_of(tmp_path).keys() >= {"cases-2.html", "cases.js"} and not (tmp_path / "cases-4.html").exists()
    write_report(tmp_path, judged(verdicts()[:5]))
    left = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert left == {"index.html", "verdicts.json", *mine}
    write_report(tmp_path, judged())
    remove_earlier_report(tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {*mine}


def test_a_report_that_fails_while_it_is_written_leaves_all_earlier_pages(tmp_path, small, monkeypatch):
    write_report(tmp_path, judged())
    before = files_of(tmp_path)

    def broken(*arguments, **options):
        pages = report_pages(*arguments, **options)

        def first():
            yield "half"
            raise StorageError("the result was replaced meanwhile")

        return {**pages, "index.html": first()}

    monkeypatch.setattr(write_module, "report_pages", broken)
    with pytest.raises(StorageError, match="meanwhile"):
        write_report(tmp_path, judged(list(reversed(verdicts()))[:30]))
    assert files_of(tmp_path) == before


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([*State])), max_size=40),
    *[st.integers(1, 12)] * 4,
)
def test_pages_hold_every_case_once_in_order_and_none_is_too_long(kinds, one_page, first, rows, drawn):
    cases = shown_cases.by_task(
        [
            ReportCase(Verdict(Case(task, "net", f"set/{place}"), state), None, None)
            for place, (task, state) in enumerate(kinds)
        ]
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"ONE_PAGE": one_page, "FIRST": first, "ROWS": rows, "DRAWN": first + drawn}.items():
            patch.setattr(sheets, name, value)
        patch.setattr(sheets, "ROWS_OF_A_DRAWN", 1)
        found = sheets.sheets_of(cases)
    order = [case.key for case in cases]
    held = [[case.key for case in sheet.cases] for sheet in found]
    assert sorted(itertools.chain(*held)) == sorted(order)
    assert all(page == sorted(page, key=order.index) for page in [*held, [*itertools.chain(*held[1:])]])
    assert (len(found) == 1) == (len(cases) <= one_page or all(len(page) == len(cases) for page in held))
    assert all(0 < len(page) <= rows for page in held[1:])
    bad = {case.key for case in cases if case.verdict.state is not State.OK}
    if len(found) > 1:
        assert len(bad & set(held[0])) == min(first, len(bad))
        assert len(bad & found[0].drawn) == min(first + drawn, len(bad))


def test_of_several_causes_the_worst_of_each_is_on_the_first_page(small, monkeypatch):
    monkeypatch.setattr(sheets, "FIRST", 2)
    several = [Verdict(Case("cams", "net", f"set/{n:02}"), State.ERROR if n < 20 else State.UNUSED) for n in range(22)]
    first = sheets.sheets_of(shown_cases.by_task([ReportCase(each, None, None) for each in several]))[0]
    assert [case.verdict.case.input for case in first.cases] == ["set/00", "set/20"]


def test_a_command_does_not_name_more_cases_than_a_system_takes(monkeypatch):
    several = [Verdict(Case("cams", "net", f"set/{n}"), State.INCOMPARABLE if n else State.MISSING) for n in range(4)]
    cases = [ReportCase(each, None, None) for each in several]

    def told():
        [found] = decisions(cases, USUAL, {}, here={cases[1].key})
        assert (len(found.rows), found.more) == (1, 2)
        return found.command, found.remedy

    command, remedy = told()
    assert all(case.key in command for case in cases[1:]) and "settled" not in remedy
    monkeypatch.setattr(decisions_module, "MOST_NAMES", 2)
    command, remedy = told()
    assert command == 'xai-eval accept --all --reason "..."' and "once all other cases are settled:" in remedy


@pytest.mark.slow
def test_a_browser_finds_a_case_on_whatever_page_it_is(tmp_path, small):
    write_report(tmp_path, judged())
    last = 'lime: set/<b>19"&.jpg'
    with chromium.launched() as browser:
        page, wrong = browser.new_page(), []
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto((tmp_path / "index.html").as_uri())
        assert not page.locator("#elsewhere").is_visible()
        page.get_by_label("Search cases").fill("<b>19 lime")
        page.get_by_text("On other pages: 1 case.").wait_for()
        link = page.get_by_role("link", name=last)
        link.click()
        page.wait_for_url("**/cases-*.html#lime--*")
        assert page.locator("tr.here th").inner_text() == 'set/<b>19"&.jpg'
        anchor = page.url.split("#")[1]
        # What is chosen on a further page is looked for on the first, too.
        page.get_by_role("checkbox", name="error 2").check()
        page.get_by_text("On other pages: 2 cases.").wait_for()
        # A link to a case that was on the first page leads to the page on which it is now.
        page.goto("about:blank")
        page.goto(f"{(tmp_path / 'index.html').as_uri()}#{anchor}")
        page.wait_for_url(f"**/cases-*.html#{anchor}")
        assert not wrong
        (tmp_path / "cases.js").unlink()
        page.goto((tmp_path / "index.html").as_uri())
        page.get_by_label("Search cases").fill("19")
        page.get_by_text("Other pages are not searched: the file cases.js is missing").wait_for()
        quiet = browser.new_context(java_script_enabled=False).new_page()
        quiet.goto((tmp_path / "index.html").as_uri())
        quiet.get_by_role("link", name="Page 4").click()
        quiet.get_by_role("link", name="Page 5 →").first.click()
        assert quiet.locator("tr[data-state=ok]").count() > 0


@pytest.mark.slow
def test_axe_finds_nothing_on_pages_of_many_cases(tmp_path, small):
    write_report(tmp_path, judged())
    with chromium.launched() as browser:
        tab = browser.new_context(offline=True).new_page()
        Axe().run(tab, options={"runOnly": ["document-title"]})  # this brings it into the page
        rules = {each: {"enabled": True} for each in tab.evaluate("axe.getRules().map((each) => each.ruleId)")}
        for name, width, scheme in (
            ("index.html#?q=set", 1440, "light"),
            ("cases-2.html#?q=set", 390, "dark"),
            ("cases-6.html#?q=set", 390, "light"),
        ):
            chromium.resize(tab, width, 900)
            tab.emulate_media(color_scheme=scheme)
            tab.goto(f"{tmp_path.as_uri()}/{name}")
            tab.get_by_text("On other pages: ").wait_for()
            chromium.open_details(tab)
            options = {"resultTypes": ["violations"], "rules": rules}
            found = Axe().run(tab, options=options).response["violations"]
            assert [(name, each["id"], each["nodes"][0]["html"][:200]) for each in found] == []
            assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
