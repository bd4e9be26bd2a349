"""The page in a real browser, without a network."""

from __future__ import annotations

import contextlib
import dataclasses
import io

import chromium
import numpy as np
import pytest
from PIL import Image

from xai_eval.gate.judge import judge_all
from xai_eval.gate.judge_run import Judged
from xai_eval.report.write import write_report
from xai_eval.result.fingerprint import fingerprint_text
from xai_eval.result.result import Provenance
from xai_eval.result.stage import Stage, StageKind

# The report of the fixture `run` has figures: it is made before this.
pytestmark = pytest.mark.usefixtures("without_figures")
SHOWN = "article:not([hidden])"


@pytest.fixture(scope="module")
def browser():
    with chromium.launched() as browser:
        yield browser


SIZE = {"width": 1400, "height": 1000}


@contextlib.contextmanager
def watched(page, path):
    """Show a page; whatever it asks for, whatever goes wrong in it, and every dialog is an error."""
    wrong = []
    listeners = {
        "request": lambda request: wrong.append(request.url) if request.url != path.as_uri() else None,
        "console": lambda message: wrong.append(message.text),
        "pageerror": lambda error: wrong.append(str(error)),
        "dialog": lambda dialog: (wrong.append(dialog.message), dialog.dismiss()),
    }
    for event, listener in listeners.items():
        page.on(event, listener)
    page.goto(path.as_uri())
    yield page
    for event, listener in listeners.items():
        page.remove_listener(event, listener)
    assert [each for each in wrong if not each.startswith("data:")] == []


@contextlib.contextmanager
def opened(browser, path, **options):
    """Open a page in a browser that remembers nothing, and watch it."""
    context = browser.new_context(viewport=SIZE, offline=True, **options)
    with watched(context.new_page(), path) as page:
        yield page
    context.close()


@pytest.fixture(scope="module")
def tab(browser):
    context = browser.new_context(viewport=SIZE, offline=True)
    yield context.new_page()
    context.close()


@pytest.fixture
def page(tab, run):
    """The page as it is when it is opened, in a tab that all tests share."""
    tab.goto("about:blank")
    chromium.resize(tab, **SIZE)
    with watched(tab, run.page) as page:
        yield page


def anchor(run, image):
    return run.verdict(image).case.key.replace("/", "--")


def names(page):
    """Input names of the cases that are shown."""
    return {text.removeprefix("birds/").removesuffix(".JPEG") for text in page.locator(f"{SHOWN} h3").all_inner_texts()}


def choose(page, name, value):
    """Choose a value of a filter, which is folded away at first."""
    page.evaluate("document.querySelector('.more').open = true")
    page.get_by_role("combobox", name=name).select_option(value)


ALL = {"broken", "renamed", "empty", "moved", "surer", "other", "new", "gone", "same"}


def test_all_cases_are_shown_and_all_images_are_drawn(page):
    assert names(page) == ALL
    assert chromium.broken_images(page) == 0
    # Nothing is cut off at the side.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    "chosen, left",
    [
        ({"severity": "evidence"}, "moved empty"),
        ({"severity": "conclusion"}, "renamed"),
        ({"severity": "none"}, "broken other new gone same"),
        ({"cause": "parameter"}, "other"),
        ({"cause": "nothing recorded"}, "renamed empty moved surer"),
        ({"cause": "nothing recorded", "severity": "numbers"}, "surer"),
        ({"cause": "parameter", "severity": "numbers"}, ""),
    ],
    ids=str,
)
def test_filters_filter(page, chosen, left):
    left = set(left.split())
    for name, value in chosen.items():
        choose(page, name, value)
    assert names(page) == left
    assert page.locator("#filter output").inner_text() == f"{len(left)} of 9 cases"
    # The lists above and the headings of sections follow.
    listed = page.locator("ul:is(.verdicts, .new) li:not([hidden])").count()
    assert listed == len(left - {"same"})
    assert page.locator("#task--cams").is_visible() == bool(left)
    page.get_by_role("button", name="Show all").click()
    assert names(page) == ALL


def test_states_are_filtered_by_boxes_and_with_the_other_filters(page):
    page.get_by_role("checkbox", name="drift 4").check()
    assert names(page) == {"renamed", "empty", "moved", "surer"}
    page.get_by_role("checkbox", name="new 1").check()
    assert names(page) == {"renamed", "empty", "moved", "surer", "new"}
    choose(page, "severity", "evidence")
    assert names(page) == {"moved", "empty"}
    page.get_by_role("checkbox", name="drift 4").uncheck()
    assert names(page) == set()


