"""The README's curl lines carry an application to a certificate number as printed there."""

import asyncio
import re
import subprocess
from functools import partial
from pathlib import Path

import httpx2

from deploy.embedded.postgres import free_port
from tests.support.processes import ROOT, demo, ready
from tests.support.wait import PATIENCE, until


async def test_curl_lines_give_a_certificate_number(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    block = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    promised = re.search(r'^(\{"number":"\d{14}".*)…\}$', text, re.MULTILINE)
    assert block
    assert promised
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with demo(tmp_path, port):
        async with httpx2.AsyncClient(trust_env=False) as http:
            await until(partial(ready, http, base), what="the platform to be ready")
        done = await asyncio.to_thread(
            subprocess.run,
            ["sh", "-eu", "-c", block[1]],
            env={"PATH": "/usr/bin:/bin", "BASE": base, "SAMPLES": str(tmp_path / "var" / "samples")},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert promised[1] in done.stdout
    assert '"gapless":true' in done.stdout
