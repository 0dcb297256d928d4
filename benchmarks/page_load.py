"""Many people on the page at once: do all get their answers, and how long does each wait for the first word?

What: `--users` tabs of one Chromium, each a visitor of its own, ask about titles of the catalog one after the other, for
`--seconds`, of `ftlib serve` on the smoke model. Timed from the click to the first word of the base's answer on the screen,
waiting in the queue included. Errors: a question without two whole answers, an alert on the page, or anything that the
browser's console calls an error. Browser and server share the machine, as they would not elsewhere.
How: ftlib run --profile smoke --run runs/smoke, then python benchmarks/page_load.py --run runs/smoke
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np

from ftlib.pipeline.stage import Run
from ftlib.pipeline.stages import load_dataset
from ftlib.runtime import hardware
from ftlib.runtime.files import write_json

ROOT = Path(__file__).resolve().parent.parent
PORT = 7899
WAIT = 60_000  # milliseconds until an answer counts as lost


async def visit(browser, titles: list[str], until: float, first: list[float], errors: list[str]) -> None:
    """One visitor, who asks until the time is over."""
    tab = await (await browser.new_context()).new_page()
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    await tab.goto(f"http://127.0.0.1:{PORT}/")
    await tab.locator("#ask").wait_for()
    chance = random.Random(len(first))
    while time.perf_counter() < until:
        await tab.locator("#title textarea, #title input").first.fill(chance.choice(titles))
        await tab.evaluate("document.querySelectorAll('#left section, #right section').forEach(e => e.remove())")
        started = time.perf_counter()
        await tab.locator("#ask").click()
        try:
            await tab.locator("#left .ft-text:not(:empty)").wait_for(timeout=WAIT)
            first.append(time.perf_counter() - started)
            await tab.locator("#vote-left").wait_for(timeout=WAIT)
            texts = [await tab.locator(f"#{side} .ft-text").inner_text() for side in ("left", "right")]
            if not all(text.strip() for text in texts) or await tab.get_by_role("alert").count():
                errors.append(f"no whole answer: {texts}")
        except Exception as error:  # a visitor who got nothing is a figure here, and the others go on
            errors.append(f"{type(error).__name__}: {error}"[:200])
        await asyncio.sleep(chance.uniform(0.5, 1.5))  # reading


async def measure(users: int, seconds: float, titles: list[str], chromium: str) -> tuple[list[float], list[str]]:
    from playwright.async_api import async_playwright

    first: list[float] = []
    errors: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        until = time.perf_counter() + seconds
        await asyncio.gather(*(visit(browser, titles, until, first, errors) for _ in range(users)))
        await browser.close()
    return first, errors


def served(run: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "ftlib", "serve", "--run", str(run), "--port", str(PORT)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | {"FTLIB_PROFILE": "smoke"})
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=1).close()
            return server
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not start within a minute")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="a run of the smoke profile")
    parser.add_argument("--users", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=120)
    args = parser.parse_args()
    chromium = os.environ.get("FTLIB_CHROMIUM") or shutil.which("chromium") or sys.exit("needs a Chromium")
    titles = list(load_dataset(Run(args.run))["train"]["title"])
    server = served(args.run)
    try:
        first, errors = asyncio.run(measure(args.users, args.seconds, titles, chromium))
    finally:
        server.terminate()
        server.wait(20)
    found = {
        "what": "Visitors of the page who ask at the same time, smoke model, browser and server on the same machine",
        "users": args.users,
        "seconds": args.seconds,
        "questions": len(first),
        "errors": len(errors),
        "first_word_p50_s": round(float(np.percentile(first, 50)), 2),
        "first_word_p95_s": round(float(np.percentile(first, 95)), 2),
        "device": hardware.device_name(),
    }
    print("\n".join(sorted(set(errors))), found, sep="\n")
    write_json(ROOT / "results" / "page_load.json", found)
