"""Take the picture of the demo page in docs/demo_page.png: the run's first test title, asked in headless Chromium.

`python benchmarks/page_picture.py --run runs/cpu` with playwright and a Chromium (FTLIB_CHROMIUM, or the one in PATH).
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from ftlib.pipeline.stage import Run
from ftlib.pipeline.stages import load_dataset
from ftlib.runtime.files import repository

WIDTH, SCALE, COLORS = 480, 1.5, 64  # of a phone held upright; few colors keep the file small


def serve(run: Path) -> tuple[subprocess.Popen, str]:
    """Start `ftlib serve` on a free port; return the process and the page's address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "ftlib", "serve", "--run", str(run), "--port", str(port)]
    process, address = subprocess.Popen(command, stdout=subprocess.DEVNULL), f"http://127.0.0.1:{port}/"
    for _ in range(1200):
        try:
            urllib.request.urlopen(address, timeout=1).close()  # noqa: S310, our own server
            return process, address
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
    raise SystemExit("the page did not start; run `ftlib serve` to see why")


def picture(address: str, title: str) -> bytes:
    """Ask for `title` on the page and return what it shows as PNG."""
    chromium = os.environ.get("FTLIB_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(locale="en-US", viewport={"width": WIDTH, "height": 900}, device_scale_factor=SCALE)
        page.set_default_timeout(180_000)
        page.goto(address)
        page.locator("#ask").wait_for()
        page.locator("#title textarea, #title input").first.fill(title)
        page.locator("#ask").click()
        page.locator("#vote-left").wait_for()
        page.wait_for_timeout(1000)
        top, end = (page.locator(each).first.bounding_box() for each in ("#ask", "#sources"))
        clip = {"x": 0, "y": top["y"] - 12, "width": WIDTH, "height": end["y"] + end["height"] - top["y"] + 24}
        shown = page.screenshot(full_page=True, clip=clip)
        browser.close()
        return shown


def main() -> None:
    """Write docs/demo_page.png."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of a run with the stages merged and index")
    run = parser.parse_args().run
    title = load_dataset(Run(run))["test"][0]["title"]
    process, address = serve(run)
    try:
        shown = picture(address, title)
    finally:
        process.terminate()
    path = repository() / "docs" / "demo_page.png"
    Image.open(io.BytesIO(shown)).convert("RGB").quantize(COLORS).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
