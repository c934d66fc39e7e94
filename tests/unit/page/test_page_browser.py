"""The page in a real browser: what a person sees, clicks and presses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("fcntl", reason="the browser is driven through a POSIX pipe")
from chromium import Chromium, find_chromium

from semdaemon.page.access import Token
from semdaemon.page.app import create_app
from semdaemon.page.pictures import Pictures
from semdaemon.page.server import PageServer
from semdaemon.settings import Limits


@pytest.fixture(scope="module")
def shared_browser() -> Iterator[Chromium]:
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with Chromium(program) as browser:
        yield browser


@pytest.fixture
def browser(shared_browser):
    shared_browser.open("about:blank")
    shared_browser.errors.clear()
    yield shared_browser
    shared_browser.open("about:blank")  # lets the events go before the page's server stops


LOADED = "document.body.dataset.loaded === '1'"
FULL = "document.querySelectorAll('#strip li').length"


def _text(browser, selector):
    return browser.evaluate(f"document.querySelector({selector!r})?.innerText ?? null")


def _pressed(browser, selector):
    return browser.evaluate(f"document.querySelector({selector!r}).getAttribute('aria-pressed')") == "true"


def test_a_refocused_frame_is_shown_wiped_with_its_map_badge_and_facts(world, page, browser):
    key = world.add("lath_0001.tif")
    world.refocus(key)
    browser.open(f"{page.url}?still")
    browser.until(LOADED)
    browser.until("document.querySelector('#img-refocused').naturalWidth > 0")
    assert _text(browser, "#about h3") == "lath_0001.tif"
    assert _text(browser, "#about .chip") == "refocused"
    assert "network made the pixels inside the blue border" in _text(browser, "#about .note")
    assert "abababababab" in _text(browser, "#about .note")
    assert "blurred" in _text(browser, "#focus .legend")
    assert _text(browser, "#pane-original .tag") == "original"
    assert _text(browser, "#pane-original .scalebar span").endswith(("nm", "µm"))
    assert not browser.evaluate("document.querySelector('#wipe').hidden")
    drawn = "document.querySelector('#map').getContext('2d').getImageData(5, 5, 1, 1).data[3]"
    assert browser.evaluate(drawn) > 0
    browser.press("m")
    assert browser.evaluate(drawn) == 0
    assert browser.errors == []


def test_views_change_by_key_and_button_and_the_wipe_by_mouse_and_keyboard(world, page, browser):
    world.refocus(world.add("a.tif"))
    browser.open(f"{page.url}?still")
    browser.until(LOADED)
    for key, view in (("s", "side"), ("o", "original"), ("r", "refocused"), ("w", "wipe")):
        browser.press(key)
        assert _pressed(browser, f"[data-view={view}]")
    browser.evaluate("document.querySelector('[data-view=side]').click()")
    overlap = (
        "(() => { const [a, b] = ['original', 'refocused'].map((p) => document.getElementById('pane-' + p)"
        ".getBoundingClientRect()); return b.left >= a.right; })()"
    )
    assert browser.evaluate(overlap)
    browser.press("w")
    box = browser.evaluate("document.querySelector('#wipe').getBoundingClientRect().toJSON()")
    pane = browser.evaluate("document.querySelector('#pane-original').getBoundingClientRect().toJSON()")
    middle = box["y"] + box["height"] / 2
    browser.mouse("mousePressed", box["x"] + 14, middle)
    browser.mouse("mouseMoved", pane["x"] + pane["width"] * 0.25, middle)
    browser.mouse("mouseReleased", pane["x"] + pane["width"] * 0.25, middle)
    assert browser.evaluate(
        "Number(document.querySelector('#wipe').getAttribute('aria-valuenow'))"
    ) == pytest.approx(25, abs=2)
    assert browser.evaluate("document.querySelector('#pane-refocused').style.clipPath").startswith("inset(0")
    browser.evaluate("document.querySelector('#wipe').focus()")
    browser.press("ArrowRight")
    assert browser.evaluate(
        "Number(document.querySelector('#wipe').getAttribute('aria-valuenow'))"
    ) == pytest.approx(27, abs=2)
    assert browser.errors == []


def test_pointing_at_a_tile_tells_its_blur_and_the_wheel_zooms(world, page, browser):
    world.score(world.add("a.tif"))
    browser.open(f"{page.url}?still")
    browser.until(LOADED)
    pane = browser.evaluate("document.querySelector('#pane-original').getBoundingClientRect().toJSON()")
    x, y = pane["x"] + pane["width"] * 0.5, pane["y"] + pane["height"] * 0.25
    browser.mouse("mouseMoved", x, y)
    tip = browser.until(
        "document.querySelector('#tip').hidden ? '' : document.querySelector('#tip').innerText"
    )
    assert "blurred: blur 3.50 px (17.5 nm)" in tip
    before = _text(browser, "#pane-original .scalebar span")
    for _ in range(8):
        browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-100)
    browser.until(
        "document.querySelector('#img-original').style.transform.includes('scale') && "
        f"document.querySelector('#pane-original .scalebar span').innerText !== {before!r}"
    )
    browser.press("0")
    assert _text(browser, "#pane-original .scalebar span") == before


def test_new_frames_appear_by_themselves_and_older_ones_can_be_looked_at(world, page, browser):
    first = world.add("first.tif")
    world.score(first)
    browser.open(page.url)
    browser.until("document.querySelector('#about h3')?.innerText === 'first.tif'")
    browser.until("document.querySelector('#link').innerText === 'live'")
    world.score(world.add("second.tif"))
    browser.until("document.querySelector('#about h3').innerText === 'second.tif'")
    browser.press("ArrowRight")
    browser.until("document.querySelector('#about h3').innerText === 'first.tif'")
    world.score(world.add("third.tif"))
    browser.until(f"{FULL} === 3")
    assert _text(browser, "#about h3") == "first.tif"
    browser.press("l")
    browser.until("document.querySelector('#about h3').innerText === 'third.tif'")
    world.refocus(world.add("fourth.tif"))
    browser.until("document.querySelector('#about .chip').innerText === 'refocused'")
    assert browser.errors == []


def test_a_narrow_page_stays_where_it_is_when_a_frame_is_chosen(world, page, browser):
    for number in range(12):
        world.score(world.add(f"{number}.tif"), artefacts=[{"code": "x", "message": "streaks", "tiles": 1}])
    browser.resize(420, 700)
    try:
        browser.open(f"{page.url}?still&frame=1")
        browser.until(LOADED)
        browser.until("document.querySelector('#strip').scrollLeft > 0")
        assert browser.evaluate("scrollY") == 0
        seen = "document.querySelector('#strip [aria-current=true]').getBoundingClientRect()"
        assert browser.evaluate(f"{seen}.left >= 0 && {seen}.right <= innerWidth")
        assert _text(browser, "#focus .findings .warns") == "streaks"
    finally:
        browser.resize(1440, 900)


@pytest.mark.parametrize("width", [400, 620, 950, 1100, 1440])
def test_nothing_is_cut_off_at_the_right_edge_however_wide_the_window(world, page, browser, width):
    world.told["sources"] = [
        {"name": name, "ok": True} for name in ("ndtiff", "folder", "pushed", "micromanager")
    ]
    world.score(world.add("a.tif"))
    browser.resize(width, 800)
    try:
        browser.open(f"{page.url}?still")
        browser.until(LOADED)
        beyond = "[...document.querySelectorAll('#top *, #toolbar *, #run-head *, #side *')].filter("
        beyond += "one => one.getBoundingClientRect().right > innerWidth + 1).map(one => one.innerText)"
        assert browser.evaluate(beyond) == []
        clipped = (
            "[...document.querySelectorAll('.group')].filter(one => one.scrollWidth > one.clientWidth).length"
        )
        assert browser.evaluate(clipped) == 0
    finally:
        browser.resize(1440, 900)


def test_faults_are_told_with_their_remedy(world, page, browser):
    key = world.add("broken.tif")
    world.fail(key, "it ends after 12 of 400 kB")
    world.told = {"worker": {"state": "degraded", "last_fault": "worker_died"}}
    browser.open(f"{page.url}?still&frame={key}")
    browser.until(LOADED)
    assert "it ends after 12 of 400 kB" in _text(browser, "#about")
    assert "Copy it again." in _text(browser, "#about")
    assert "worker_died" in _text(browser, "#alarm")
    assert "broken.tif" in _text(browser, "#faults")
    assert "could not be read" in _text(browser, "#empty")


def test_foreign_names_never_become_markup(world, page, browser):
    hostile = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'<!-- .tif"
    key = world.add(hostile.replace("/", ""))
    world.fail(key, f"{hostile} '\"><svg onload=alert(1)>")
    browser.open(f"{page.url}?still&frame={key}")
    browser.until(LOADED)
    assert hostile in browser.evaluate("document.querySelector('#about h3').textContent")
    assert (
        browser.evaluate(
            "document.querySelectorAll('#side img, #strip li img, #side script, #side svg').length"
        )
        == 0
    )
    assert "owned" not in browser.evaluate("document.title").split(" · ")[-1]
    assert browser.evaluate("document.title") == f"{hostile} · semdaemon"


def test_names_that_turn_round_or_hide_are_shown_as_what_they_are(world, page, browser):
    world.fail(world.add("evil\u202egnp.tif"))
    browser.open(f"{page.url}?still")
    browser.until(LOADED)
    for selector in ("#about h3", "#strip .name", "#faults .fault"):
        assert "evil\\u202egnp.tif" in browser.evaluate(f"document.querySelector({selector!r}).textContent")


def test_the_strip_can_be_filtered_and_reaches_beyond_the_newest(world, page, browser):
    failed = world.add("failed.tif")
    world.fail(failed)
    world.refocus(world.add("refocused.tif"))
    world.score(world.add("sharp.tif"))
    world.add("waiting.tif")
    browser.open(f"{page.url}?still")
    browser.until(f"{FULL} === 4")
    for name in ("failed", "refocused", "waiting"):
        browser.evaluate(f"document.querySelector('[data-filter={name}]').click()")
        browser.until(f"{FULL} === 1 && document.querySelector('#strip .name').innerText === '{name}.tif'")
    browser.evaluate("document.querySelector('[data-filter=all]').click()")
    browser.until(f"{FULL} === 4")
    assert browser.errors == []


def test_a_frame_whose_file_is_gone_says_so(world, page, browser):
    world.score(world.add("gone.tif"))
    (world.folder / "gone.tif").unlink()
    browser.open(f"{page.url}?still")
    browser.until("document.querySelector('#empty').innerText.includes('not there any more')")
    assert _text(browser, "#about h3") == "gone.tif"


def test_an_empty_journal_and_a_vanished_daemon_are_said(world, page, browser):
    browser.open(page.url)
    browser.until("document.querySelector('#link').innerText === 'live'")
    assert "No frame yet" in _text(browser, "#empty")
    page.stop()
    browser.until("document.querySelector('#link').innerText.startsWith('no answer')")


def test_a_page_with_a_token_asks_for_it_once(world, browser):
    world.score(world.add("a.tif"))
    app = create_app(
        journal=world.journal,
        pictures=Pictures(world.journal, Limits(), 2**24).get,
        status=world.status,
        metrics=lambda: b"",
        changed=world.changes,
        token=Token("correct-horse-battery-staple"),
    )
    with PageServer(app, port=0) as server:
        browser.open(f"{server.url}?still")
        browser.evaluate("document.querySelector('[name=token]').value = 'correct-horse-battery-staple'")
        browser.errors.clear()  # the 401 itself
        browser.evaluate("document.querySelector('#login').requestSubmit()")
        browser.until("location.search === '' && document.querySelector('#about h3')?.innerText === 'a.tif'")
        browser.open(f"{server.url}?still")
        browser.until(LOADED)
        assert browser.errors == []
        browser.open("about:blank")
