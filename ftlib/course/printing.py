"""Print an HTML page to a PDF with a Chromium, Chrome or Edge that is installed; without one, say how to do it by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ftlib.runtime.console import log

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "microsoft-edge",
)
INSTALLED = (  # where macOS and Windows keep them, outside of PATH
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
PRINT_SECONDS = 180  # patience with the browser


def find_browser() -> str | None:
    """Return the program of a Chromium, Chrome or Edge (FTLIB_CHROMIUM names another one), or None."""
    if named := os.environ.get("FTLIB_CHROMIUM"):
        return named
    on_path = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    return on_path or next((path for path in INSTALLED if Path(path).exists()), None)


def print_pdf(page: Path) -> Path | None:
    """Print a page to a PDF beside it with a headless Chromium; without one, log what to do and return None."""
    browser, pdf = find_browser(), page.with_suffix(".pdf")
    by_hand = f"open {page} in a browser and print it to a PDF (Ctrl+P, Save as PDF)"
    if browser is None:
        log.info(f"no PDF: no Chromium was found; {by_hand}, or install one, or set FTLIB_CHROMIUM to its path")
        return None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:  # a helper process may still write there
        command = [browser, "--headless", "--disable-gpu", "--no-sandbox", f"--user-data-dir={profile}"]
        command += ["--no-pdf-header-footer", f"--print-to-pdf={pdf.absolute()}", page.absolute().as_uri()]
        pdf.unlink(missing_ok=True)
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PRINT_SECONDS)
            reason = " ".join(done.stderr.split())[-200:]
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = str(error)[:200]
    if not pdf.exists():
        log.info(f"no PDF: {browser} failed ({reason}); {by_hand}")
        return None
    return pdf
