"""The served page in a real browser: a person decides with mouse and keyboard, and hostile names run nothing."""

import datetime

import chromium
import pytest
from axe_playwright_python.sync_playwright import Axe

from xai_eval.cli.main import main
from xai_eval.store.history import read_history
from xai_eval.store.quarantine import read_quarantine
from xai_eval.store.rejections import read_rejections

pytestmark = pytest.mark.slow
ASKED_FOR = ("color-contrast-enhanced", "focus-order-semantics")  # axe-core leaves these rules out unless asked


@pytest.fixture(scope="module")
def browser():
    with chromium.launched() as browser:
        yield browser


@pytest.fixture
def page(browser, call):
    """The page at its address; whatever goes wrong in it is an error, but for what the test expects to be refused."""
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url) if call.host not in request.url else None)
    page.goto(call.server.url)
    yield page
    context.close()
    assert [each for each in wrong if "409" not in each and not each.startswith("data:")] == []


def history(place, name):
    (folder,) = place.goldens.folder.glob(f"cams/photos-{name}-*")
    return read_history(folder)


def test_one_case_is_accepted_with_a_reason(place, page):
    # The name of the class is a script, and so is the reason: neither runs.
    page.get_by_role("button", name="Accept cams: photos/a.jpg").click()
    send = page.get_by_role("dialog").get_by_role("button", name="Accept")
    assert page.get_by_role("dialog").bounding_box()["height"] < 450  # as tall as what it holds, not as the window
    send.click()
    assert len(history(place, "a")) == 1  # the browser asks for the reason first
    hostile = "<img src=x onerror='document.title=\"hacked\"'> it is right"
    page.keyboard.type(hostile)
    send.click()
    page.get_by_text("Done: accepted 1 case").wait_for()
    assert [each.reason for each in history(place, "a")] == ["first golden", hostile]
    assert len(history(place, "b")) == 1
    article = page.locator("article", has=page.get_by_role("heading", name="photos/a.jpg"))
    assert article.get_by_text("Accepted: ").is_visible()
    page.reload()
    assert page.get_by_role("button", name="Accept cams: photos/a.jpg").count() == 0
    # What happened stands in the history of the case.
    article.locator("summary", has_text="History").click()
    assert article.get_by_text("accepted this golden on").is_visible() and hostile in article.inner_text()
    assert "hacked" not in page.title()


def test_a_group_is_rejected_and_what_is_shown_goes_into_quarantine(place, page):
    page.get_by_role("button", name="Reject these 2").click()
    assert page.get_by_role("dialog").locator("li").all_inner_texts() == ["cams: photos/a.jpg", "cams: photos/b.jpg"]
    page.keyboard.type("both are wrong")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("Done: rejected 2 cases").wait_for()
    assert {each.reason for each in read_rejections(place.reports)} == {"both are wrong"}
    page.reload()
    assert page.get_by_text("rejected this result on").first.is_visible()
    # A filter narrows what "all shown" means.
    page.locator("select[name=severity]").select_option("conclusion", force=True)
    page.get_by_role("button", name="Quarantine all 2 shown").click()
    page.get_by_label("Why can it not be mended").fill("known")
    page.get_by_label("Owner").fill("Mira")
    day = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=7)
    page.get_by_label("Last day, at the latest").fill(str(day))
    page.get_by_role("dialog").get_by_role("button", name="Quarantine").click()
    page.get_by_text("Done: put 2 cases into quarantine").wait_for()
    assert {(e.owner, e.expires) for e in read_quarantine(place.goldens.folder).values()} == {("Mira", day)}


def test_what_is_refused_is_told_and_a_second_try_is_possible(place, page, results):
    place.goldens.store(results("a", 9), "by somebody else")
    page.get_by_role("button", name="Accept these 2").click()
    page.keyboard.type("right")
    page.get_by_role("dialog").get_by_role("button", name="Accept").click()
    told = page.get_by_role("alert")
    told.get_by_text("the golden is another one").wait_for()
    assert len(history(place, "b")) == 1
    page.get_by_role("button", name="Cancel").click()
    assert page.get_by_role("dialog").count() == 0


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (320, "dark")])
def test_axe_finds_nothing(place, browser, call, width, scheme):
    assert call.send(call.decision("reject", "a", reason="wrong"))[0] == 200
    assert call.send(call.decision("accept", "b", reason="right"))[0] == 200
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(call.server.url)
    chromium.open_details(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    options = {"resultTypes": ["violations"], "rules": {name: {"enabled": True} for name in ASKED_FOR}}
    found = Axe().run(page, options=options).response["violations"]
    page.get_by_role("button", name="Quarantine all 2 shown").click()
    found += Axe().run(page, options=options).response["violations"]
    context.close()
    assert [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found] == []


def test_a_script_in_the_page_that_is_not_its_own_does_not_run(browser, call, monkeypatch):
    """If a text ever escaped from its place, the browser would still not run it: it does not know the word."""
    drawn = type(call.server.desk)._drawn
    extra = b'<script>document.title = "hacked"</script><img src=x onerror="document.title = \'hacked\'"></main>'

    def forged(desk):
        return {name: content.replace(b"</main>", extra) for name, content in drawn(desk).items()}

    monkeypatch.setattr(type(call.server.desk), "_drawn", forged)
    page = browser.new_page()
    page.goto(call.server.url)
    page.wait_for_timeout(200)
    assert page.title() != "hacked" and page.get_by_role("button", name="Accept cams: photos/a.jpg").is_visible()
    page.close()


def test_axe_finds_nothing_on_the_page_of_two_runs(browser, place, tmp_path, without_figures):
    assert main(["diff", "reports", "reports", "--report", "same"]) == 0
    context = browser.new_context(viewport={"width": 390, "height": 900}, color_scheme="dark", offline=True)
    page = context.new_page()
    page.goto((tmp_path / "same" / "index.html").as_uri())
    assert page.get_by_role("region", name="Two runs").is_visible()
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    context.close()
    assert [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found] == []
