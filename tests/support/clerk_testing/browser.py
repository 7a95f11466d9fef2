"""A page as a browser shows it: Chromium without a screen, asked over its own protocol on this machine."""

from __future__ import annotations

import asyncio
import base64
import shutil
import subprocess
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

__all__ = ["CHROMIUM", "Page", "open_page", "shades"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
"""None where no Chromium is installed; on Debian: apt-get install chromium."""
PATIENCE_S = 120
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
)


class Page:
    """One page, and what the browser complained about."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._asked = 0
        self.complaints: list[str] = []
        self.requested: list[str] = []

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol."""
        self._asked += 1
        await self._socket.send_json({"id": self._asked, "method": method, "params": params})
        while True:
            told = await self._socket.receive_json(timeout=PATIENCE_S)
            if told.get("id") == self._asked:
                assert "error" not in told, told
                result: dict[str, Any] = told["result"]
                return result
            self._note(told)

    def _note(self, told: dict[str, Any]) -> None:
        match told.get("method"):
            case "Log.entryAdded":
                self.complaints.append(told["params"]["entry"]["text"])
            case "Runtime.exceptionThrown" | "Runtime.consoleAPICalled":
                self.complaints.append(str(told["params"]))
            case "Network.requestWillBeSent":
                self.requested.append(told["params"]["request"]["url"])

    async def show(self, path: Path) -> None:
        """Load a file, and wait until it is complete."""
        await self.ask("Page.navigate", url=path.as_uri())
        for _ in range(PATIENCE_S * 10):
            ready = "document.readyState === 'complete' && document.body.childElementCount > 0"
            if await self.value(ready) and await self.value("location.protocol") == "file:":
                return
            await asyncio.sleep(0)
        raise AssertionError("the page was not complete in time")

    async def value(self, expression: str) -> Any:
        """What an expression is on the page."""
        told = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def look(self, width: int, scheme: str) -> None:
        """Have a screen of this width, for a person who prefers this scheme."""
        await self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        await self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def picture(self) -> bytes:
        """The whole page as PNG."""
        told = await self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(told["data"])


@asynccontextmanager
async def open_page(folder: Path) -> AsyncIterator[Page]:
    """A browser with an empty profile in ``folder``, ended with the block."""
    assert CHROMIUM is not None
    profile = folder / "profile"
    process = subprocess.Popen(  # noqa: ASYNC220  it is started once, and waited for below
        [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        address = await asyncio.to_thread(_address, process.stderr)
        port = address.split("/")[2]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://{port}/json/list") as answer:
                pages = [one for one in await answer.json() if one["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=64 * 1024 * 1024) as socket:
                page = Page(socket)
                for domain in ("Page", "Log", "Runtime", "Network"):
                    await page.ask(f"{domain}.enable")
                yield page
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.communicate, timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _address(told: Any) -> str:
    """What the browser says of where it listens."""
    for line in told:
        if "DevTools listening on " in line:
            return str(line.partition("DevTools listening on ")[2].strip())
    raise AssertionError("the browser ended before it listened")


def shades(png: bytes) -> int:
    """How many different bytes a picture's rows hold, as they are stored: a blank page has a handful."""
    place, data = 8, b""
    while place < len(png):
        size = int.from_bytes(png[place : place + 4], "big")
        if png[place + 4 : place + 8] == b"IDAT":
            data += png[place + 8 : place + 8 + size]
        place += size + 12
    return len(set(zlib.decompress(data)))
