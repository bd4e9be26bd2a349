"""The report of a run with more cases than anybody looks at: what is shown, what is left out, and how it says so."""

from __future__ import annotations

import base64
import csv
import dataclasses
import re

import chromium
import pytest

from xai_eval.bench.large_run import NOISE, large_case
from xai_eval.gate.judge_run import judge_run
from xai_eval.report.cases import collect
from xai_eval.report.earlier_report import remove_earlier_report
from xai_eval.report.images_beside import remove_images_beside
from xai_eval.report.page import shown_cases
from xai_eval.report.write import write_report
from xai_eval.result.fields import InputImage
from xai_eval.result.result import Case, Result
from xai_eval.store.goldens import Goldens
from xai_eval.store.runs import RESULTS_FOLDER, RunRecord

COUNT, MOVED = 12, (0, 4, 9)
ARTICLE = re.compile(r'<article id="([^"]+)".*?</article>', re.DOTALL)
ROW = re.compile(r'<tr id="([^"]+)" data-state="(\w+)".*?</tr>', re.DOTALL)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("large") / "run"


@pytest.fixture(scope="module")
def judged(run_folder):
    """A run on disk of which three cases drift."""
    folder = run_folder.parent
    for number in range(COUNT):
        Goldens(folder / "golden").store(large_case(number), "as measured")
        now = large_case(number, moved=number in MOVED, noise=NOISE)
        now.save(folder / "run" / RESULTS_FOLDER / now.case.key)
    RunRecord(("cams",), ("scenes:objects",), ("large",), COUNT, finished=True).save(folder / "run")
    return judge_run(folder / "run", Goldens(folder / "golden"))


@dataclasses.dataclass(frozen=True)
class Written:
    page: str
    folder: object

    @property
    def articles(self):
        return {found[1]: found[0] for found in ARTICLE.finditer(self.page)}

    @property
    def rows(self):
        return {found[1]: found[0] for found in ROW.finditer(self.page)}

    def files(self, kind):
        return {path.name: path.read_bytes() for path in (self.folder / kind).iterdir()}


def written(judged, folder):
    page = write_report(folder, judged)
    return Written(page.read_text(), folder)


@pytest.fixture(scope="module")
def whole(judged, tmp_path_factory):
    """The report with everything."""
    return written(judged, tmp_path_factory.mktemp("whole") / "reports")


@pytest.fixture(scope="module")
def short(judged, tmp_path_factory):
    """The report with the images of two cases that pass, and figures of four cases."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shown_cases, "PASSING", 2)
        patch.setattr(shown_cases, "FIGURES", 4)
        return written(judged, tmp_path_factory.mktemp("short") / "reports")


@pytest.fixture(scope="module")
def beside(judged, tmp_path_factory):
    """The report whose page has room for the images of the first case alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shown_cases, "IN_THE_FILE", 100_000)
        patch.setattr(shown_cases, "FIGURES", 0)
        return written(judged, tmp_path_factory.mktemp("beside") / "reports")


def anchors(judged, *, failed):
    return [v.case.key.replace("/", "--") for v in judged.verdicts if v.failed is failed]


def test_a_small_run_is_shown_in_full(whole):
    assert shown_cases.PASSING >= 38
    assert shown_cases.FIGURES >= 38
    assert len(whole.articles) == COUNT
    assert whole.rows == {}
    assert "So that the page stays small" not in whole.page


def test_every_case_that_does_not_pass_is_shown_as_in_a_small_run(judged, whole, short):
    failed = anchors(judged, failed=True)
    assert len(failed) == len(MOVED)
    here = (short.folder, whole.folder)
    for each in failed:
        assert short.articles[each] == whole.articles[each].replace(str(here[1]), str(here[0]))
        # The image, and of each of three maps what was expected, what was obtained, and the difference.
        assert short.articles[each].count('src="data:image/') == 1 + 3 * 3


def test_the_first_that_pass_are_shown_as_in_a_small_run(judged, whole, short):
    passing = anchors(judged, failed=False)
    assert [each for each in short.articles if each in passing] == passing[:2]
    for each in passing[:2]:
        assert short.articles[each] == whole.articles[each]


