"""Render docs/cli.md from the argument parser and docs/configuration.md from the schema and the profiles.

Why: an option that is renamed and a default that is changed would otherwise live on in the docs. `tests/repo/test_docs.py`
renders both pages again and compares. The pages do not use argparse's layout, which varies with Python and the terminal.
How: python benchmarks/render_docs.py (or `make docs`)
"""

from __future__ import annotations

import argparse
import math
import re
from importlib import resources
from pathlib import Path

from ftlib.cli.entry import build_parser
from ftlib.config.settings import PROFILES, Config, profile_description
from ftlib.runtime.language import using

ROOT = Path(__file__).resolve().parent.parent
NOTE = "<!-- written by benchmarks/render_docs.py, do not edit by hand -->"
COMMON = ("--profile", "--data", "--run", "--set")
VARIABLES = {
    "FTLIB_PROFILE": "the profile, if `--profile` is not given",
    "FTLIB_<SECTION>__<KEY>": "any setting, for example `FTLIB_TRAIN__LEARNING_RATE=3e-4`",
    "FTLIB_RUNS": "the folder of the runs (default: `runs/` in the repository, else in the current folder)",
    "FTLIB_CACHE": "the folder of converted base models (default: `ftlib` in the user's cache)",
    "FTLIB_GPU_MEMORY_GIB": "limit on the GPU memory that ftlib uses",
    "FTLIB_DETERMINISTIC": "`1`: only kernels that return the same bits in every run",
    "FTLIB_AUTO_BATCH": "`1`: as `--auto-batch`",
    "FTLIB_ALLOWED_HOSTS": "host names under which `ftlib serve` answers, with commas between them",
}


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a Markdown table, without padding."""
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    return [*lines, *(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)]


def render_cli() -> str:
    """Render docs/cli.md: every command with its arguments."""
    parser = build_parser()
    commands = list(leaf_commands(parser, "ftlib"))
    common = {name: action for _, _, leaf in commands for name, action in options(leaf).items() if name in COMMON}
    lines = ["# Command line", "", NOTE, ""]
    lines += ["`python -m ftlib` is the same as `ftlib`. Add `--help` to a command to print this in the terminal.", ""]
    lines += table(["command", "what it does"], [[f"[`{name}`](#{anchor(name)})", what] for name, what, _ in commands])
    lines += ["", "## Common options", "", "Of the commands that say so below.", ""]
    lines += table(
        ["option", "meaning"],
        [[syntax(common[name]), plain(common[name].help or "")] for name in COMMON],
    )
    lines += ["", "## Environment variables", ""]
    lines += table(["variable", "meaning"], [[f"`{name}`", what] for name, what in VARIABLES.items()])
    for name, what, leaf in commands:
        own = [action for action in leaf._actions if "--help" not in action.option_strings]
        takes_common = set(COMMON) <= set(options(leaf))
        own = [action for action in own if not (takes_common and set(action.option_strings) & set(COMMON))]
        lines += ["", f"## {name}", "", f"{what[:1].upper()}{what[1:]}.", ""]
        lines += table(["argument", "meaning"], [[syntax(action), meaning(action)] for action in own]) if own else []
        if takes_common:
            lines += [*([""] if own else []), "Also takes the [common options](#common-options)."]
        elif not own:
            lines += ["Takes no arguments."]
    return "\n".join(line for n, line in enumerate(lines) if line or n == 0 or lines[n - 1]) + "\n"


def leaf_commands(parser: argparse.ArgumentParser, prefix: str):
    """Yield (full name, help, parser) of every command that runs something."""
    for group in parser._actions:
        if isinstance(group, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in group._choices_actions}
            for name, sub in group.choices.items():
                inner = list(leaf_commands(sub, f"{prefix} {name}"))
                yield from inner or [(f"{prefix} {name}", helps[name], sub)]


def options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {name: action for action in parser._actions for name in action.option_strings}


def anchor(heading: str) -> str:
    """The fragment that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def syntax(action: argparse.Action) -> str:
    if action.choices:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    else:
        value = str(action.metavar or action.dest.upper())
    if not action.option_strings:
        return f"`{value}`" + (" ..." if action.nargs in ("+", "*") else "")
    takes_value = action.nargs != 0
    return f"`{action.option_strings[0]}{' ' + value if takes_value else ''}`"


def meaning(action: argparse.Action) -> str:
    text = action.help or ""
    shown = action.default not in (None, False, [], "", argparse.SUPPRESS) and "default" not in text
    default = " ".join(action.default) if isinstance(action.default, list) else action.default
    return plain(text) + (f"{' ' if text else ''}(default: {default})" if shown and action.option_strings else "")