def test_tasks_and_models_are_filters_where_there_are_several(browser, run, build, tmp_path, page):
    assert page.get_by_role("combobox", name="model").count() == page.get_by_role("combobox", name="task").count() == 0
    one, two = build.result("a.JPEG"), build.result("b.JPEG", model="file:a|b.py:net")
    two = dataclasses.replace(two, case=dataclasses.replace(two.case, task="lime"))
    obtained = build.by_key(one, two)
    path = write_report(tmp_path, Judged(run.record, obtained, {}, judge_all(obtained, {})))
    with opened(browser, path) as several:
        choose(several, "model", "file:a|b.py:net")
        assert names(several) == {"b"}
        choose(several, "task", "cams")
        assert names(several) == set()


def test_a_case_with_two_causes_is_found_by_either(browser, run, build, tmp_path):
    moved = build.result("a.JPEG", gradcam=build.heat(build.spot(0.8, 0.8)))
    provenance = Provenance(digests={"weights": "b" * 64}, versions={"torch": "2.15.0"})
    obtained = build.by_key(dataclasses.replace(moved, provenance=provenance), build.result("b.JPEG"))
    goldens = build.by_key(build.result("a.JPEG").condensed(), build.result("b.JPEG").condensed())
    path = write_report(tmp_path, Judged(run.record, obtained, goldens, judge_all(obtained, goldens)))
    with opened(browser, path) as page:
        for cause, left in (("weights", {"a"}), ("version", {"a"}), ("none", {"b"})):
            choose(page, "cause", cause)
            assert names(page) == left


def test_a_link_leads_to_a_case_that_is_filtered_out(page, run):
    choose(page, "severity", "numbers")
    page.evaluate(f"location.hash = '{anchor(run, 'moved.JPEG')}'")
    moved = page.locator(f"#{anchor(run, 'moved.JPEG')}")
    moved.wait_for(state="visible")
    assert names(page) == ALL
    assert moved.bounding_box()["y"] < 1000


@pytest.fixture
def wipe(page, run):
    return page.locator(f"#{anchor(run, 'moved.JPEG')}")


def seen(locator):
    """What is on the screen: RGB (h, w, 3) without the rounded corners."""
    pixels = np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB"), dtype=np.int16)
    return pixels[8:-8, 8:-8]


def apart(first, second):
    """Mean difference of two screenshots, laid over each other as well as whole pixels allow."""
    height, width = (min(a, b) - 2 for a, b in zip(first.shape[:2], second.shape[:2], strict=True))
    fixed = second[1 : height + 1, 1 : width + 1]
    shifts = [(row, column) for row in range(3) for column in range(3)]
    return min(float(np.abs(first[r : r + height, c : c + width] - fixed).mean()) for r, c in shifts)


def test_the_slider_wipes_from_one_image_to_the_other(page, wipe, run):
    # A whole number of pixels on the screen for each of the image's, so that all copies are drawn alike.
    columns = ".row.three { grid-template-columns: repeat(4, 256px) !important }"
    page.add_style_tag(content=f"{columns} .half {{ visibility: hidden }}")  # names would be seen as differences
    assert chromium.broken_images(page) == 0
    figures = page.locator(f"#{anchor(run, 'moved.JPEG')} section.drift figure:not(.wipe) img")
    expected, obtained = seen(figures.nth(0)), seen(figures.nth(1))
    assert apart(expected, obtained) > 5
    slider, stack = wipe.get_by_role("slider", name="Compare"), wipe.locator(".stack")
    slider.focus()
    page.keyboard.press("Home")
    assert apart(seen(stack), obtained) < 1
    page.keyboard.press("End")
    assert apart(seen(stack), expected) < 1
    slider.fill("50")
    half, middle = seen(stack), expected.shape[1] // 2
    assert apart(half[:, : middle - 4], expected[:, : middle - 4]) < 1
    assert apart(half[:, middle + 4 :], obtained[:, middle + 4 :]) < 1


def test_the_slider_is_moved_by_arrows_and_by_dragging_over_the_image(page, wipe):
    slider = wipe.get_by_role("slider", name="Compare")
    assert slider.input_value() == "50"
    slider.focus()
    for key in ("ArrowRight", "ArrowUp", "ArrowLeft", "ArrowRight"):
        page.keyboard.press(key)
    assert slider.input_value() == "52"
    assert slider.get_attribute("aria-valuetext") == "52 % expected"
    wipe.locator(".stack").scroll_into_view_if_needed()
    box = wipe.locator(".stack").bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 20)
    page.mouse.down()
    assert slider.input_value() == "20"
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 40)
    assert slider.input_value() == "75"
    page.mouse.up()
    page.mouse.move(box["x"], box["y"] + 40)
    assert slider.input_value() == "75"


