"""One stand-in cloud and one Chromium for all browser tests. Debian's packages `chromium` and
`chromium-driver`; without them the tests are skipped.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By

from chalicelib.domain.row import KEY_FIELD, TABLE_NAME
from slimreel.local.deployment import NOTICE_EMAIL, Deployment, deployed
from tests.clips import camera_clip

T = TypeVar("T")
OVER = ("Completed", "Kept original")
FILM = "Scene 4 take 2.mov"
PROJECT_DIR = Path(__file__).resolve().parents[2]
#: Generous: the machine may be busy. What takes this long has failed.
WAIT_S = 150.0
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars"),
)


@dataclass
class Tab:
    """A browser's tab, as a person uses it."""

    driver: Any
    deployment: Deployment

    @property
    def url(self) -> str:
        return f"{self.deployment.cloud.endpoint_url}/api/app"

    def open(self, place: str = "") -> None:
        self.driver.get(self.url + place)

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def find(self, selector: str, text: str = "") -> Any:
        """The first element that fits and shows this text, once there is one."""

        def look() -> Any:
            try:
                return next((one for one in self.all(selector) if text in one.text), None)
            except StaleElementReferenceException:  # it was drawn anew meanwhile
                return None

        return self.until(look, f"{selector} with {text!r}")

    def click(self, selector: str, text: str = "") -> None:
        self.find(selector, text)
        self.run(
            "[...document.querySelectorAll(arguments[0])]"
            ".find((one) => one.innerText.includes(arguments[1])).click()",
            selector,
            text,
        )

    def run(self, script: str, *given: Any) -> Any:
        return self.driver.execute_script(script, *given)

    def until(self, look: Callable[[], T | None], what: str) -> T:
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            found = look()
            if found:
                return found
            time.sleep(0.1)
        shown = self.run("return document.body.innerText")
        raise AssertionError(f"waited {WAIT_S:.0f} s for {what}; the page says: {shown[:800]}")

    def sign_in(self, email: str = NOTICE_EMAIL) -> None:
        """Be this person, whoever was here before."""
        who = "return document.querySelector('.who')?.textContent"
        if self.run(who) == email:
            return
        self.open()
        if self.find("header .status button, .welcome button").text == "Sign out":
            if self.run(who) == email:
                return
            self.sign_out()
        self.click("button", "Sign in")
        self.find("input[name=username]").send_keys(email)
        self.find("input[name=password]").send_keys(self.deployment.password)
        self.click("button", "Sign in")
        self.find(".page h1")

    def sign_out(self) -> None:
        self.click("button", "Sign out")
        self.find(".welcome button", "Sign in")

    @contextmanager
    def without(self, pattern: str) -> Iterator[None]:
        """A bad network: what is asked of these addresses never arrives."""
        self.driver.execute_cdp_cmd("Network.enable", {})
        self.driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
        self.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": [pattern]})
        try:
            yield
        finally:
            self.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
            self.driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": False})

    def looks(self, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Another screen, and light or dark."""
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def complaints(self) -> list[str]:
        """What the browser had to complain of since it was last asked: refused by the policy, not
        found, thrown."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="package")
def programs() -> tuple[str, str]:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    return browser, driver


@pytest.fixture(scope="package")
def deployment(
    programs: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    data_dir = tmp_path_factory.mktemp("cloud")
    keep = {"KeepOriginals": "yes"}
    with deployed(data_dir, PROJECT_DIR, environments=24, parameters=keep) as made:
        yield made


@pytest.fixture(scope="package")
def tab(
    programs: tuple[str, str], deployment: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tab]:
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(programs[1])
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield Tab(driver, deployment)
    finally:
        driver.quit()


@pytest.fixture
def film(tab: Tab, tmp_path: Path) -> str:
    """The address of a finished film's page, for somebody who is signed in. It is dropped here
    where no test has done so before: each of them can run alone.
    """
    tab.looks(width=1366)
    tab.sign_in()
    if not (tab.deployment.inbox / FILM).exists():
        drop(tab.deployment, tmp_path)
    job_id = tab.until(lambda: finished(tab.deployment), "the film to be finished")
    return f"#/videos/{job_id}"


def drop(deployment: Deployment, folder: Path) -> None:
    clip = camera_clip(folder / FILM, size="640x360", duration_s=2.0)
    deployment.cloud.drive.add_file(deployment.inbox_folder_id, FILM, clip)


def finished(deployment: Deployment) -> str | None:
    """The film's job, once its row says that it is over."""
    rows = deployment.cloud.airtable.rows(deployment.base_id, TABLE_NAME)
    over = [row for row in rows if row["File Name"] == FILM and row["Status"] in OVER]
    return str(over[0][KEY_FIELD]) if over else None
