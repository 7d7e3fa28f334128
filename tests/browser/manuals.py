"""`make manuals`: take the operating manuals' pictures anew while the tests play the story, and print the manuals."""

import asyncio
import io
import os
import re
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import cast

import httpx2
from PIL import Image
from playwright.async_api import Page, PdfMargins

from services.portal.pages import HERE, STATIC

NAMES = ("enterprise", "reviewer")
FOLDER = STATIC / "manuals"
TEMPLATES = HERE / "templates" / "manuals"
LIMIT = 60 * 1024
WIDTH, HEIGHT, TALLEST = 1200, 700, 1650
CONTENT_END = """Math.max(...[...document.querySelectorAll("#main, .sidenav")].map(
    part => part.getBoundingClientRect().bottom)) + 16"""
# Where the story looks at what the manuals show.
SCENES = ("test_story.py", "test_office.py", "test_hindrances.py", "test_pages.py")
PAPER = (
    "body{margin:40px;font:28px sans-serif;background:#f4efe2;color:#333}h1{font-size:36px}p{margin:14px 0}"
    "b{position:fixed;right:60px;bottom:50px;padding:10px 40px;border:6px solid;color:#a61b1b;font-size:72px}"
)
LETTER = ("本人承诺所提交的材料真实、有效。", "承诺人：赵××", "企业：南昌一零企业")
PAPERS = (
    (
        "id-front",
        "身份证正面",
        ("姓名　赵××", "性别　男", "住址　江西省南昌市", "公民身份号码　3601××××××××××××××"),
    ),
    ("id-back", "身份证反面", ("签发机关　××市公安局", "有效期限　2020.01.01－2040.01.01")),
    ("commitment-letter", "安全员换证承诺书", LETTER),
    ("commitment-letter-again", "安全员换证承诺书", (*LETTER, "（已加盖换证公章）")),
)
MARGIN: PdfMargins = {"top": "18mm", "bottom": "18mm", "left": "16mm", "right": "16mm"}


def pictures() -> set[str]:
    """The names of the pictures that the manuals show."""
    return {
        found
        for name in NAMES
        for found in re.findall(r'picture\("([a-z-]+)"', (TEMPLATES / f"{name}.html").read_text())
    }


async def draw_papers(page: Page, directory: Path) -> None:
    """Pictures to upload that look like what they stand for, and like nobody's."""
    await page.set_viewport_size({"width": 860, "height": 540})
    for name, title, lines in PAPERS:
        drawn = "".join(f"<p>{line}</p>" for line in lines)
        await page.set_content(f"<style>{PAPER}</style><h1>{title}</h1>{drawn}<b>样张</b>")
        await page.screenshot(path=directory / f"{name}.jpg", type="jpeg", quality=90)


async def take_picture(page: Page, name: str) -> None:
    """The page down to where its content ends or gets long, as static/manuals/<name>.webp, if a manual shows it."""
    if name not in pictures():
        return
    before = page.viewport_size
    await page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    # What sticks to the window's edge stands in the middle of a page that is scrolled.
    await page.evaluate("scrollTo(0, 0)")
    end = min(await page.evaluate(CONTENT_END), TALLEST)
    shot = await page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": end})
    if before:
        await page.set_viewport_size(before)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.webp").write_bytes(_small(shot))


def _small(png: bytes) -> bytes:
    """As WEBP of at most LIMIT bytes. Raises ValueError where that cannot be done with colours enough."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    common = sorted(picture.getcolors(picture.width * picture.height) or (), reverse=True)
    # Without loss, because that keeps letters sharp and is what PDF packs well.
    for colours in (128, 64, 32, 16):
        palette = Image.new("P", (1, 1))
        palette.putpalette(bytes(part for _, colour in common[:colours] for part in cast(tuple[int, ...], colour)))
        stream = io.BytesIO()
        few = picture.quantize(palette=palette, dither=Image.Dither.NONE).convert("RGB")
        few.save(stream, "WEBP", lossless=True, method=4)
        if stream.tell() <= LIMIT:
            return stream.getvalue()
    raise ValueError("the picture is too large for a manual")


async def print_manuals() -> None:
    """Each manual's page as PDF, with its headings as outline."""
    from playwright.async_api import async_playwright

    from deploy.embedded.postgres import free_port
    from tests.browser.conftest import launch
    from tests.support.processes import demo, ready
    from tests.support.wait import until

    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = free_port()
        base = f"http://localhost:{port}"
        stack.enter_context(demo(directory, port))
        async with httpx2.AsyncClient(trust_env=False) as http, async_playwright() as playwright:
            await until(partial(ready, http, base), what="the platform to be ready")
            chromium = await launch(playwright)
            page = await chromium.new_page(locale="zh-CN")
            for name in NAMES:
                await page.goto(f"{base}/manuals/{name}")
                await page.pdf(path=FOLDER / f"{name}.pdf", format="A4", margin=MARGIN, outline=True, tagged=True)
            await chromium.close()


def main() -> int:
    scenes = [str(Path(__file__).parent / scene) for scene in SCENES]
    # Without the manuals' own pages: one that names a new picture cannot be shown before that is taken. In the same
    # order every time, as each scene takes the next of the synthetic people.
    selection = ("-k", "not manual- and not without and not 80", "--basetemp", tempfile.mkdtemp(), "-p", "no:randomly")
    command = [sys.executable, "-m", "pytest", "-q", *selection, *scenes]
    if status := subprocess.run(command, env={**os.environ, "MANUALS": "1"}, check=False).returncode:
        return status
    wanted = pictures()
    for file in FOLDER.glob("*.webp"):
        if file.stem not in wanted:
            file.unlink()
    asyncio.run(print_manuals())
    return 0


if __name__ == "__main__":
    sys.exit(main())