@pytest.mark.parametrize("key, seen_names", [("Home", ["obtained"]), ("End", ["expected"])])
def test_at_either_end_of_the_slider_only_the_name_of_what_is_shown_is_seen(page, wipe, key, seen_names):
    wipe.get_by_role("slider", name="Compare").focus()
    page.keyboard.press(key)
    halves = {name: wipe.locator(f".half.{name}").bounding_box()["width"] for name in ("expected", "obtained")}
    assert [name for name, width in halves.items() if width > 0] == seen_names
    assert wipe.locator(".tools output").inner_text() == seen_names[0]


def test_each_half_is_named_where_it_is_shown(wipe):
    stack = wipe.locator(".stack").bounding_box()
    middle = stack["x"] + stack["width"] / 2
    left, right = (wipe.locator(f".half.{name} span").bounding_box() for name in ("expected", "obtained"))
    assert left["x"] + left["width"] < middle < right["x"]


def test_the_button_flips_between_expected_and_obtained(page, wipe):
    button, told = wipe.get_by_role("button", name="Switch"), wipe.locator(".tools output")
    button.click()
    assert told.inner_text() == "expected"
    button.click()
    assert told.inner_text() == "obtained"
    button.focus()
    page.keyboard.press("Space")
    assert told.inner_text() == "expected"
    page.keyboard.press("Enter")
    assert told.inner_text() == "obtained"


FOCUSED = """() => {
  const all = [...document.querySelectorAll("*")];
  const element = document.activeElement;
  const style = getComputedStyle(element);
  return { place: all.indexOf(element), name: element.tagName, outline: style.outlineStyle !== "none" };
}"""
CAN_BE_USED = "a, summary, input, select, button"


def test_the_tabulator_reaches_everything_in_the_order_of_the_page(page):
    usable = [each for each in page.locator(CAN_BE_USED).all() if each.is_visible()]
    reached = []
    for _ in usable:
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUSED))
    assert len({each["place"] for each in reached}) == len(usable) > 20
    assert [each["place"] for each in reached] == sorted(each["place"] for each in reached)
    assert all(each["outline"] for each in reached)


def test_whatever_can_be_used_has_a_name(page):
    page.evaluate("document.querySelector('.more').open = true")
    for role in ("slider", "button", "combobox", "checkbox", "link"):
        everything = page.get_by_role(role)
        assert everything.count() > 0
        assert everything.count() == page.get_by_role(role, name=chromium.SOME_NAME).count(), role


def test_the_chain_marks_the_first_stage_that_moved(browser, run, build, tmp_path):
    was, now = build.staged(0.0), build.staged(0.5)
    obtained, goldens = build.by_key(now), build.by_key(was.condensed())
    path = write_report(tmp_path, Judged(run.record, obtained, goldens, judge_all(obtained, goldens)))
    with opened(browser, path) as page:
        stages = page.locator("ol.chain > li")
        told = [" ".join(text.split()) for text in stages.all_inner_texts()]
        assert told[0] == "decoded pixels equal"
        assert told[1].startswith("input tensor by ") and told[1].endswith("the first change")
        assert told[2].startswith("logits by") and "first" not in told[2]


WIDE_LAYER = "a_block_with_a_long_name_" * 6


@pytest.fixture
def folded(run, build, tmp_path):
    """The page of a case whose model changed in six of its 14 stages, and in layers with long names after them."""
    stages = [
        Stage(StageKind.INPUT_TENSOR),
        *(Stage(StageKind.MODEL_WEIGHTS, f"layer{n}") for n in range(14)),
        *(Stage(kind, WIDE_LAYER) for kind in (StageKind.ACTIVATIONS, StageKind.TOP_K)),
    ]
    was = dict.fromkeys(stages, fingerprint_text("was"))
    now = {**was, **dict.fromkeys(stages[5:11], fingerprint_text("now"))}
    golden = dataclasses.replace(build.result(), stages=was)
    obtained = build.by_key(dataclasses.replace(golden, stages=now))
    goldens = build.by_key(golden.condensed())
    return write_report(tmp_path, Judged(run.record, obtained, goldens, judge_all(obtained, goldens)))


def test_a_family_of_stages_is_one_box_that_opens_with_the_keyboard(browser, folded):
    with opened(browser, folded) as page:
        boxes = page.locator("ol.chain > li")
        assert boxes.count() == 3
        model = boxes.nth(1)
        assert " ".join(model.inner_text().split()) == (
            'model state model weights of the block "layer4": changed the first change model weights of the block '
            '"layer5": changed model weights of the block "layer6": changed 3 more changed 8 equal'
        )
        last = model.get_by_text('model weights of the block "layer9": changed')
        assert not last.is_visible()
        model.get_by_text("3 more changed").focus()
        page.keyboard.press("Enter")
        assert last.is_visible()
        chromium.resize(page, 380, 800)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_drift_has_the_commands_that_explain_and_accept_it_and_a_new_case_only_the_latter(page, run):
    for image, commands in (("moved.JPEG", ["explain-drift", "accept"]), ("new.JPEG", ["accept"]), ("same.JPEG", [])):
        found = page.locator(f"#{anchor(run, image)} code.command").all_inner_texts()
        assert [text.split()[:3] for text in found] == [
            ["xai-eval", command, run.verdict(image).case.key] for command in commands
        ]