def test_the_others_that_pass_keep_a_row_with_state_and_scores(judged, short):
    passing = anchors(judged, failed=False)
    assert list(short.rows) == passing[2:]
    for key, row in zip(passing[2:], short.rows.values(), strict=True):
        assert 'data-state="ok"' in row
        assert "<td>car</td>" in row
        assert "<td>0.8</td>" in row
        assert f"<td>{key.replace('--', '/')}</td>" in row
        assert "torch 2.11.0 -&gt; 2.15.0" in row
        assert "<img" not in row


def test_the_page_says_what_is_left_out_and_where_it_lies(judged, short):
    text = " ".join(short.page.split())
    left = COUNT - len(MOVED) - 2
    assert f"<h3>{left} more cases that are ok, without images</h3>" in text
    assert f"the images of {left} ok cases are not on it" in text
    assert "xai_eval.Result.load opens a result with its image and maps" in text
    assert f"<code>{short.folder / RESULTS_FOLDER}</code>" in text


def test_the_folder_of_a_row_holds_the_image(run_folder, short):
    last = re.findall(r"<td>([^<]*)</td>", list(short.rows.values())[-1])[-1]
    assert isinstance(Result.load(run_folder / RESULTS_FOLDER / last)["image"], InputImage)


def test_no_case_and_no_link_is_lost(judged, short):
    ids = re.findall(r' id="([^"]+)"', short.page)
    assert len(ids) == len(set(ids))
    assert {*short.articles, *short.rows} == {v.case.key.replace("/", "--") for v in judged.verdicts}
    assert set(re.findall(r'href="#([^"]+)"', short.page)) <= set(ids)
    assert f"{COUNT} cases: {COUNT - len(MOVED)} ok, {len(MOVED)} drift" in short.page


def test_tables_hold_all_cases(whole, short):
    assert short.files("tables") == whole.files("tables")
    rows = list(csv.DictReader(short.files("tables")["cams_summary.csv"].decode().splitlines()))
    assert len(rows) == COUNT


def test_figures_are_drawn_of_the_worst_cases_and_are_the_same(whole, short):
    figures = short.files("figures")
    drawn = {name.split("_")[0] for name in figures}
    assert drawn == {f"image-{number:04}" for number in (*MOVED, 1)}
    assert figures.items() <= whole.files("figures").items()


def test_an_image_is_shown_once_though_results_are_read_again(whole):
    for article in whole.articles.values():
        assert article.count("<figcaption>original</figcaption>") == 1
        assert "<figcaption>mask</figcaption>" not in article


def test_what_sums_up_is_always_shown_and_every_task_counts_for_itself(judged, monkeypatch):
    monkeypatch.setattr(shown_cases, "PASSING", 1)
    monkeypatch.setattr(shown_cases, "FIGURES", 1)
    cases = [
        case
        for case in collect(judged.results, judged.goldens, judged.verdicts, judged.pairs)
        if not case.verdict.failed
    ][:3]
    verdict = cases[0].verdict
    whole = dataclasses.replace(verdict, case=Case("cams", "m", "large (12 images)"))
    other = dataclasses.replace(verdict, case=Case("lime", "m", "large/a.jpg"))
    all_of = [*cases, *(dataclasses.replace(cases[0], verdict=each) for each in (whole, other))]
    for choose in (shown_cases.with_images, shown_cases.with_figures):
        assert [case.verdict.case for case in choose(all_of)] == [verdict.case, whole.case, other.case]


def test_images_of_what_passes_do_not_make_the_page_large(whole, short):
    def embedded(page):
        return sum(len(base64.b64decode(each)) for each in re.findall(r"base64,([\w+/=]+)", page))

    assert embedded(short.page) < embedded(whole.page)


SHOWN_BESIDE = re.compile(r'(?:src|data-alone)="(page-images/[^"]+)"')


def test_the_images_of_a_small_run_are_within_its_page(whole):
    assert shown_cases.IN_THE_FILE >= 40 * 7 * 224 * 224 / 2, "twenty drifts of photographs and three maps"
    assert not (whole.folder / "page-images").exists()
    assert "img-src data:; style-src" in whole.page
    assert "files in the folder" not in whole.page


