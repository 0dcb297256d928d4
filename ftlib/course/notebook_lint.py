"""Lint committed notebooks: out of order, failed, stale, or with traces of one machine.

Outputs in a repository are read as facts, so one that was produced by other code, by cells run twice, or that shows a
home folder is refused. A measured number in the text is refused too: the next recording would contradict it.
`problems(path)` and `typed_numbers(path)` return lists of sentences; tests run them.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path

from ftlib.course.record import PROFILE
from ftlib.reporting import notebook_files

LARGEST_KB = 600
ABSOLUTE = re.compile(r"(?<![\w.:/~-])/(?:home|root|Users|tmp|var|mnt|opt|srv|private)/[\w.-]+|[A-Z]:\\\\?Users\\")
SECRET = re.compile(
    r"hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{30,}|sk-[A-Za-z0-9_-]{20,}|AKIA[A-Z0-9]{16}|xox[bap]-[\w-]{10,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY|(?i:(?:api[_-]?key|token|password|secret)[\"']?\s*[:=]\s*[\"'][\w+/=-]{16,})"
)
WORKED = "worked-example"  # tag of a cell whose numbers the reader checks by hand
GENERATED = re.compile(r"<!-- ([\w ]+): .*?<!-- /\1 -->", re.DOTALL)
NOT_PROSE = re.compile(
    r"```.*?```|`[^`]*`|\$[^$]*\$|\]\([^)]*\)|<[^>]+>|^#+ .*$|https?://\S+", re.DOTALL | re.MULTILINE
)
NUMBER = re.compile(r"(?<![\w.,:-])\d[\d,]*(?:\.\d+)?(?![\w.,]*\d)")
YEARS = range(1950, 2050)


def problems(path: Path) -> list[str]:
    """Return what is wrong with a recorded notebook, each with what to do."""
    notebook, messages = notebook_files.read(path), []
    command = f"run `{notebook_files.record_command(notebook, path.stem)}`"
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


def typed_numbers(path: Path, root: Path = notebook_files.ROOT) -> list[str]:
    """Return the measured numbers that stand in a notebook's text: its outputs or results/ hold the same ones.

    A number counts as measured if it has a decimal point and two significant digits (three, to be looked up in results/), or
    is an integer above 100. Exempt are years, code, links, headings, references to sections, generated blocks, and cells tagged
    `worked-example`.
    """
    notebook, messages = notebook_files.read(path), []
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = _numbers(
        "\n".join(o.get("text") or json.dumps(_without_pictures(o), ensure_ascii=False) for o in outputs)
    )
    recorded, sections = _recorded_numbers(root), _sections(root)
    for cell in notebook.cells:
        if cell.cell_type != "markdown" or WORKED in cell.metadata.get("tags", []):
            continue
        for number in sorted(_numbers(NOT_PROSE.sub(" ", GENERATED.sub(" ", cell.source))) - sections):
            digits = len(number.replace(".", "").lstrip("0"))
            source = "an output" if number in printed else "results/" if digits > 2 and number in recorded else ""
            if source:
                messages.append(
                    f"{path.name}, cell {cell.id}: {number} is also in {source}; compute the sentence, or tag the cell {WORKED}"
                )
    return messages


def _numbers(text: str) -> set[str]:
    """Return the numbers of a text that look measured, without separators."""
    found = {match.replace(",", "") for match in NUMBER.findall(text)}
    return {number for number in found if _looks_measured(number)}


def _looks_measured(number: str) -> bool:
    if "." in number:
        return len(number.replace(".", "").lstrip("0")) > 1
    return int(number) > 100 and int(number) not in YEARS


@lru_cache
def _recorded_numbers(root: Path) -> frozenset[str]:
    """Return the values of results/*.json as they would be written: with one to three decimals."""
    numbers: set[str] = set()

    def collect(value) -> None:
        if isinstance(value, dict):
            for part in value.values():
                collect(part)
        elif isinstance(value, list):
            for part in value:
                collect(part)
        elif isinstance(value, float):
            numbers.update(f"{abs(value):.{decimals}f}" for decimals in (2, 3))

    for file in sorted((root / "results").glob("headline*.json")) + sorted(
        (root / "results").glob("confirmation.json")
    ):
        collect(json.loads(file.read_text(encoding="utf-8")))
    return frozenset(numbers)


@lru_cache
def _sections(root: Path) -> frozenset[str]:
    """Return the numbers of all sections and exercises, which the text may refer to."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in notebook_files.notebook_paths(root))
    return frozenset(re.findall(r"#+ (?:Exercise )?(\d\.\d+)", text))
