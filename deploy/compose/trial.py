"""`make compose-test`: the installation put to the test, in containers of its own that are removed at the end.

Builds the image, starts everything, drives the journey through the gateway, restarts each service under load, scales,
stops and starts again; in the end all that was acknowledged is there (`deploy/load`), the numbers are 1..N and no log
holds an id number. Prints a line for each step; exit status 1 if one failed.
"""

import argparse
import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from deploy.compose.installation import FILE, ROOT, Installation, OperationFailed
from deploy.compose.make_secrets import make
from deploy.journey import Api, log_in_reviewer
from deploy.journey import run as run_journey
from deploy.load.checker import Checker
from deploy.load.client import FAILURES
from deploy.load.history import History
from deploy.load.people import Load
from deploy.synthetic import AREA

PROJECT = "ganzheng-trial"
PORT = 18080
USERNAME, INITIAL, PASSWORD = "compose-reviewer", "Initial-2026-pass", "Desk-2026-pass"
SCALE = {"renewal-worker": 3, "certnumber-celery": 2}
LOAD_SECONDS = 20.0
# Until a submission has its number, or nothing is left to be done.
SETTLE_SECONDS = 180.0
# Of the choices that those make who use it.
SEED = 1
# What any id number of ours looks like, wherever it may stand.
ID_NUMBER = re.compile(rf"{AREA}\d{{11}}[\dXx]")


class Failed(Exception):
    """A step ended otherwise than it must."""


