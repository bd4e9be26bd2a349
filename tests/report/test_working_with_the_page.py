"""Working with the page: search, order, address, keys, full size, maps over their image. All tests share one page."""

from __future__ import annotations

import chromium
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_figures")]
SHOWN = "article:not([hidden])"
WORST_FIRST = ["broken", "renamed", "empty", "moved", "surer", "other", "new", "gone", "same"]


@pytest.fixture(scope="module")
def tab(run):
    with chromium.launched() as browser:
        context = browser.new_context(viewport={"width": 1400, "height": 1000}, offline=True)
        page = context.new_page()
        page.goto(run.page.as_uri())
        yield page


@pytest.fixture
def page(tab, run):
    """The page as it is when it is opened, at the beginning of its history."""
    wrong = []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.goto("about:blank")
    tab.goto(run.page.as_uri())
    yield tab
    chromium.resize(tab, 1400, 1000)
    assert wrong == []


def names(page):
    """Names of the cases that are shown, in their order."""
    shown = page.locator(f"{SHOWN} h3").all_inner_texts()
    return [text.removeprefix("birds/").removesuffix(".JPEG") for text in shown]


def case(page, image):
    return page.locator(f"article:has(h3:text-is('birds/{image}.JPEG'))")


def here(page):
    return page.evaluate("document.querySelector('.here h3')?.textContent ?? ''")


def asked(page):
    return page.evaluate("location.hash")


@pytest.mark.parametrize(
    "text, left",
    [
        ("moved", ["moved"]),
        ("MOVED jpeg cams", ["moved"]),
        ("rank correlation", ["moved"]),
        ("evidence", ["empty", "moved"]),
        ("scenes:objects drift", ["renamed", "empty", "moved", "surer"]),
        ("moved renamed", []),
        ("<script>alert", ["renamed"]),
    ],
)
def test_every_word_that_is_searched_occurs_in_what_is_found(page, text, left):
    page.get_by_role("searchbox", name="Search cases").fill(text)
    assert names(page) == left
    assert page.locator("#filter .place").inner_text() == f"{len(left)} of 9 cases"
    # The lists above follow.
    listed = page.locator("ul.verdicts li:not([hidden]) a").all_inner_texts()
    assert {each.removeprefix("cams: birds/").removesuffix(".JPEG") for each in listed} == set(left)


@pytest.mark.parametrize(
    "order, first, last",
    [
        ("name", ["broken", "empty", "gone"], ["surer"]),
        ("distance", ["empty", "surer"], ["same"]),
        ("state", ["broken", "renamed"], ["same"]),
    ],
)
def test_cases_are_sorted_and_come_back_into_the_order_of_the_page(page, order, first, last):
    page.locator(".more summary").click()
    page.get_by_role("combobox", name="sort by").select_option(order)
    assert sorted(names(page)) == sorted(WORST_FIRST)
    assert names(page)[-1:] == last
    if order == "distance":
        far = [float(each.get_attribute("data-distance")) for each in page.locator(SHOWN).all()]
        assert far == sorted(far, reverse=True)
    else:
        assert names(page)[: len(first)] == first
    page.get_by_role("button", name="Show all").click()
    assert names(page) == WORST_FIRST
    assert page.locator("#task--cams").is_visible()


def test_an_address_leads_to_what_was_chosen_and_back_undoes_it(page, run):
    page.get_by_role("searchbox").fill("cams")
    page.get_by_role("checkbox", name="drift 4").check()
    page.locator(".more summary").click()
    page.get_by_role("combobox", name="sort by").select_option("name")
    assert asked(page) == "#?q=cams&state=drift&sort=name"
    assert names(page) == ["empty", "moved", "renamed", "surer"]
    link = page.url
    page.go_back()
    assert names(page) == ["renamed", "empty", "moved", "surer"]
    page.go_back()
    assert len(names(page)) == 9 and page.get_by_role("searchbox").input_value() == "cams"
    page.go_back()
    assert (page.get_by_role("searchbox").input_value(), asked(page)) == ("", "")
    page.go_forward()
    page.go_forward()
    assert names(page) == ["renamed", "empty", "moved", "surer"]
    page.goto("about:blank")
    page.goto(link)
    assert names(page) == ["empty", "moved", "renamed", "surer"]