def test_the_sentence_and_the_facts_name_the_step(browser, run, build, tmp_path):
    was, now = build.staged(0.0), build.staged(0.5)
    obtained, goldens = build.by_key(now), build.by_key(was.condensed())
    path = write_report(tmp_path, Judged(run.record, obtained, goldens, judge_all(obtained, goldens)))
    with opened(browser, path) as page:
        row = page.locator(".verdicts li").first
        row.locator("summary").click()  # the rest of the cause is folded away
        listed = " ".join(row.inner_text().split())
        assert (
            "Unchanged before it: decoded pixels. Not recorded: image bytes. Responsible step: preprocessing." in listed
        )
        facts = " ".join(page.locator("article dl.facts").first.inner_text().split())
        assert "responsible step preprocessing (unchanged before it: decoded pixels)" in facts


def test_no_arrow_is_broken_by_the_end_of_a_line(page):
    arrows = "[...document.querySelectorAll('.whole')].map(each => [each.textContent, each.getClientRects().length])"
    for width in range(300, 700, 10):
        chromium.resize(page, width, 800)
        found = page.evaluate(arrows)
        assert {text for text, _ in found} >= {"->"} and all(lines == 1 for _, lines in found)


def test_long_class_names_hide_no_probability_on_a_telephone(browser, run, build, tmp_path):
    name = "Supercalifragilistic" * 8
    obtained = build.by_key(build.result(label=name, index=3))
    path = write_report(tmp_path, Judged(run.record, obtained, {}, judge_all(obtained, {})))
    with opened(browser, path) as page:
        chromium.resize(page, 380, 800)
        box = page.get_by_role("cell", name="0.875").bounding_box()
        assert box["x"] + box["width"] <= 380
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_hostile_names_are_shown_as_text(browser, run, build, tmp_path, page):
    renamed = page.locator(f"#{anchor(run, 'renamed.JPEG')}")
    assert build.HOSTILE in " ".join(renamed.inner_text().split())
    assert page.locator("script").count() == 1
    breakout = '"><img src=x onerror=alert(1)></option><script>alert(2)</script>'
    results = [build.result(name, model=breakout + name, label=breakout) for name in ("a.JPEG", f"{breakout}.JPEG")]
    obtained = build.by_key(*results)
    path = write_report(tmp_path, Judged(run.record, obtained, {}, judge_all(obtained, {})))
    with opened(browser, path) as hostile:
        assert hostile.locator("script").count() == 1
        assert hostile.locator("img[src=x], img[onerror]").count() == 0
        choose(hostile, "model", f"{breakout}a.JPEG")
        assert names(hostile) == {"a"}
        assert breakout in hostile.locator(SHOWN).inner_text()


def test_without_script_everything_is_there_and_nothing_is_offered_that_does_not_work(browser, run):
    with opened(browser, run.page, java_script_enabled=False) as page:
        assert page.locator("article:visible").count() == 9
        assert page.locator("#filter:visible, .wipe:visible, .tools:visible, dialog:visible").count() == 0


def test_on_a_telephone_nothing_is_cut_off(browser, run):
    with opened(browser, run.page) as page:
        chromium.resize(page, 380, 800)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_on_a_telephone_no_value_is_printed_over_its_name(browser, run):
    overlapping = """[...document.querySelectorAll(".under dt")].filter((name) => {
      const range = document.createRange();
      range.selectNodeContents(name);
      const [a, b] = [range.getBoundingClientRect(), name.nextElementSibling.getBoundingClientRect()];
      return a.right > b.left + 1 && a.bottom > b.top + 1 && b.bottom > a.top + 1;
    }).length"""
    with opened(browser, run.page) as page:
        for width in (320, 390, 480):
            chromium.resize(page, width, 800)
            assert page.locator(".under dt").count() > 0
            assert page.evaluate(overlapping) == 0
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_contents_lead_to_their_sections(page):
    links = page.get_by_role("navigation", name="Contents").get_by_role("link")
    assert links.all_inner_texts() == ["What needs a decision", "New", "Target warnings", "cams", "Terms"]
    for link in links.all():
        link.click()
        assert page.locator(page.evaluate("location.hash")).is_visible()


def test_without_a_browser_the_tests_fail_in_ci_and_skip_elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="Install Chromium, such as with `apt-get install chromium`"):
        chromium.find_chromium()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="nobody checked that the page works"):
        chromium.find_chromium()