class LocalNames(httpx2.AsyncHTTPTransport):
    """Finds every name under .localhost on this machine, as browsers do; the request keeps its Host."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.host.endswith(".localhost"):
            request = httpx2.Request(
                request.method,
                request.url.copy_with(host="localhost"),
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
        return await super().handle_async_request(request)


def require(holds: object, what: str) -> None:
    """Raise Failed with `what` unless it holds."""
    if not holds:
        raise Failed(what)


def environment(secrets: Path) -> dict[str, str]:
    """Set the trial apart: an image, ports and networks of its own, everything else as by default, whatever .env says.

    Demo mode is for the captcha's answer.
    """
    return {
        "COMPOSE_FILE": FILE,
        "COMPOSE_PROJECT_NAME": PROJECT,
        "COMPOSE_PROFILES": "",
        "GANZHENG_IMAGE": "ganzheng:trial",
        "GATEWAY_RATE": "100",
        "GATEWAY_PROXIES": "0",
        "GATEWAY_TRUSTED_IPS": "",
        "GRAFANA_URL": "",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "",
        "SECRETS_DIR": str(secrets),
        "GANZHENG_DEMO": "true",
        "HTTP_BIND": "127.0.0.1",
        "HTTP_PORT": str(PORT),
        "PUBLIC_URL": f"http://localhost:{PORT}",
        "S3_PUBLIC_URL": f"http://s3.localhost:{PORT}",
        "EDGE_SUBNET": "172.30.65.0/25",
        "PORTAL_SUBNET": "172.30.65.128/25",
    }


class Trial:
    """`steps` run one after the other; a failed one ends the trial."""

    def __init__(self, installation: Installation, secrets: Path, client: httpx2.AsyncClient) -> None:
        self._installation = installation
        self._secrets = secrets
        self._client = client
        self._base = f"http://localhost:{PORT}"
        self._api = Api(client, self._base)
        self._history = History()
        self._load = Load(self._api, self._history, SEED, (USERNAME, PASSWORD), clerks=3)
        self._before = 0
        self._logs = ""

    async def compose(self, *arguments: str, stdin: str = "") -> str:
        return await asyncio.to_thread(self._installation.output, *arguments, stdin=stdin)

    async def steps(self, say: Callable[[str, float, str], None]) -> None:
        """Take all steps. Raises Failed, OperationFailed, TimeoutError or an error of HTTP in the one that fails."""
        plan: list[tuple[str, Callable[[], Awaitable[str]]]] = [
            ("build", self.build),
            ("up --wait", self.up),
            ("ports", self.ports),
            ("reviewer", self.reviewer),
            ("journey", self.journey),
            ("gateway", self.gateway),
            ("load", self.begin_load),
            *((f"restart {name}", self.restarting(name)) for name in self._installation.services),
            ("scale", self.scale),
            ("all kept", self.settle),
            ("proof", self.proof),
            ("picture links", self.picture_links),
            ("down and up", self.down_and_up),
            ("journey again", self.journey),
            ("proof again", self.proof),
            ("logs", self.logs),
        ]
        try:
            for name, step in plan:
                started = time.monotonic()
                try:
                    told = await step()
                except (Failed, OperationFailed, TimeoutError, *FAILURES) as error:
                    say(name, time.monotonic() - started, f"FAILED: {str(error) or type(error).__name__}")
                    raise
                say(name, time.monotonic() - started, told)
        finally:
            await self._load.stop()

    async def build(self) -> str:
        await self.compose("build")
        return str(self._installation.config["services"]["enterprise-api"]["image"])

    async def up(self) -> str:
        await self.compose("up", "--detach", "--wait")
        return f"{len(self._installation.services)} services ready"

    async def ports(self) -> str:
        published = await asyncio.to_thread(self._installation.published_ports)
        require(set(published) == {"gateway"}, f"published: {published}")
        return f"only the gateway's: {published['gateway']}"

    async def reviewer(self) -> str:
        account = ("--username", USERNAME, "--name", "试运行审核员", "--roles", "reviewer,registrar,admin")
        command = ("python", "-m", "services.review", "add-reviewer", *account, "--password-stdin")
        await self.compose("exec", "-T", "review-api", *command, stdin=f"{INITIAL}\n")
        token = await log_in_reviewer(self._api, USERNAME, INITIAL)
        change = {"old_password": INITIAL, "new_password": PASSWORD}
        await self._api.call("PUT", "review", "/password", token=token, json=change, expect=204)
        return "added, password changed"

    async def journey(self) -> str:
        number = await run_journey(self._api, USERNAME, PASSWORD, lambda _: None)
        return f"number {number}"

    async def gateway(self) -> str:
        """Check what the gateway adds, and what it keeps out."""
        page = await self._client.get(f"{self._base}/")
        require(page.status_code == 200 and "安全" in page.text, "the portal does not show its front page")
        require(page.headers["X-Content-Type-Options"] == "nosniff", "no security headers")
        for path in ("/api/", "/api/renewal/v2/posts", "/api/renewal"):
            answer = await self._client.get(self._base + path)
            require(answer.status_code == 404 and "json" not in answer.headers["Content-Type"], f"{path} is routed")
        large = await self._client.post(f"{self._base}/api/review/v1/sessions", content=bytes(3 * 1024**2))
        require(large.status_code == 413, f"3 MiB of JSON: {large.status_code}")
        return "front page, headers, closed paths, body limit"

    async def begin_load(self) -> str:
        self._before = await self._count()
        await self._load.prepare()
        self._load.start()
        await self._recover()
        return "clerks apply, reviewers decide"

    async def _count(self) -> int:
        """Count the numbers given so far."""
        proof = await self._load.administrator.read("certnumber", "/proof")
        return sum(series["count"] for series in proof["series"])

    async def _recover(self) -> float:
        """Wait until something submitted from now on has its number; returns the seconds. Raises TimeoutError."""
        since, began = self._history.now(), time.monotonic()
        async with asyncio.timeout(SETTLE_SECONDS):
            while not self._is_certified(since):  # noqa: ASYNC110 - in other processes
                await asyncio.sleep(0.2)
        return time.monotonic() - began

    def _is_certified(self, since: float) -> bool:
        fresh = {one.subject for one in self._history.of("submit") if one.began > since and one.outcome == "ok"}
        return bool(fresh & set(self._load.numbers.values()))

    def restarting(self, name: str) -> Callable[[], Awaitable[str]]:
        async def restart() -> str:
            unanswered, acknowledged = self._history.unanswered.total(), self._history.acknowledged
            await self.compose("restart", name)
            seconds = await self._recover()
            return (
                f"{self._history.acknowledged - acknowledged:4} acknowledged, "
                f"{self._history.unanswered.total() - unanswered:3} asked again, "
                f"submitted after it and certified within {seconds:.1f} s"
            )

        return restart

    async def scale(self) -> str:
        copies = [f"--scale={name}={count}" for name, count in SCALE.items()]
        await self.compose("up", "--detach", "--wait", "--no-recreate", *copies)
        acknowledged = self._history.acknowledged
        await asyncio.sleep(LOAD_SECONDS)
        await self._recover()
        return f"{SCALE}: {self._history.acknowledged - acknowledged} acknowledged in {LOAD_SECONDS:.0f} s"

    async def settle(self) -> str:
        await self._load.stop()
        checker = Checker(self._history, self._load.administrator, self._load.clerks, before=self._before)
        seconds = await checker.quiet(SETTLE_SECONDS)
        verdict = await checker.check()
        for line in verdict.tell(self._history):
            print(line, flush=True)
        require(verdict, str(verdict))
        checked = ", ".join(f"{number} {what}" for what, number in verdict.checked.items())
        return f"{self._history.acknowledged} acknowledged, quiet after {seconds:.0f} s; checked {checked}: {verdict}"

    async def proof(self) -> str:
        """Count the numbers out, as an operator does."""
        await self.compose("exec", "-T", "certnumber-api", "python", "-m", "services.certnumber", "prove")
        return f"1..{await self._count()}, without gap or repeat"

    async def picture_links(self) -> str:
        answers: list[httpx2.Response] = []
        self._client.event_hooks["response"].append(_remember(answers))
        picture = await self._picture()
        self._client.event_hooks["response"].clear()
        redirect = next((answer for answer in answers if answer.is_redirect), None)
        if redirect is None or not picture:
            raise Failed("the picture came without a link")
        require(answers[-1].headers["X-Content-Type-Options"] == "nosniff", "no security headers")
        link = redirect.headers["Location"]
        forged = await self._client.get(f"{link}0")
        require(forged.status_code == 403, f"a forged link: {forged.status_code}")
        written = await self._client.put(link, content=b"")
        require(written.status_code == 404, f"writing through the link: {written.status_code}")
        return f"{len(picture)} bytes from the store's own host; a forged link does not open"

    async def down_and_up(self) -> str:
        before, picture = await self._applications(), await self._picture()
        self._logs += await asyncio.to_thread(self._installation.logs)
        await self.compose("down")
        await self.compose("up", "--detach", "--wait")
        require(await self._applications() == before, "applications differ")
        require(await self._picture() == picture, "a picture differs")
        return f"{len(before)} applications and their pictures are as before"

    async def _applications(self) -> dict[str, Any]:
        """Collect all enterprises' applications by id, as their lists show them; waits for a service that is away."""
        pages = [await client.pages("renewal", "/applications") for client in self._load.clerks.values()]
        return {one["id"]: one for page in pages for one in page}

    async def _picture(self) -> bytes:
        """Fetch the first that was uploaded and submitted, by the link to the store that the platform answers with."""
        draft = next(one for one in self._history.of("draft") if one.subject in self._load.numbers.values())
        client = self._load.clerks[draft.asked["owner"]]
        return bytes(await client.read("renewal", f"/applications/{draft.subject}/images/id-front"))

    async def logs(self) -> str:
        self._logs += await asyncio.to_thread(self._installation.logs)
        require("http.request" in self._logs, "the logs are empty")
        require(not ID_NUMBER.search(self._logs), "an id number is in a log")
        for secret in self._secrets.iterdir():
            # An account's name is no secret, and the definitions are no single value.
            if secret.name not in ("s3_access_key", "s3_root_user") and secret.suffix != ".json":
                require(secret.read_text() not in self._logs, f"{secret.name} is in a log")
        return f"{len(self._logs.splitlines())} lines without an id number or a secret"