@pytest.mark.parametrize("part", ["?state=nonsense&severity=x&sort=y&q=", "%E0%A4%A?q=", "no-such-case", "?q=%F0%28"])
def test_an_address_that_says_nothing_useful_does_no_harm(page, run, part):
    page.goto("about:blank")
    page.goto(f"{run.page.as_uri()}#{part}")
    assert names(page) == ([] if part == "?q=%F0%28" else WORST_FIRST)


def test_a_link_to_a_case_keeps_what_was_chosen(page):
    page.get_by_role("checkbox", name="drift 4").check()
    page.get_by_role("link", name="cams: birds/moved.JPEG").click()
    assert here(page) == "birds/moved.JPEG"
    assert asked(page).endswith("?state=drift") and asked(page).startswith("#cams--birds-moved")
    assert len(names(page)) == 4
    top = case(page, "moved").bounding_box()["y"]
    bar = page.locator("#filter").bounding_box()
    assert bar["y"] == 0 and bar["height"] <= top < bar["height"] + 40


def test_keys_and_buttons_go_through_the_cases_that_are_shown(page):
    page.get_by_role("checkbox", name="drift 4").check()
    page.evaluate("document.activeElement.blur()")
    seen = []
    for key in "jjjjjk":
        page.keyboard.press(key)
        seen.append(here(page).removeprefix("birds/").removesuffix(".JPEG"))
    assert seen == ["renamed", "empty", "moved", "surer", "surer", "moved"]
    assert page.locator("#filter .place").inner_text() == "3 / 4 of 9 cases"
    page.get_by_role("button", name="Next case").click()
    assert here(page) == "birds/surer.JPEG"
    page.get_by_role("button", name="Previous case").click()
    assert here(page) == "birds/moved.JPEG"
    assert case(page, "moved").bounding_box()["y"] < 200
    assert page.evaluate("document.activeElement.id") == case(page, "moved").get_attribute("id")


def test_the_search_has_its_key_and_while_typing_letters_are_letters(page):
    page.keyboard.press("/")
    page.keyboard.type("jk/f")
    assert page.get_by_role("searchbox").input_value() == "jk/f"
    assert here(page) == ""
    page.keyboard.press("Escape")
    assert page.get_by_role("searchbox").input_value() == ""
    assert len(names(page)) == 9


def test_keys_can_be_switched_off_and_stay_off(page):
    page.locator(".more summary").click()
    page.get_by_role("checkbox", name="use these keys").uncheck()
    page.keyboard.press("j")
    assert here(page) == ""
    page.reload()
    page.keyboard.press("j")
    assert (here(page), asked(page)) == ("", "#?keys=off")


def test_an_image_opens_at_full_size_and_gives_the_focus_back(page):
    moved, dialog = case(page, "moved"), page.locator("dialog")
    button = moved.get_by_role("button", name="Full size")
    button.focus()
    page.keyboard.press("Enter")
    assert dialog.is_visible()
    assert dialog.get_by_role("heading").inner_text() == "birds/moved.JPEG · Grad-CAM, expected"
    assert dialog.locator(".place").inner_text() == "1 of 6"
    fitted = dialog.locator("img").bounding_box()["height"]
    assert 600 < fitted < 1000
    page.keyboard.press("+")
    assert dialog.locator("img").bounding_box()["height"] == pytest.approx(1.5 * fitted, rel=0.02)
    page.keyboard.press("0")
    page.keyboard.press("ArrowRight")
    assert dialog.get_by_role("heading").inner_text() == "birds/moved.JPEG · Grad-CAM, obtained"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert dialog.locator(".place").inner_text() == "6 of 6"
    page.keyboard.press("j")
    assert here(page) == ""
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert button.evaluate("each => each === document.activeElement")


def test_a_click_on_an_image_opens_it(page):
    moved, dialog = case(page, "moved"), page.locator("dialog")
    moved.locator("figure:not(.wipe) img").nth(2).click()
    assert dialog.get_by_role("heading").inner_text() == "birds/moved.JPEG · Grad-CAM, difference"
    dialog.get_by_role("button", name="Close").click()
    assert not dialog.is_visible()
    assert moved.get_by_role("button", name="Full size").evaluate("each => each === document.activeElement")