def test_the_images_of_cases_for_which_the_page_has_no_room_are_files_beside_it(judged, whole, beside):
    shown = {key: set(SHOWN_BESIDE.findall(article)) for key, article in beside.articles.items()}
    assert [key for key, files in shown.items() if not files] == list(shown)[:1]
    assert sorted(set().union(*shown.values())) == sorted(f"page-images/{name}" for name in beside.files("page-images"))
    assert f"the images of {COUNT - 1} cases are files in the folder" in beside.page
    assert "img-src data: 'self'; style-src" in beside.page
    # They are the images that a small page holds, in its order.
    for key, article in beside.articles.items():
        files = re.findall(r' src="([^"]+)"', article)
        held = re.findall(r' src="([^"]+)"', whole.articles[key])
        assert [content_of(each, beside.folder) for each in files] == [content_of(each, whole.folder) for each in held]


def content_of(address, folder):
    if address.startswith("data:"):
        return base64.b64decode(address.split(",", 1)[1])
    return (folder / address).read_bytes()


def test_small_images_in_the_lists_stay_within_the_page(beside):
    lists = beside.page[: beside.page.index("<article")]
    assert lists.count('src="data:image/webp') == 3 * len(MOVED)
    assert "page-images/" not in lists


def test_images_of_an_earlier_page_are_removed_and_files_of_others_stay(judged, tmp_path, monkeypatch):
    monkeypatch.setattr(shown_cases, "FIGURES", 0)
    images = tmp_path / "page-images"
    images.mkdir()
    stale, foreign = images / f"{'0' * 32}.jpeg", images / "holiday.jpeg"
    stale.write_bytes(b"old")
    foreign.write_bytes(b"mine")
    write_report(tmp_path, judged)
    assert list(images.iterdir()) == [foreign]
    monkeypatch.setattr(shown_cases, "IN_THE_FILE", 0)
    write_report(tmp_path, judged)
    assert len(list(images.iterdir())) > 20
    remove_earlier_report(tmp_path)
    assert list(images.iterdir()) == [foreign]
    foreign.unlink()
    remove_images_beside(tmp_path)
    assert not images.exists()


def test_nothing_is_removed_through_a_link(tmp_path):
    own = tmp_path / "elsewhere"
    own.mkdir()
    image = own / f"{'0' * 32}.jpeg"
    image.write_bytes(b"mine")
    (tmp_path / "page-images").symlink_to(own)
    remove_images_beside(tmp_path)
    assert image.exists()


@pytest.mark.slow
def test_a_browser_loads_the_images_beside_the_page_and_says_so_if_they_are_gone(beside, tmp_path):
    last = list(beside.articles)[-1]
    load = "each => { each.scrollIntoView(); return each.decode().then(() => each.naturalWidth, () => 0) }"
    alone = tmp_path / "index.html"
    alone.write_text(beside.page)
    with chromium.launched() as browser:
        page = browser.new_page()
        for place, width in ((beside.folder / "index.html", 96), (alone, 0)):
            page.goto(place.as_uri())
            assert page.locator(f"#{last} img").first.evaluate(load) == width
            missing = page.get_by_text("Some of these files are missing here.")
            missing.wait_for(state="hidden" if width else "visible")


@pytest.mark.slow
def test_rows_are_filtered_with_the_other_cases(short):
    with chromium.launched() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.goto((short.folder / "index.html").as_uri())
        assert page.locator(".without-images tbody tr:visible").count() == 7
        page.get_by_role("checkbox", name="drift 3").check()
        assert page.locator("#filter output").inner_text() == "3 of 12 cases"
        assert not page.locator(".without-images").is_visible()
        # A link to a row that is filtered out leads there all the same.
        last = list(short.rows)[-1]
        page.evaluate(f"location.hash = '#{last}'")
        page.wait_for_function("document.querySelector('.without-images').offsetHeight > 0")
        assert page.locator(f"#{last}").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
