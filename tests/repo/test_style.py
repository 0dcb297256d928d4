"""The static gate for language: phrases of the project's old dialect that must not come back.

A check finds phrases, not bad sentences; CONTRIBUTING.md says how we write. Of notebooks the cells are checked, not the outputs.
"""

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATTERNS = (
    r"\bmend(s|ed|ing)?\b",
    r"\bb(ears?|orne) (it |them |this |that )?out\b",
    r"made anew",
    r"slips? of the finger",
    r"by heart",
    r"made-up",
    r"\bgoes on\b",
    r"what gives way",
    r"\bopen book\b",
    r"\bbooksellers?\b",
)
DIALECT = re.compile("|".join(PATTERNS), re.IGNORECASE)
SUFFIXES = (".py", ".md", ".yaml", ".yml", ".toml", ".jinja", ".cff", ".ipynb")
EXEMPT = (
    "tests/repo/test_style.py",  # the list itself
    "ftlib/data/sample/words/",  # words of products
    "ftlib/prompts/templates.py",  # models are trained on these questions
)


def files() -> list[Path]:
    """Tracked text files, and the scripts of .ci/, which have no suffix."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        return []
    names = [
        name for name in listed.stdout.split("\0") if name.endswith(SUFFIXES) or name.startswith((".ci/", "Makefile"))
    ]
    return [ROOT / name for name in names if not name.startswith(EXEMPT) and (ROOT / name).exists()]


def hits(path: Path) -> list[str]:
    """'line number: line' of every phrase; a phrase may run over the end of a line."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    joined = re.sub(r"\n[ #>*|-]*", lambda gap: " " * len(gap[0]), text)
    return [f"{text.count(chr(10), 0, match.start()) + 1}: {match[0]}" for match in DIALECT.finditer(joined)]


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_dialect(path):
    """A reader has to translate a private dialect back into the terms of the field."""
    assert hits(path) == []


WRAPPED = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
LONGEST = 100
NOT_PROSE = (
    re.compile(r"^<!-- ([\w ]+): .*?^<!-- /\1 -->$", re.DOTALL | re.MULTILINE),  # rendered by a script
    re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE),
)


@pytest.mark.parametrize("path", WRAPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_markdown_is_wrapped(path):
    """A paragraph on one line makes every diff of it unreadable."""
    text = path.read_text(encoding="utf-8")
    for pattern in NOT_PROSE:
        text = pattern.sub("", text)
    lines = [line for line in text.splitlines() if len(line) > LONGEST and not line.startswith(("|", "!["))]
    assert [line for line in lines if " " in line.strip()] == []
