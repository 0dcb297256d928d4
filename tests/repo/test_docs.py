"""Pages that are rendered from code say what the code does."""

import json
import re
import sys
from pathlib import Path

import pytest
import yaml

from ftlib.course import exercises

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


@pytest.mark.parametrize("page", ["docs/TEACHING.md", "ftlib/course/instructor.yaml"])
def test_sections_that_a_teacher_is_sent_to_exist(page):
    """A section that moved sends a teacher to the wrong cell in front of the class."""
    sources = [
        "".join(cell["source"])
        for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
    ]
    sections = set(re.findall(r"^#+ (?:Exercise )?(\d\.\d+)\b", "\n".join(sources), re.MULTILINE))
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w.])([1-6]\.\d{1,2})(?![\w.]\d|\d)", text))
    assert len(named) > 10 and named - sections == set()


def test_every_exercise_has_its_rubric():
    """An instructor's copy would stop at an exercise that is missing here."""
    notes = yaml.safe_load((ROOT / "ftlib" / "course" / "instructor.yaml").read_text(encoding="utf-8"))
    names = {name[3:].replace("_", ".") for name in dir(exercises) if re.fullmatch(r"ex_\d_\d", name)}
    assert notes.keys() == names
    for name, note in notes.items():
        assert sum(note["rubric"].values()) == note["points"] and note["errors"], name


def test_every_paper_of_the_notebooks_is_in_the_bibliography():
    """A reader who remembers a paper and not the notebook looks here, with the notebooks that link it."""
    linked: dict[str, set[str]] = {}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "markdown":
                found = re.findall(r"\]\((https://(?:arxiv|doi|aclanthology)\.org/[^)]+)\)", "".join(cell["source"]))
                for address in found:
                    linked.setdefault(address, set()).add(path.stem[:2])
    rows = re.findall(
        r"^\| \[[^]]+\]\(([^)]+)\)[^|]*\| ([\d, ]+) \|",
        (ROOT / "docs" / "bibliography.md").read_text(encoding="utf-8"),
        re.M,
    )
    assert len(linked) >= 10 and {address: set(where.split(", ")) for address, where in rows} == linked