def render_configuration() -> str:
    """Render docs/configuration.md: every key with type, default, profiles and reasons."""
    schema = Config.model_json_schema()
    default, profiles = annotated("default"), {name: annotated(name) for name in PROFILES}
    lines = ["# Configuration", "", NOTE, ""]
    lines += [
        "A profile lies over `default.yaml`; the environment (`FTLIB_TRAIN__LEARNING_RATE=3e-4`) lies over",
        "the profile; `--set train.learning_rate=3e-4` lies over the environment. A key that does not exist,",
        "a value of another type and a combination that cannot work are refused before any work is done.",
        "`ftlib config` prints the resolved settings, each with its provenance. Sizes that you did not set",
        "shrink to the data.",
        "",
    ]
    lines += table(["profile", "what it is for"], [[f"`{name}`", profile_description(name)] for name in PROFILES])
    for section, values in schema["properties"].items():
        lines += ["", f"## {section}", ""]
        rows = []
        for key, field in fields(schema, values, section):
            value, reason = default[key]
            cells = []
            for name, settings in profiles.items():
                changed = settings.get(key) or settings.get(key.rpartition(".")[0])  # data.clean sets all its steps
                if changed:
                    cells.append(f"`{name}`: {changed[0]}" + (f" ({plain(changed[1])})" if changed[1] else ""))
            rows.append([f"`{key}`", allowed(field), f"`{value}`", "<br>".join(cells), plain(reason)])
        lines += table(["key", "allowed", "default", "profiles", "meaning and reason"], rows)
    return "\n".join(lines) + "\n"


def fields(schema: dict, field: dict, key: str):
    """Yield (dotted key, JSON schema) of every setting below a section."""
    if "$ref" not in field:
        yield key, field
        return
    for name, inner in schema["$defs"][field["$ref"].rpartition("/")[2]]["properties"].items():
        yield from fields(schema, inner, f"{key}.{name}")


TYPES = {"integer": "integer", "number": "number", "boolean": "true, false", "string": "text", "null": "null"}
BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


def allowed(field: dict) -> str:
    """The values that a setting takes, from its JSON schema."""
    if "anyOf" in field:
        return " or ".join(map(allowed, field["anyOf"]))
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "array":
        if "prefixItems" in field:
            return f"[{', '.join(map(allowed, field['prefixItems']))}]"
        return f"list of {allowed(field['items'])}"
    limits = [f"{sign} {number(field[name])}" for name, sign in BOUNDS.items() if name in field]
    return " ".join([TYPES[field["type"]], ", ".join(limits)]).strip()


def number(value: float) -> str:
    """Format a bound: 0 for 0.0, and a power of two as one."""
    if value > 2**16 and value == 2 ** round(math.log2(value)):
        return f"2^{round(math.log2(value))}"
    return f"{value:g}"


def plain(text: str) -> str:
    """Escape tags and entities, so that Markdown shows them."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def annotated(profile: str) -> dict[str, tuple[str, str]]:
    """{dotted key: (value as written, comment beside or above it)} of a profile's YAML file."""
    text = (resources.files("ftlib.config.profiles") / f"{profile}.yaml").read_text(encoding="utf-8")
    found: dict[str, tuple[str, str]] = {}
    path: list[tuple[int, str]] = []
    above: list[str] = []
    for line in text.splitlines():
        match = re.fullmatch(r"( *)(\w+):(?: +([^#]\S*(?: [^#\s]\S*)*))?(?: +# (.*))?", line.rstrip())
        if not match:
            comment = re.fullmatch(r" +# (.*)", line)  # a comment in the first column speaks of the file
            above = [*above, comment[1]] if comment else []
            continue
        indent, name, value, comment = len(match[1]), match[2], match[3], match[4]
        path = [*(part for part in path if part[0] < indent), (indent, name)]
        if value is not None:
            found[".".join(part for _, part in path)] = (value.strip('"'), " ".join([*above, comment or ""]).strip())
        elif comment:
            found[".".join(part for _, part in path)] = ("", comment)
        above = []
    return found


PAGES = {Path("docs") / "cli.md": render_cli, Path("docs") / "configuration.md": render_configuration}


if __name__ == "__main__":
    with using("en"):
        for page, render in PAGES.items():
            (ROOT / page).write_text(render(), encoding="utf-8")
            print(f"{page}: written")
