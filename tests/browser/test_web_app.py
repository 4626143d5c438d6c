"""The web app in a real Chromium, from signing in to what it saved. One browser, one cloud and one
film for all; each test goes to its own page by itself.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from slimreel.local.deployment import PEOPLE
from slimreel.local.faults import Fault
from tests.browser.conftest import FILM, Tab, drop

#: Each may wait for films, and the machine may be busy.
pytestmark = pytest.mark.timeout(600)
#: Texts of the pipeline that leave their box, or cover a step or each other.
COVERED = """
const box = (one) => one.getBoundingClientRect();
const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
const nodes = [...document.querySelectorAll('.node')], found = [];
for (const node of nodes) {
  const shape = box(node.querySelector('.shape'));
  for (const text of node.querySelectorAll('.name, .sub')) {
    const { left, right, top, bottom } = box(text);
    const inside = left >= shape.left && right <= shape.right && top >= shape.top
      && bottom <= shape.bottom;
    if (!inside) found.push(text.textContent);
  }
}
const labels = [...document.querySelectorAll('.edge-label')];
for (const label of labels) {
  const others = [...nodes.map((one) => one.querySelector('.shape')), ...labels];
  for (const other of others) {
    if (other !== label && meet(box(label), box(other))) found.push(label.textContent);
  }
}
return found;
"""


@pytest.fixture(scope="module", autouse=True)
def screen(tab: Tab) -> None:
    tab.looks(width=1366)


def test_a_stranger_sees_nothing_but_the_way_in(tab: Tab) -> None:
    tab.open("#/savings")
    tab.find("button", "Sign in")
    assert tab.all("table") == [] and not tab.find("body").text.count("@")
    assert tab.complaints() == []


def test_a_film_that_is_dropped_appears_moves_and_ends_by_itself(tab: Tab, tmp_path: Path) -> None:
    tab.sign_in()
    tab.find(".empty", "Drop a video into the Drive folder")
    cloud = tab.deployment.cloud
    # Pages look every few seconds, and so small a film could come and go between two looks.
    step = "Invoke/slimreel-local-measure"
    cloud.faults.add(Fault(service="lambda", operation=step, delay_s=10))
    drop(tab.deployment, tmp_path)
    tab.find(".videos tr", FILM)
    tab.find(".live", "1 video under way")
    tab.find(".videos tr", "Completed")  # nobody pressed anything
    assert "→" in tab.find(".videos tr", FILM).text
    assert tab.complaints() == []


@pytest.mark.usefixtures("film")
def test_search_finds_it_by_the_beginning_of_a_word(tab: Tab) -> None:
    tab.open("#/videos?search=sce+4")
    tab.find(".videos tr", FILM)
    tab.open("#/videos?search=elsewhere")
    tab.find(".empty", "No video fits")
    tab.click(".empty button", "Show all videos")
    tab.find(".videos tr", FILM)


def test_original_and_result_play_in_step_with_a_divider_between(tab: Tab, film: str) -> None:
    tab.open(film)
    ready = "return [...document.querySelectorAll('video')].map((v) => v.readyState >= 2)"
    tab.until(lambda: tab.run(ready) == [True, True], "two films that can play")
    tab.run(
        "const seek = document.querySelector('.seek'); seek.value = 1.2;"
        "seek.dispatchEvent(new Event('input'))"
    )
    places = "return [...document.querySelectorAll('video')].map((v) => v.currentTime.toFixed(2))"
    tab.until(lambda: tab.run(places) == ["1.20", "1.20"], "both at the same place")
    divider = tab.find(".divider")
    divider.send_keys(Keys.HOME)
    clip = "return getComputedStyle(document.querySelector('video.before')).clipPath"
    assert "100%" in tab.run(clip)  # nothing of the original is left to see
    tab.find(".chart .line.area")
    tab.find(".reasons", "preset")
    tab.find(".history", "Copy from Drive")
    assert tab.complaints() == []


def test_another_preset_is_tried_and_the_history_says_who_asked(tab: Tab, film: str) -> None:
    tab.open(film)
    tab.click(".buttons button", "Encode again")
    tab.run("document.querySelector('dialog select').value = 'compression'")
    tab.click("dialog button", "Encode again")
    tab.find(".history", "you@example.com asked to retry with preset compression")
    tab.find(".pill", "Completed")
    tab.until(lambda: "run 2" in tab.find(".history .last").text, "the second run to end")
    row = tab.find("a.button", "Open row").get_attribute("href")
    assert "/airtable?base=" in row


def test_the_pipeline_shows_the_way_it_took(tab: Tab, film: str) -> None:
    tab.open(film)
    tab.click("a.button", "Its path")
    tab.find(".visits", "Publish")
    visited = {one.get_attribute("data-state") for one in tab.all(".node.visited")}
    assert {"Register", "Fetch", "Encode", "Publish", "Done"} <= visited
    assert "Fail" not in visited
    tab.open("#/pipeline/compress")
    tab.find(".flow:not(.past)")
    node = tab.find('.node[data-state="Encode"]')
    assert node.get_attribute("aria-label") == "Encode"
    tab.run("arguments[0].focus()", node)
    node.send_keys(Keys.ENTER)
    tab.find(".side", "Nothing here right now")
    assert tab.complaints() == []


@pytest.mark.usefixtures("film")
def test_the_savings_are_those_of_the_last_run(tab: Tab) -> None:
    tab.open("#/savings")
    tab.find(".tile", "saved")
    tab.find(".tiles", "ended")
    tab.find(".bars", "compress")
    assert tab.complaints() == []


def test_a_review_in_the_grid_is_done_and_the_row_answers(tab: Tab, film: str) -> None:
    tab.deployment.invoke("requeue_rows")  # the schedule: it makes the webhook
    tab.open(film)
    tab.driver.get(tab.find("a.button", "Open row").get_attribute("href"))
    for number, choice in enumerate(("Approve", "Keep original"), start=1):
        tab.click("tr.here .choose summary[aria-label^='Review:']")
        tab.click("tr.here .choose[open] button", choice)
        tab.find("tr.here td", f"{number}. {choice} (")  # nobody loaded the page again
    tab.find("tr.here td", "(You, ")
    tab.find("tr.here td", "Kept original")
    assert tab.complaints() == []
    tab.open(film)
    tab.find(".history .person", "asked to approve")
    tab.find(".pill", "Kept original")


def test_a_bad_network_leaves_nobody_before_an_empty_page(tab: Tab, film: str) -> None:
    with tab.without("*/main.js"):
        tab.open()
        tab.run("document.getAnimations().forEach((one) => one.finish())")  # some seconds pass
        tab.find(".late", "may not have arrived")
    tab.click(".late a", "Try again")
    tab.find(".videos tr", FILM)
    with tab.without("*/web/*"):
        tab.open(film)
        tab.find("[role=alert] h1", "No connection")
        tab.run("document.dispatchEvent(new Event('visibilitychange'))")  # sooner than by itself
        tab.find(".live", "No connection")
    tab.click("[role=alert] button", "Try again")
    tab.find(".facts")
    tab.find(".live", "All quiet")
    tab.complaints()  # of what was not to be had


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1366, 390])
def test_every_page_fits_and_every_control_has_a_name(
    tab: Tab, film: str, width: int, dark: bool
) -> None:
    tab.looks(width=width, dark=dark)
    pages = [("#/videos", ".videos"), (film, ".facts"), ("#/savings", ".tile")]
    for place, sign in [*pages, ("#/pipeline", ".flow")]:
        tab.open(place)
        tab.find(sign)
        assert len(tab.all("h1")) == 1
        assert tab.run("return document.documentElement.scrollWidth <= innerWidth"), place
        nameless = tab.run(
            "return [...document.querySelectorAll('input,select,button,a[href]')].filter((one) =>"
            " !(one.getAttribute('aria-label') || one.textContent.trim() || one.labels?.length)"
            ").map((one) => one.outerHTML)"
        )
        assert nameless == [], place
    assert tab.run(COVERED) == []
    colour = tab.run("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, colour[4:-1].split(","))) < 200) == dark


def test_a_viewer_may_look_only_and_signing_out_ends_it(tab: Tab, film: str) -> None:
    tab.sign_in(PEOPLE["viewer"])
    tab.open(film)
    tab.find(".buttons", "Open in Drive")
    assert "Encode again" not in tab.find(".buttons").text
    assert tab.run("return Object.keys(localStorage).length + document.cookie.length") == 0