def _remember(answers: list[httpx2.Response]) -> Callable[[httpx2.Response], Awaitable[None]]:
    async def remember(response: httpx2.Response) -> None:
        answers.append(response)

    return remember


@asynccontextmanager
async def own_installation(keep: bool) -> AsyncIterator[tuple[Installation, Path]]:
    """An installation apart from any other on this machine, and its secrets; removed at the end unless to be kept."""
    secrets = ROOT / "var" / "compose-test" / "secrets"
    make(secrets)
    installation = Installation(environment(secrets))
    # Whatever an interrupted trial has left behind.
    await asyncio.to_thread(installation.run, "down", "--volumes")
    try:
        yield installation, secrets
    finally:
        if not keep:
            await asyncio.to_thread(installation.run, "down", "--volumes")


async def run(keep: bool) -> int:
    def say(step: str, seconds: float, told: str) -> None:
        print(f"{step:28} {seconds:7.1f} s  {told}", flush=True)

    limits: Mapping[str, Any] = {"timeout": 30, "trust_env": False, "transport": LocalNames()}
    async with own_installation(keep) as (installation, secrets), httpx2.AsyncClient(**limits) as client:
        try:
            await Trial(installation, secrets, client).steps(say)
        except (Failed, OperationFailed, TimeoutError, *FAILURES):
            return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.compose.trial", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the containers running, to look at them")
    return asyncio.run(run(parser.parse_args().keep))


if __name__ == "__main__":
    sys.exit(main())
