"""Lets today's Playwright drive a Chromium of 2020: `python -m tests.browser.old_chromium BINARY ARGUMENT...`.

Playwright starts this in the browser's place and talks to it over two pipes, in messages of JSON that end with a zero
byte. They pass through here, and what such a browser does not know is made up for on the way: a page is found, a
download announced, and what Playwright's own script asks for is answered without the page's knowing. The pages under
test see a browser that is as old as it is.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

# Playwright writes to the one and reads from the other; so does the browser with its own.
COMMANDS, ANSWERS = 3, 4
# Of our own commands; Playwright's count up from 1, and its last is -9999.
OWN = count(-100_000, -1)
PAUSE = threading.Event()
# What Playwright's own script asks of an element, and who answers. It stands beside the page, which does not meet it.
ASKED, ANSWERED = "element.checkVisibility(", "visibleToPlaywright(element, "
ANSWER = """
function visibleToPlaywright(element) {
  for (let e = element; e; e = e.parentElement) if (getComputedStyle(e).display === "none") return false;
  return true;
}
"""

Message = dict[str, Any]


class Between:
    """Carries messages both ways, and knows what was asked."""

    def __init__(self, browser_in: int, browser_out: int) -> None:
        self._browser_in, self._browser_out = browser_in, browser_out
        self._writing = threading.Lock()
        self._asked: dict[int, Message] = {}
        self._attached: set[str] = set()
        self._unattached: dict[str, Message] = {}
        self._downloads = Path()

    def carry_commands(self, commands: int) -> None:
        try:
            self._carry_commands(commands)
        finally:
            # The browser ends with it.
            os.close(self._browser_in)

    def _carry_commands(self, commands: int) -> None:
        for message in _messages(commands):
            self._asked[message["id"]] = message
            params = message.get("params", {})
            if message["method"] == "Browser.setDownloadBehavior":
                self._downloads = Path(params["downloadPath"])
            if message["method"] == "Runtime.evaluate" and ASKED in params["expression"]:
                params["expression"] = ANSWER + params["expression"].replace(ASKED, ANSWERED)
            if message["method"] == "Input.dispatchMouseEvent" and params["type"] == "mousePressed":
                # Only the page that asked last may download.
                where = {"behavior": "allow", "downloadPath": str(self._downloads)}
                self._ask("Page.setDownloadBehavior", session=message["sessionId"], **where)
            self._tell(message)
            if message["method"] == "Target.setAutoAttach" and "sessionId" not in message:
                self._ask("Target.setDiscoverTargets", discover=True)

    def carry_answers(self, answers: int) -> None:
        for message in _messages(self._browser_out):
            for answer in self._answers(message):
                _write(answers, answer)

    def _answers(self, message: Message) -> Iterator[Message]:
        """What Playwright is told of a message."""
        if message.get("id", 0) <= -100_000:
            return
        asked = self._asked.pop(message["id"], {}) if "id" in message else {}
        if "wasn't found" in message.get("error", {}).get("message", ""):
            # A setting that this browser does not have.
            del message["error"]
            message["result"] = {}
        params = message.get("params", {})
        target = params.get("targetInfo", {})
        match message.get("method"), "sessionId" in message:
            case "Target.targetCreated", False:
                if target["type"] == "page" and not target["attached"]:
                    self._ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
                return
            case "Target.attachedToTarget", False:
                self._attached.add(target["targetId"])
                yield message
                if waiting := self._unattached.pop(target["targetId"], None):
                    yield waiting
                return
            case "Page.downloadWillBegin", _:
                yield from self._download(params["frameId"], params["url"])
                return
        if asked.get("method") == "Target.createTarget" and "result" in message:
            made = message["result"]["targetId"]
            if made not in self._attached:
                self._unattached[made] = message
                return
        yield message

    def _download(self, frame: str, url: str) -> Iterator[Message]:
        """Wait for the whole file, then tell of it as browsers of today do, who call it by a name of their own."""
        while not (file := next(self._whole_files(), None)):
            PAUSE.wait(0.05)
        guid, size = uuid4().hex, file.stat().st_size
        file.rename(self._downloads / guid)
        begun = {"frameId": frame, "guid": guid, "url": url, "suggestedFilename": file.name}
        yield {"method": "Browser.downloadWillBegin", "params": begun}
        done = {"guid": guid, "totalBytes": size, "receivedBytes": size, "state": "completed"}
        yield {"method": "Browser.downloadProgress", "params": done}

    def _whole_files(self) -> Iterator[Path]:
        return (one for one in self._downloads.iterdir() if one.suffix not in {"", ".crdownload"})

    def _ask(self, method: str, session: str | None = None, **params: Any) -> None:
        where = {"sessionId": session} if session else {}
        self._tell({"id": next(OWN), "method": method, "params": params, **where})

    def _tell(self, message: Message) -> None:
        with self._writing:
            _write(self._browser_in, message)


def _messages(pipe: int) -> Iterator[Message]:
    rest = b""
    while part := os.read(pipe, 1 << 20):
        *whole, rest = (rest + part).split(b"\0")
        yield from map(json.loads, whole)


def _write(pipe: int, message: Message) -> None:
    rest = json.dumps(message).encode() + b"\0"
    while rest:
        rest = rest[os.write(pipe, rest) :]


def main() -> int:
    commands, answers = os.dup(COMMANDS), os.dup(ANSWERS)
    for_browser, browser_in = os.pipe()
    browser_out, from_browser = os.pipe()
    # The browser has its pipes where Playwright's were.
    for pipe, place in ((for_browser, COMMANDS), (from_browser, ANSWERS)):
        os.dup2(pipe, place)
        os.close(pipe)
    with subprocess.Popen(sys.argv[1:], pass_fds=(COMMANDS, ANSWERS)) as browser:
        os.close(COMMANDS)
        os.close(ANSWERS)
        between = Between(browser_in, browser_out)
        threading.Thread(target=between.carry_commands, args=(commands,), daemon=True).start()
        between.carry_answers(answers)
        return browser.wait()


if __name__ == "__main__":
    sys.exit(main())
