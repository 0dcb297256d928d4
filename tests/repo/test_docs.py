"""Pages that are rendered from code say what the code does."""

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
try:
    import render_docs
finally:
    sys.path.pop(0)


@pytest.mark.parametrize("page", render_docs.PAGES, ids=lambda page: page.stem)
def test_generated_page_is_current(page):
    """An option or a default that changed would live on in the docs: run `make docs`."""
    assert (ROOT / page).read_text(encoding="utf-8") == render_docs.PAGES[page]()


def test_every_command_of_the_parser_is_documented():
    """A command that is nowhere described is not used."""
    page = render_docs.render_cli()
    names = [name for name, _, _ in render_docs.leaf_commands(render_docs.build_parser(), "ftlib")]
    assert len(names) > 20 and all(f"\n## {name}\n" in page for name in names)


def test_comments_of_the_profiles_become_reasons():
    """A value without its reason is changed by the next person who passes."""
    value, reason = render_docs.annotated("gpu")["train.learning_rate"]
    assert value == "3.0e-4" and "1e-3" in reason
    assert render_docs.annotated("default")["data.clean.tags"] == ("true", "<b>bold</b> -> bold")
    assert render_docs.annotated("seed")["data.clean"][0] == "false"


def test_readmes_answers_are_those_of_notebook_06():
    """A new recording changes the answers, and the README would go on quoting the old ones."""
    readme = (
        (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Before and after\n")[2].partition("\n## ")[0]
    )
    quoted = re.sub(r"^> ?", "", "\n".join(re.findall(r"^>.*", readme, re.M)), flags=re.M)
    answers = [re.sub(r"\*\*.+?\*\*:", "", answer).strip("… \n") for answer in quoted.split("\n\n")]
    notebook = json.loads((ROOT / "notebooks" / "06_ask_the_model.ipynb").read_text(encoding="utf-8"))
    outputs = [output.get("text", []) for cell in notebook["cells"] for output in cell.get("outputs", [])]
    printed = " ".join("".join(line for output in outputs for line in output).split())
    assert len(answers) == 2 and all(" ".join(answer.split()) in printed for answer in answers)
