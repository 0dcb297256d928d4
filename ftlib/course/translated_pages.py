"""Keep a translated page in step with its English source, section by section.

Each section of the translation starts with `<!-- section: HEADING HASH -->`: the English heading and a hash of the English
section's text as it was when it was translated. `<!-- left out: HEADING, HEADING -->` names those that the page has not.
`problems(source, translation)` returns what no longer fits, each with what to do; a test runs it.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

OPENING = "opening"  # the name of the text before the first second-level heading
SECTION = re.compile(r"<!-- section: (.+?) ([0-9a-f]{8}) -->")
LEFT_OUT = re.compile(r"<!-- left out: (.+?) -->")
# blocks that a command fills in: they change without a new sentence
GENERATED = re.compile(r"<!-- (headline|speed|course map): .*?<!-- /\1 -->", re.DOTALL)


def hashes(page: str) -> dict[str, str]:
    """Return {heading: hash} of a page's second-level sections, without its generated blocks and line breaks."""
    parts = re.split(r"(?m)^## (.+)$", GENERATED.sub("", page))
    named = [(OPENING, parts[0]), *zip(parts[1::2], parts[2::2], strict=True)]
    return {name: hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:8] for name, text in named}


def problems(source: Path, translation: Path) -> list[str]:
    """Return what is missing, stale or orphaned in a translation, each with what to do."""
    found, page = hashes(source.read_text(encoding="utf-8")), translation.read_text(encoding="utf-8")
    translated = dict(SECTION.findall(page))
    left_out = {name.strip() for names in LEFT_OUT.findall(page) for name in names.split(",")}
    messages = []
    for name, current in found.items():
        mark = f"<!-- section: {name} {current} -->"
        if name not in translated and name not in left_out:
            messages.append(f"{source.name}, {name}: not in {translation.name}; translate it and put {mark} before it")
        elif name in translated and translated[name] != current:
            messages.append(f"{source.name}, {name}: changed; update {translation.name}, then write {mark}")
    gone = sorted((translated.keys() | left_out) - found.keys())
    return messages + [f"{translation.name}: {source.name} has no section {name}; remove it" for name in gone]