def test_one_slider_makes_all_maps_of_a_case_fainter_over_its_image(page):
    moved = case(page, "moved")
    moved.get_by_role("slider", name="Strength of the maps").fill("25")
    maps = moved.locator("img[data-alone]")
    # Three maps; of the one that drifted also what was expected, and both once more below the line.
    assert maps.count() == 6
    assert set(maps.evaluate_all("all => all.map(each => getComputedStyle(each).opacity)")) == {"0.25"}
    photo = moved.locator(".panels img").first.get_attribute("src")
    below = moved.locator("img.base")
    assert below.count() == 5 and set(below.evaluate_all("all => all.map(each => each.getAttribute('src'))")) == {photo}
    over = maps.first.bounding_box()
    assert below.first.bounding_box() == pytest.approx(over, abs=1)
    assert case(page, "same").locator("img.base").count() == 0


def test_the_maps_of_a_case_are_shown_without_the_image(page):
    moved = case(page, "moved")
    alone = moved.get_by_role("checkbox", name="map alone")
    maps = moved.locator("img[data-alone]")
    drawn = maps.evaluate_all("all => all.map(each => each.src)")
    heights = maps.evaluate_all("all => all.map(each => each.offsetHeight)")
    alone.check()
    shown = maps.evaluate_all("all => all.map(each => each.src)")
    assert not set(drawn) & set(shown)
    assert maps.evaluate_all("all => all.map(each => each.offsetHeight)") == pytest.approx(heights, abs=1)
    alone.uncheck()
    assert maps.evaluate_all("all => all.map(each => each.src)") == drawn


def test_one_slider_divides_all_maps_that_changed(page):
    moved = case(page, "moved")
    moved.get_by_role("slider", name="Compare").fill("20")
    divided = moved.locator(".half.expected").evaluate_all("all => all.map(each => each.style.width)")
    assert divided == ["20%"] * moved.locator(".stack").count()


@pytest.mark.parametrize("width", [390, 320])
def test_on_a_telephone_everything_can_be_hit_and_nothing_overlaps(page, width):
    chromium.resize(page, width, 800)
    chromium.open_details(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    small = """[...document.querySelectorAll("button, select, summary, input, nav a")].filter((each) => {
      const target = each.closest("label") ?? each;
      const box = target.getBoundingClientRect();
      return box.width && (box.height < 24 || box.width < 24);
    }).map((each) => each.outerHTML.slice(0, 80))"""
    assert page.evaluate(small) == []
    overlapping = """[...document.querySelectorAll("#filter .line, .tools")].flatMap((bar) => {
      const boxes = [...bar.children].map((each) => each.getBoundingClientRect()).filter((box) => box.width);
      const beside = (a, b) => a.right <= b.left + 1 || b.right <= a.left + 1;
      const above = (a, b) => a.bottom <= b.top + 1 || b.bottom <= a.top + 1;
      return boxes.filter((a, at) => boxes.slice(at + 1).some((b) => !beside(a, b) && !above(a, b)));
    }).length"""
    assert page.evaluate(overlapping) == 0
    page.evaluate("for (const each of document.querySelectorAll('.more')) each.open = false")
    page.get_by_role("link", name="cams: birds/moved.JPEG").click()
    bar = page.locator("#filter").bounding_box()
    assert bar["height"] < 160
    assert case(page, "moved").locator("h3").bounding_box()["y"] >= bar["height"]


def test_wide_tables_are_reached_with_the_keyboard(page):
    chromium.resize(page, 320, 800)
    table = case(page, "renamed").locator(".scroll").first
    page.wait_for_function("each => each.tabIndex === 0", arg=table.element_handle())
    chromium.resize(page, 1400, 1000)
    page.wait_for_function("each => each.tabIndex === -1", arg=table.element_handle())


def test_a_term_is_explained_when_it_is_tapped(page):
    case(page, "moved").locator(".badge.evidence").click()
    tip = page.get_by_role("tooltip")
    assert tip.inner_text() == "The answer is the same, but the map points elsewhere."
    box = tip.bounding_box()
    assert 0 <= box["y"] < 1000
    page.keyboard.press("Escape")
    assert not tip.is_visible()


def test_the_printed_page_is_whole(page):
    page.get_by_role("searchbox").fill("")
    page.emulate_media(media="print")
    hidden = "#filter, .tools, .wipe, dialog, .copy"
    assert page.locator(hidden).evaluate_all("all => all.every(each => getComputedStyle(each).display === 'none')")
    assert page.locator("article:visible").count() == 9
    page.emulate_media(media="screen")
