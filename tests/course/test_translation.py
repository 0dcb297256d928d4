"""A translated notebook that drifts from its source tells half of the class something else: each kind of drift is found."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from ftlib.course import translation
from ftlib.course.translation import english_hash, problems, read_blocks, write
from ftlib.reporting import notebook_files
from ftlib.reporting.notebook_files import ROOT, TAKES, CourseError

STEM, LANGUAGE = "01_page", "pt-BR"
TEXT = """## 1.1 A section

Read `path` with [the guide](../docs/guide.md): 12 rows.

| a | b |
|---|---|
| 1 | 2 |

- a point

<details><summary>Answer</summary>

Yes.

```python
x = 1
```

</details>"""
TRANSLATED = (
    TEXT.replace("A section", "Uma seção")
    .replace("Read", "Leia")
    .replace("the guide", "o guia")
    .replace("with", "com")
    .replace("rows", "linhas")
    .replace("a point", "um ponto")
    .replace("Answer", "Resposta")
    .replace("Yes.", "Sim.")
)


@pytest.fixture
def tree(tmp_path):
    """A repository with one notebook, its translation, and what was rendered from it."""
    head = f"# 1. A page\n\n{notebook_files.badge(STEM, 'OWNER/REPOSITORY', 'main')}"
    plan = f"**You will learn**\n\n- a thing\n\n{TAKES[0]}\n\n- `cpu`: 3 s\n\n{TAKES[1]}"
    set_up = 'REPOSITORY, REF = "https://github.com/OWNER/REPOSITORY", "main"\nLANGUAGE = "en"\n'
    cells = [
        new_markdown_cell(head, id="01-00"),
        new_markdown_cell(plan, id="01-01"),
        new_code_cell(set_up, id="01-02"),
        new_markdown_cell(TEXT, id="01-03"),
        new_code_cell("1 + 1", id="01-04", execution_count=1),
    ]
    (tmp_path / "notebooks").mkdir()
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / f"{STEM}.ipynb")
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    plan_pt = f"**Você vai aprender**\n\n- uma coisa\n\n{TAKES[0]}\n{TAKES[1]}"
    texts = {"01-00": head.replace("A page", "Uma página"), "01-01": plan_pt, "01-03": TRANSLATED}
    blocks = [
        f"<!-- cell: {cell.id} {english_hash(cell.source)} -->\n{texts[cell.id]}\n"
        for cell in cells
        if cell.id in texts
    ]
    source = translation.source_of(tmp_path, STEM, LANGUAGE)
    source.parent.mkdir(parents=True)
    source.write_text("\n".join(blocks), encoding="utf-8")
    write(LANGUAGE, root=tmp_path)
    return tmp_path


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def edit_source(tree, old, new):
    edit(translation.source_of(tree, STEM, LANGUAGE), old, new)


def edit_english(tree, old, new):
    edit(tree / "notebooks" / f"{STEM}.ipynb", old, new)


def edit_rendered(tree, old, new):
    edit(translation.translated_path(tree, STEM, LANGUAGE), old, new)


DRIFT = {  # {what went wrong: (change, words of the message)}
    "the English text changed": (lambda tree: edit_english(tree, "12 rows", "12 products"), "--accept 01-03"),
    "a new English cell": (lambda tree: edit_english(tree, '"id": "01-03"', '"id": "01-05"'), "cell 01-05: not translated"),
    "a cell that is gone": (lambda tree: edit_english(tree, '"id": "01-03"', '"id": "01-05"'), "no such cell"),
    "still English": (lambda tree: edit_source(tree, TRANSLATED, TEXT), "still English"),
    "a heading of another level": (lambda tree: edit_source(tree, "## 1.1 Uma", "### 1.1 Uma"), "other heading levels"),
    "another code span": (lambda tree: edit_source(tree, "`path`", "`caminho`"), "other code spans"),
    "another link": (lambda tree: edit_source(tree, "guide.md)", "guia.md)"), "other links"),
    "a lost table row": (lambda tree: edit_source(tree, "| 1 | 2 |\n", ""), "other table rows"),
    "a lost point": (lambda tree: edit_source(tree, "- um ponto", "um ponto"), "other list items"),
    "a fold that does not close": (lambda tree: edit_source(tree, "</details>", ""), "other folded parts"),
    "another number": (lambda tree: edit_source(tree, "12 linhas", "21 linhas"), "other numbers"),
    "other fenced code": (lambda tree: edit_source(tree, "x = 1", "y = 1"), "other fenced code"),
    "text edited in the rendered notebook": (lambda tree: edit_rendered(tree, "Leia", "Lê"), "not what its sources render"),
    "code edited in the rendered notebook": (lambda tree: edit_rendered(tree, "1 + 1", "1 + 2"), "not what its sources render"),
    "a rendered notebook that is gone": (
        lambda tree: translation.translated_path(tree, STEM, LANGUAGE).unlink(),
        "run `ftlib course translate`",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", DRIFT)
def test_each_kind_of_drift_is_found(tree, kind):
    """A check that misses one kind lets exactly that one grow."""
    assert problems(STEM, LANGUAGE, tree) == []
    change, words = DRIFT[kind]
    change(tree)
    assert any(words in message for message in problems(STEM, LANGUAGE, tree)), problems(STEM, LANGUAGE, tree)


def test_two_blocks_of_one_cell_are_refused(tree):
    """The one that is shown would not be the one that was corrected."""
    source = translation.source_of(tree, STEM, LANGUAGE)
    source.write_text(source.read_text(encoding="utf-8") * 2, encoding="utf-8")
    with pytest.raises(CourseError, match="two blocks of cell 01-00"):
        read_blocks(source)


def test_the_rendered_notebook_differs_in_text_badge_links_and_one_line(tree):
    """Other code in the other language would be another course."""
    english = notebook_files.read(tree / "notebooks" / f"{STEM}.ipynb")
    rendered = notebook_files.read(translation.translated_path(tree, STEM, LANGUAGE))
    pairs = [(a, b) for a, b in zip(english.cells, rendered.cells, strict=True) if a.cell_type == "code"]
    assert [a.id for a in english.cells] == [b.id for b in rendered.cells]
    assert all(a.source.replace('LANGUAGE = "en"', 'LANGUAGE = "pt-BR"') == b.source for a, b in pairs)
    text = "\n".join(cell.source for cell in rendered.cells)
    assert "/notebooks/pt-BR/01_page.ipynb" in text and "](../../docs/guide.md)" in text and "Leia" in text


def test_each_notebook_begins_with_a_link_to_the_other(tree):
    """A student who lands on the wrong language on GitHub sees no other way; no source and no hash has to hold the link."""
    english, portuguese = tree / "notebooks" / f"{STEM}.ipynb", translation.translated_path(tree, STEM, LANGUAGE)
    first = [notebook_files.read(path).cells[0].source.splitlines()[0] for path in (english, portuguese)]
    assert first == [
        "[Português](pt-BR/01_page.ipynb) · **English**",
        "[English](../01_page.ipynb) · **Português**",
    ]
    assert notebook_files.title(notebook_files.read(portuguese)) == "1. Uma página"
    assert "Português" not in translation.source_of(tree, STEM, LANGUAGE).read_text(encoding="utf-8")
    before = english.read_bytes(), portuguese.read_bytes()
    write(LANGUAGE, root=tree)
    assert before == (english.read_bytes(), portuguese.read_bytes())
    edit(english, "[Português](pt-BR/01_page.ipynb) · **English**\\n", "")
    assert any("run `ftlib course translate`" in message for message in problems(STEM, LANGUAGE, tree))


def test_outputs_are_those_of_the_translated_notebook(tree):
    """Outputs that are copied from the English notebook are English sentences below Portuguese questions."""
    path = translation.translated_path(tree, STEM, LANGUAGE)
    notebook = notebook_files.read(path)
    assert notebook.cells[4].execution_count is None and "recorded" not in notebook.metadata
    notebook.cells[4].outputs = [new_output("stream", text="dois")]
    notebook.cells[4].execution_count = 2
    notebook.metadata["recorded"] = {"profile": "cpu"}
    notebook_files.write(notebook, path)
    edit_source(tree, "um ponto", "um item")  # the translator improves a sentence
    write(LANGUAGE, root=tree)
    kept = notebook_files.read(path)
    assert problems(STEM, LANGUAGE, tree) == []
    assert kept.cells[4].outputs[0].text == "dois" and kept.metadata["recorded"] == {"profile": "cpu"}
    edit_english(tree, "1 + 1", "1 + 2")
    write(LANGUAGE, root=tree)
    assert notebook_files.read(path).cells[4].outputs == []


def test_new_times_are_no_drift(tree):
    """A recording that measures other times would send the translator to sentences that did not change."""
    edit_english(tree, "- `cpu`: 3 s", "- `cpu`: 4 s")
    write(LANGUAGE, root=tree)
    assert problems(STEM, LANGUAGE, tree) == []


def test_a_block_is_accepted_alone(tree):
    """Accepting all at once would hide the ones that nobody read."""
    edit_english(tree, "12 rows", "12 products")
    edit_english(tree, "a thing", "one thing")
    write(LANGUAGE, accept="01-03", root=tree)
    messages = problems(STEM, LANGUAGE, tree)
    assert len(messages) == 1 and "01-01" in messages[0]
    with pytest.raises(CourseError, match="no translated notebook has a block of this cell"):
        write(LANGUAGE, accept="01-99", root=tree)


def test_an_unknown_language_is_refused(tree):
    """A typo must not make a folder of English notebooks under another name."""
    with pytest.raises(CourseError, match="allowed are pt-BR"):
        write("pt", root=tree)


@pytest.mark.parametrize("path", notebook_files.notebook_paths(), ids=lambda path: path.stem)
def test_the_portuguese_notebooks_are_those_of_today(path):
    """A student who reads Portuguese must not be taught last month's course."""
    assert problems(path.stem, LANGUAGE) == []
