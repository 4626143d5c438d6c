"""One stand-in cloud and one Chromium for all browser tests. Debian's packages `chromium` and
`chromium-driver`; without them the tests are skipped.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By

from slimreel.local.deployment import NOTICE_EMAIL, Deployment, deployed

T = TypeVar("T")
PROJECT_DIR = Path(__file__).resolve().parents[2]
#: Generous: the machine may be busy. What takes this long has failed.
WAIT_S = 60.0
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
        self.open()
        self.click("button", "Sign in")
        self.find("input[name=username]").send_keys(email)
        self.find("input[name=password]").send_keys(self.deployment.password)
        self.click("button", "Sign in")
        self.find(".page h1")

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
    with deployed(data_dir, PROJECT_DIR, parameters={"KeepOriginals": "yes"}) as made:
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
