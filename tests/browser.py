"""A real browser for tests of pages: Chromium by its WebDriver, over HTTP and with nothing installed in Python."""

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
MISSING = "no Chromium with its driver on this machine: apt-get install chromium chromium-driver"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key that WebDriver gives elements
KEYS = {"tab": "\ue004", "enter": "\ue007", "right": "\ue014", "left": "\ue012", "down": "\ue015", "space": " "}


class Browser:
    """One window, headless. Addresses may be `file://`."""

    def __init__(self, port: int, arguments: Sequence[str]) -> None:
        self._base = f"http://127.0.0.1:{port}"
        options = {"binary": BROWSER, "args": list(arguments)}
        wanted = {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}
        self._session = f"/session/{self._ask('POST', '/session', {'capabilities': wanted})['sessionId']}"

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = json.dumps(body if body is not None else {}).encode() if method == "POST" else None
        asked = urllib.request.Request(
            f"{self._base}{path}", data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return json.load(answer)["value"]

    def post(self, what: str, **body: Any) -> Any:
        return self._ask("POST", f"{self._session}/{what}", body)

    def open(self, address: str) -> None:
        self.post("url", url=address)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a function's body in JavaScript returns."""
        return self.post("execute/sync", script=script, args=list(arguments))

    def devtools(self, command: str, **parameters: Any) -> Any:
        return self.post("goog/cdp/execute", cmd=command, params=parameters)

    def size(self, width: int, height: int) -> None:
        """Of the page, which may be narrower than a window can be."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.devtools("Emulation.setDeviceMetricsOverride", **metrics)

    def scheme(self, name: str) -> None:
        """`dark` or `light`, as the system prefers."""
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def press(self, *keys: str) -> None:
        for key in keys:
            typed = KEYS.get(key, key)
            actions = [{"type": kind, "value": typed} for kind in ("keyDown", "keyUp")]
            self.post("actions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def console(self) -> list[str]:
        """What the page complained about since the last call, without a favicon that is not there."""
        lines = [entry["message"] for entry in self.post("se/log", type="browser")]
        return [line for line in lines if "favicon" not in line]

    def screenshot(self, path: Path, full: bool = False) -> None:
        """The window as a PNG, or the whole page."""
        found = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=full)
        path.write_bytes(base64.b64decode(found["data"]))

    def close(self) -> None:
        self._ask("DELETE", self._session)


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with an empty profile in that folder; it and its driver are gone afterwards."""
    assert DRIVER is not None, MISSING
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        [DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as driver:
        try:
            _wait(port)
            flags = (
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
            )
            shown = Browser(port, [*flags, f"--user-data-dir={profile}"])
            try:
                yield shown
            finally:
                shown.close()
        finally:
            driver.terminate()


def _wait(port: int) -> None:
    for _ in range(300):
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the driver of the browser did not start")
