"""Printed texts have a translation: every literal, with the same placeholders, and no entry without a literal."""

import ast
import re
import string
from pathlib import Path

import pytest
import yaml

from ftlib.runtime import language

ROOT = Path(__file__).parents[2]
STUDY = "studies/ablations.yaml"  # notebook 05 shows what was expected of each run, and its lesson
CALLS = {"tr": 1, "tr_n": 2, "to_translate": 1}  # how many of the first arguments are texts
FREE = {"tr"}  # may get a variable: a text that was to_translate elsewhere


def literals() -> tuple[dict[str, str], list[str]]:
    """Return {text: where} of all literals in the code, and the calls that no translation can be found for."""
    # a profile describes itself in its file, and `profile_description` translates it
    profiles = sorted((ROOT / "ftlib" / "config" / "profiles").glob("*.yaml"))
    described = {path: re.search(r"(?m)^description: (.+)$", path.read_text(encoding="utf-8")) for path in profiles}
    texts, faults = {match[1]: path.name for path, match in described.items() if match}, []
    for path in sorted((ROOT / "ftlib").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node.func, "id", None) if isinstance(node, ast.Call) else None
            for argument in node.args[: CALLS[name]] if name in CALLS else ():
                where = f"{path.relative_to(ROOT)}:{node.lineno}"
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    texts[argument.value] = where
                elif isinstance(argument, ast.JoinedStr | ast.BinOp) or name not in FREE:
                    faults.append(f"{where}: {name} takes a literal, with placeholders in place of an f-string")
    for run in yaml.safe_load((ROOT / STUDY).read_text(encoding="utf-8"))["runs"]:
        if "expected" in run:  # the first run is what the others are compared with
            texts |= {" ".join(run[key].split()): STUDY for key in ("expected", "lesson")}
    return texts, faults


def placeholders(text: str) -> list[tuple[str, str]]:
    return sorted((name, spec or "") for _, name, spec, _ in string.Formatter().parse(text) if name is not None)


def test_no_literal_is_assembled_before_it_is_translated():
    """An f-string would be looked up with its values filled in, and never be found."""
    assert literals()[1] == []


@pytest.mark.parametrize("name", [name for name in language.LANGUAGES if name != "en"])
def test_every_literal_has_a_translation_with_the_same_placeholders(name):
    """A missing entry prints English in the middle of a Portuguese notebook; another placeholder raises there."""
    entries, texts = language.catalog(name), literals()[0]
    missing = [f"{where}: {text!r}" for text, where in texts.items() if text not in entries]
    other = [text for text in texts if text in entries and placeholders(text) != placeholders(entries[text])]
    assert missing == []
    assert other == []
    assert [text for text in entries if text not in texts] == []  # entries that no code prints


def test_using_decides_over_the_environment(monkeypatch):
    """A command with --lang must not print what the user's shell asks for."""
    monkeypatch.setenv("FTLIB_LANGUAGE", "pt-BR")
    assert language.current() == "pt-BR"
    with language.using("en"):
        assert language.current() == "en"
    monkeypatch.setenv("FTLIB_LANGUAGE", "tlh")
    assert language.current() == "en"
    with pytest.raises(ValueError, match="allowed are en, pt-BR"), language.using("tlh"):
        pass


def test_a_count_selects_the_text():
    """'1 rows' reads like a fault."""
    assert [language.tr_n("{count} cup", "{count:,} cups", n) for n in (0, 1, 1200)] == [
        "0 cups",
        "1 cup",
        "1,200 cups",
    ]
