from __future__ import annotations

import base64
import dataclasses
import io
from html.parser import HTMLParser

import pytest
from PIL import Image

from xai_eval.errors import StorageError
from xai_eval.gate.judge import judge_all
from xai_eval.gate.judge_run import Judged
from xai_eval.gate.stage_table import meaning_of
from xai_eval.gate.verdict import State
from xai_eval.report.page.compared_runs import compared_runs
from xai_eval.report.write import write_report
from xai_eval.result.fields import Heatmap, InputImage, Label, Mask
from xai_eval.result.glossary import all_terms
from xai_eval.result.naming import title
from xai_eval.result.stage import Stage, StageKind

# What the table of contents leads to, in its order, besides the cases.
SECTIONS = ("failed", "new", "warned", "task--cams", "terms")
VOID = {"meta", "img", "br", "input", "link", "hr"}


class Page(HTMLParser):
    """The page as a reader finds it: elements, what is in each case, and that everything is closed."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.text, self.stack, self.case = [], {None: ""}, [], None
        self.feed(html)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "article":
            self.case = attributes["id"]
            self.text[self.case] = ""
        self.elements.append((tag, attributes, self.case))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag
        if tag == "article":
            self.case = None

    def handle_data(self, data):
        if self.stack[-1:] not in (["script"], ["style"]):
            self.text[self.case] += data

    def all(self, tag, case=None):
        return [attributes for name, attributes, where in self.elements if name == tag and case in (None, where)]


def anchor(verdict):
    return verdict.case.key.replace("/", "--")


@pytest.fixture(scope="module")
def page(run):
    return Page(run.html)


def test_the_page_loads_nothing(page):
    for tag, attributes, _ in page.elements:
        assert tag not in {"link", "iframe", "object", "embed"}
        assert "src" not in attributes or attributes["src"].startswith("data:image/")
        assert "href" not in attributes or attributes["href"].startswith("#")
        assert not any(name.startswith("on") for name in attributes)
    policy = next(meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'")
    assert "url(" not in page_styles(page)
    assert "@import" not in page_styles(page)


def page_styles(page):
    return " ".join(attributes.get("style") or "" for _, attributes, _ in page.elements) + page.rawdata


def test_names_from_outside_stay_text(page, run, build):
    assert len(page.all("script")) == 1
    renamed = page.text[anchor(run.verdict("renamed.JPEG"))]
    assert build.HOSTILE in renamed
    assert "<b>at all</b>" in page.text[None]
    assert page.all("b") == []


def test_every_case_is_there_once_and_every_link_leads_somewhere(page, run):
    articles = [attributes["id"] for attributes in page.all("article")]
    assert sorted(articles) == sorted(anchor(verdict) for verdict in run.verdicts)
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {attributes["href"][1:] for attributes in page.all("a")}
    assert links == {*articles, *SECTIONS}
    assert {*SECTIONS} <= set(ids)


def test_the_worst_case_comes_first(page, run):
    states = [attributes["data-state"] for attributes in page.all("article")]
    assert states == ["error", "drift", "drift", "drift", "drift", "incomparable", "new", "unused", "ok"]
    assert page.all("article")[1]["id"] == anchor(run.verdict("renamed.JPEG"))


def test_the_summary_says_what_was_run_and_what_came_of_it(page):
    text = " ".join(page.text[None].split())
    assert "9 cases: 1 ok, 1 error, 4 drift, 1 incomparable, 1 new, 1 unused" in text
    assert "1 in conclusion (another answer, such as the class), 2 in evidence (other places or reasons), 1 in" in text
    for said in ("scenes:objects", "birds", "cpu", "41.2 s", "torch 2.15.0, grad-cam 1.5.7"):
        assert said in text
    assert "7 of 8 planned cases measured" in text
    assert "birds/cut.JPEG" in text


def plain(text):
    """Leave out the marks of commands, which the page shows by their typeface."""
    return text.replace("`", "")


def test_every_verdict_is_given_in_words(page, run):
    for verdict in run.verdicts:
        assert plain(verdict.short) in plain(page.text[anchor(verdict)])
        assert verdict.cause in page.text[None] or verdict.state in (State.OK, State.MISSING)


def test_a_target_warning_stands_in_the_summary_and_at_its_case(page, run, build):
    assert build.WARNING in page.text[None]
    assert build.WARNING in page.text[anchor(run.verdict("same.JPEG"))]
    assert "Target warning" not in page.text[anchor(run.verdict("moved.JPEG"))]


def test_a_case_shows_the_image_and_every_map_over_it(page, run):
    images = page.all("img", anchor(run.verdict("same.JPEG")))
    alts = [image["alt"] for image in images]
    assert [alt.split()[0] for alt in alts] == ["birds/same.JPEG", "Grad-CAM", "ScoreCAM", "Grad-CAM++"]
    assert alts[0].endswith("the object outlined")
    assert "hottest 30% from the left and 30% from the top" in alts[1]
    for image in images:
        drawn = Image.open(io.BytesIO(base64.b64decode(image["src"].split(",", 1)[1])))
        assert drawn.size == (64, 64)


def test_numbers_stand_under_their_map(page, run):
    text = " ".join(page.text[anchor(run.verdict("same.JPEG"))].split())
    assert "Grad-CAM pointing hityesenergy inside0.25" in text
    assert "ScoreCAM pointing hitnoenergy inside0.5" in text


def test_a_drift_is_shown_as_expected_obtained_and_difference(page, run):
    case = anchor(run.verdict("moved.JPEG"))
    text = " ".join(page.text[case].split())
    assert "Grad-CAM: expected, obtained, difference" in text
    assert "ScoreCAM: expected, obtained, difference" not in text
    alts = [image["alt"] for image in page.all("img", case)]
    assert any("Grad-CAM, expected, hottest 3" in alt for alt in alts)
    assert any("Grad-CAM, obtained, hottest 8" in alt for alt in alts)
    assert any("Grad-CAM, obtained minus expected" in alt for alt in alts)
    assert "red places are hotter now, blue places are colder now" in text
    key = run.verdict("moved.JPEG").case.key
    assert f'xai-eval accept {key} --results {run.folder} --reason "..."' in text
    finding = run.verdict("moved.JPEG").findings[0]
    assert f"{finding.value:.4g}" in text
    assert f"{finding.limit:.4g}" in text


def test_what_was_expected_stands_beside_another_class(page, run):
    assert "(expected: flamingo (130))" in page.text[anchor(run.verdict("renamed.JPEG"))]


def test_an_empty_map_is_a_tile_with_its_name(page, run):
    case = anchor(run.verdict("empty.JPEG"))
    tiles = [each for each in page.all("div", case) if each.get("class") == "tile"]
    assert [each["role"] for each in tiles] == ["img"] * 2
    assert "all zero" in tiles[0]["aria-label"]
    assert not any(alt["alt"].startswith("ScoreCAM of") for alt in page.all("img", case))


def test_only_what_can_be_accepted_offers_it(page, run):
    offered = {
        image: "xai-eval accept" in page.text[anchor(run.verdict(image))]
        for image in ("new.JPEG", "other.JPEG", "gone.JPEG", "same.JPEG")
    }
    assert offered == {"new.JPEG": True, "other.JPEG": True, "gone.JPEG": False, "same.JPEG": False}


def test_images_have_words_and_tables_have_headings(page):
    assert all(image["alt"] for image in page.all("img"))
    assert all(heading["scope"] for heading in page.all("th"))
    assert page.all("html")[0]["lang"] == "en"


def test_a_result_judged_by_the_golden_of_another_model_shows_that_golden(tmp_path, run, build):
    was = build.result(model="scenes:objects").condensed()
    now = build.result(model="torchvision:resnet50", gradcam=build.heat(build.spot(0.8, 0.8)))
    obtained, goldens = build.by_key(now), build.by_key(was)
    pairs = {now.case.key: was.case.key}
    judged = Judged(run.record, obtained, goldens, judge_all(obtained, goldens), pairs=pairs)
    html = write_report(tmp_path, judged).read_text()
    assert "Grad-CAM, expected, hottest 3" in html
    assert "model scenes:objects -&gt; torchvision:resnet50" in html


def test_other_fields_than_those_of_cams_are_shown_without_change(tmp_path, run, build):
    result = build.result(
        neighbour=InputImage(build.result()["image"].array[::2]),
        superpixels=Mask(build.spot(0.2, 0.2) > 0.5),
        gradcam=None,
        image=build.result()["image"],
    )
    obtained = build.by_key(result)
    page = Page(write_report(tmp_path, Judged(run.record, obtained, {}, judge_all(obtained, {}))).read_text())
    alts = [image["alt"] for image in page.all("img")]
    assert "birds/flamingo.JPEG: neighbour" in alts
    assert "birds/flamingo.JPEG with superpixels outlined" in alts


def test_a_result_without_an_image_has_its_maps_on_grey_its_labels_and_tables(tmp_path, run, build):
    obtained = build.by_key(build.result(image=None, mask=None))
    page = Page(write_report(tmp_path, Judged(run.record, obtained, {}, judge_all(obtained, {}))).read_text())
    case = page.all("article")[0]["id"]
    (result,) = obtained.values()
    shown = [each["alt"] for each in page.all("img", case)]
    assert len(shown) == len(result.of_kind(Heatmap)) > 0
    assert all(f"{title(name)} of birds/" in alt for name, alt in zip(result.of_kind(Heatmap), shown, strict=True))
    assert "energy inside" in page.text[case]
    assert len(list((tmp_path / "figures").iterdir())) == 1


def test_a_run_without_cases_does_not_look_well(tmp_path, run):
    record = dataclasses.replace(run.record, planned=3, finished=False, failures={})
    page = Page(write_report(tmp_path, Judged(record, {}, {}, [])).read_text())
    assert "no cases" in page.text[None]
    assert "The run did not finish: 0 of 3 planned cases measured." in page.text[None]
    assert [p["class"] for p in page.all("p") if "outcome" in (p.get("class") or "")] == ["outcome bad"]


def test_a_run_that_is_all_ok_looks_well(tmp_path, run, build):
    commit = {"when": "2026-11-03T09:00:00+00:00", "commit": "1f2e3d4c5b" + 30 * "6", "uncommitted": True}
    record = dataclasses.replace(run.record, planned=1, failures={}, **commit)
    now = build.by_key(build.result())
    goldens = {key: each.condensed() for key, each in now.items()}
    page = Page(write_report(tmp_path, Judged(record, now, goldens, judge_all(now, goldens))).read_text())
    assert [p["class"] for p in page.all("p") if "outcome" in (p.get("class") or "")] == ["outcome good"]
    assert page.all("fieldset") == []
    assert "Run of 2026-11-03 09:00 UTC at commit 1f2e3d4c5b with uncommitted changes" in page.text[None]
    rows = compared_runs(run.record, tmp_path, record, tmp_path).rows
    assert rows == (("commit", "not recorded", "1f2e3d4c5b with uncommitted changes"),)


def test_a_folder_that_cannot_be_written_is_said(tmp_path, run):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write into"):
        write_report(tmp_path / "file", Judged(run.record, {}, {}, []))


def test_equal_runs_give_equal_pages(tmp_path, run, build):
    record, obtained, goldens, verdicts = build.run()
    html = write_report(tmp_path, Judged(record, obtained, goldens, verdicts)).read_text()
    assert html.replace(str(tmp_path), str(run.folder)) == run.html


def test_what_is_unwatched_is_said_on_top_and_with_the_case(tmp_path, run, build):
    now = build.by_key(build.result("a.JPEG", extra=Label("new")))
    goldens = build.by_key(build.result("a.JPEG").condensed())
    page = Page(write_report(tmp_path, Judged(run.record, now, goldens, judge_all(now, goldens))).read_text())
    text = " ".join(" ".join(page.text.values()).split())
    assert "Unwatched: 1 golden lacks what the run obtained, so nothing watches it: field extra (1)." in text
    assert "The explanation matches its golden. Unwatched, because the golden lacks it: field extra." in text
    assert "If the obtained explanation is right, make it the golden: xai-eval accept cams/birds-a-jpeg-" in text


TASKS_OF_OTHERS = "a_task_of_others", "another"


def test_sections_come_in_the_order_in_which_a_newcomer_understands_them(tmp_path, run, build):
    known = ("cams", "lime", "comparison", "dissection", "hybrid", "lime_search")
    tasks = [*TASKS_OF_OTHERS[::-1], *known[::-1]]
    results = [
        dataclasses.replace(each, case=dataclasses.replace(each.case, task=task))
        for task in tasks
        for each in [build.result()]
    ]
    obtained = build.by_key(*results)
    page = Page(write_report(tmp_path, Judged(run.record, obtained, {}, judge_all(obtained, {}))).read_text())
    expected = [f"task--{task}" for task in (*known, *TASKS_OF_OTHERS)]
    assert [each["id"] for each in page.all("h2") if each["id"].startswith("task--")] == expected
    links = [each["href"][1:] for each in page.all("a")]
    assert links[: links.index("terms")] == ["new", *expected]


def test_a_first_run_is_new_and_has_one_command(tmp_path, run, build):
    record = dataclasses.replace(run.record, planned=2, failures={})
    obtained = build.by_key(build.result("a.JPEG"), build.result("b.JPEG"))
    page = Page(write_report(tmp_path, Judged(record, obtained, {}, judge_all(obtained, {}))).read_text())
    assert [p["class"] for p in page.all("p") if "outcome" in (p.get("class") or "")] == ["outcome new"]
    assert "failed" not in {each.get("id") for each in page.all("h2")}
    assert page.text[None].count("xai-eval accept --all --results") == 1
    assert '--reason "first goldens"' in page.text[None]
    assert {each["data-state"] for each in page.all("article")} == {"new"}


def test_beside_a_drift_the_command_for_new_cases_names_them(page, run):
    key = run.verdict("new.JPEG").case.key
    assert f"xai-eval accept {key} --results" in page.text[None]
    assert "accept --all" not in page.text[None]


def test_terms_are_explained_where_they_stand(page, run):
    case = anchor(run.verdict("same.JPEG"))
    titles = [each["title"] for each in page.all("abbr", case)]
    assert any(text.startswith("Share of the heat") and text.endswith("higher is better.") for text in titles)
    assert {each["title"] for each in page.all("abbr")} <= {each.explanation for each in all_terms()}


def test_stages_are_explained_where_they_stand(tmp_path, run, build):
    obtained, goldens = build.by_key(build.staged(0.5)), build.by_key(build.staged(0.0).condensed())
    page = Page(write_report(tmp_path, Judged(run.record, obtained, goldens, judge_all(obtained, goldens))).read_text())
    titles = {each["title"] for each in page.all("abbr")}
    for kind in (StageKind.DECODED_PIXELS, StageKind.INPUT_TENSOR, StageKind.LOGITS):
        assert f"{meaning_of(Stage(kind))}." in titles


def test_people_read_no_identifiers(run, page):
    shown = " ".join(text for case, text in page.text.items() if case)
    for name in ("energy_inside", "pointing_hit", "iou_sweep", "gradcam:", "gradcam_layer"):
        assert name not in shown
