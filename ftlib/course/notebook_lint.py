"""Lint committed notebooks: out of order, failed, stale, or with traces of one machine.

Outputs in a repository are read as facts, so one that was produced by other code, by cells run twice, or that shows a
home folder is refused. `problems(path)` returns a list of sentences; a test runs it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from ftlib.course.record import PROFILE
from ftlib.reporting import notebook_files

LARGEST_KB = 600
ABSOLUTE = re.compile(r"(?<![\w.:/~-])/(?:home|root|Users|tmp|var|mnt|opt|srv|private)/[\w.-]+|[A-Z]:\\\\?Users\\")
SECRET = re.compile(
    r"hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{30,}|sk-[A-Za-z0-9_-]{20,}|AKIA[A-Z0-9]{16}|xox[bap]-[\w-]{10,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY|(?i:(?:api[_-]?key|token|password|secret)[\"']?\s*[:=]\s*[\"'][\w+/=-]{16,})"
)


def problems(path: Path) -> list[str]:
    """Return what is wrong with a recorded notebook, each with what to do."""
    notebook, messages = notebook_files.read(path), []
    command = f"run `ftlib course record {path.stem[:2]}`"
    recorded = notebook.metadata.get("recorded")
    if recorded is None:
        return [f"{path.name} has no stamp: {command}"]
    if recorded["source"] != notebook_files.source_hash(notebook):
        messages.append(f"{path.name} was edited after its outputs were recorded: {command}")
    if recorded["profile"] != PROFILE:
        messages.append(f"{path.name} was recorded at the {recorded['profile']} profile, not {PROFILE}: {command}")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        messages.append(f"{path.name}: its cells were not run once each from top to bottom: {command}")
    outputs = [output for cell in code for output in cell.outputs]
    if any(output.output_type == "error" for output in outputs):
        messages.append(f"{path.name} shows an error: fix it and {command}")
    if "widgets" in notebook.metadata or any("widget-view" in key for o in outputs for key in o.get("data", {})):
        messages.append(f"{path.name} holds widget state, which GitHub refuses to show: {command}")
    # pictures are long strings of random letters, in which anything can be found
    texts = [o["text"] if o.output_type == "stream" else json.dumps(_without_pictures(o)) for o in outputs]
    for name, pattern in (("an absolute path", ABSOLUTE), ("what looks like a secret", SECRET)):
        for text in (*texts, *(cell.source for cell in notebook.cells)):
            hit = pattern.search(text)
            if hit:
                messages.append(f"{path.name} holds {name} ({hit[0][:12]}…): take it out and {command}")
    kilobytes = path.stat().st_size / 1000
    if kilobytes > LARGEST_KB:
        messages.append(f"{path.name} has {kilobytes:.0f} KB, allowed are {LARGEST_KB}: print less")
    return messages


def _without_pictures(output) -> dict:
    return {key: text for key, text in output.get("data", {}).items() if not key.startswith("image/")}
