"""The workshop: recordings that can be trusted, badges that agree, pages that hold what the notebooks hold."""

import re
import shutil
import subprocess
import warnings

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from portuguese import english_words

from ftlib.cli import main
from ftlib.course import badges, record, site, student, translation
from ftlib.course.notebook_lint import WORKED, problems, typed_numbers
from ftlib.pipeline.stage import Run
from ftlib.pipeline.stages import expected
from ftlib.reporting import notebook_files
from ftlib.reporting.notebook_files import CourseError
from ftlib.runtime.files import read_json, write_json
from ftlib.runtime.language import LANGUAGES

CODE = "import os\nprint(os.getcwd(), os.listdir())\n6 * 7"


@pytest.fixture
def tree(tmp_path):
    """A repository of one small notebook."""
    head = new_markdown_cell(f"# 1. A page\n\n{notebook_files.badge('01_page', 'OWNER/REPOSITORY', 'main')}")
    plan = new_markdown_cell(
        "**You will learn**\n\n- a thing\n\n**What it takes.** Nothing.\n\n" + "\n".join(notebook_files.TAKES)
    )
    cells = [head, plan, new_markdown_cell("## 1.1 A section\n\nA first sentence. A second."), new_code_cell(CODE)]
    cells += [new_markdown_cell("It is forty-two. Read on."), new_markdown_cell("## Exercises\n\nNone.")]
    (tmp_path / "notebooks").mkdir()
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / "01_page.ipynb")
    shutil.copy(notebook_files.ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "README.md").write_text("\n".join(record.MAP), encoding="utf-8")
    return tmp_path


@pytest.fixture
def page(tree):
    return tree / "notebooks" / "01_page.ipynb"


@pytest.fixture(scope="module")
def stamped(tmp_path_factory):
    """A notebook as a recording leaves it, without having run it."""
    cells = [new_markdown_cell("# 1. A page"), new_code_cell("1 + 1", execution_count=1)]
    cells[1].outputs = [new_output("execute_result", {"text/plain": "2"}, execution_count=1)]
    notebook = new_notebook(cells=cells)
    notebook.metadata["recorded"] = {"source": notebook_files.source_hash(notebook), "profile": "cpu"}
    return notebook


def test_a_recording_is_whole_stamped_and_free_of_this_machine(tree, page):
    """Outputs of unknown origin, or with somebody's folders in them, teach distrust."""
    record.record([], root=tree)
    assert problems(page) == []
    notebook = notebook_files.read(page)
    recorded, cell = notebook.metadata["recorded"], notebook.cells[3]
    assert len(notebook.cells) == 6 and notebook.cells[-1].source.startswith("## Exercises")
    assert cell.outputs[0].text == "empty ['course']\n" and cell.outputs[1].data["text/plain"] == "42"
    assert recorded["profile"] == "cpu" and len(recorded["cell_seconds"]) == 1 and recorded["versions"]["torch"]
    assert notebook_files.times(tree)["cpu"]["01_page"]["peak_memory_mb"]["ram"] > 10
    assert "`cpu`: " in notebook.cells[1].source and "a thing" in (tree / "README.md").read_text(encoding="utf-8")


def test_the_next_reader_is_told_how_long_a_stage_takes(tree):
    """Four minutes without a word look like a crash, in front of a class all the more."""
    run = Run(tree / "runs" / "cpu")
    write_json(run.stage("adapter").path / "manifest.json", {"seconds": 4.4, "device": "a laptop"})
    record.keep_stage_times(tree, "cpu", run, changed=True)
    assert read_json(tree / record.STAGE_TIMES) == {}
    record.keep_stage_times(tree, "cpu", run, changed=False)
    assert read_json(tree / record.STAGE_TIMES) == {"cpu": {"adapter": {"seconds": 4.4, "device": "a laptop"}}}
    assert (
        re.fullmatch(r"; on the sample it took \d+ s on .+", expected("adapter", "cpu"))
        and expected("adapter", "t4") == expected("adapter", "smoke") == ""
    )


def test_a_setting_of_a_measurement_is_shown_without_folders():
    """A newcomer reads the package and version of a weights file as if they were the model's name."""
    entry = {"seconds": 70.0, "peak_memory_mb": {"ram": 2048, "gpu": 1024}, "device": "a GPU"}
    times = {"gpu": {"03": entry | {"note": "model.name=pypi:weights==0.1/Small-1.gguf, lora.r=8"}}}
    assert record.takes("03", times).rstrip().endswith("(a GPU, model.name=Small-1.gguf, lora.r=8)")
    assert record.takes("03", {"gpu": {"03": entry}}).rstrip().endswith("(a GPU)")


def test_another_profile_measures_and_keeps_no_outputs(tree, page):
    """Outputs of the tiny random model, committed by mistake, would be read as results."""
    record.record(["01"], profile="smoke", root=tree)
    assert "recorded" not in notebook_files.read(page).metadata and not notebook_files.read(page).cells[3].outputs
    assert "`smoke`: " in notebook_files.read(page).cells[1].source


def test_a_failing_cell_stops_the_recording_and_keeps_the_old_one(tree, page):
    """A half-recorded notebook in the repository is a broken lesson."""
    from nbclient.exceptions import CellExecutionError

    notebook = notebook_files.read(page)
    notebook.cells[3].source = "1 / 0"
    notebook_files.write(notebook, page)
    before = page.read_bytes()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        record.record([], root=tree)
    assert page.read_bytes() == before


def test_an_unknown_name_is_refused(tree):
    """A typing error must not look like a recording that went well."""
    with pytest.raises(CourseError, match="allowed are 01_page"):
        record.record(["07"], root=tree)


def test_the_stamp_counts_what_is_written_by_hand_and_nothing_else(page):
    """An edited cell must be noticed; a new badge or a new measured time must not make every recording void."""
    notebook = notebook_files.read(page)
    before = notebook_files.source_hash(notebook)
    for cell in notebook.cells[:2]:
        cell.source = notebook_files.with_address(cell.source, "someone/fork", "v9")
    notebook.cells[1].source = notebook_files.between(
        notebook.cells[1].source, notebook_files.TAKES, "\n- `cpu`: 3 min\n"
    )
    assert notebook_files.source_hash(notebook) == before
    notebook.cells[2].source += "!"
    assert notebook_files.source_hash(notebook) != before


def broken(change):
    """A change of a good recording, by its name."""
    return pytest.param(change, id=change.__name__)


def edited(nb):
    nb.cells[1].source = "1 + 2"


def other_profile(nb):
    nb.metadata["recorded"]["profile"] = "smoke"


def no_stamp(nb):
    del nb.metadata["recorded"]


def run_twice(nb):
    nb.cells[1].execution_count = 2


def failed(nb):
    nb.cells[1].outputs = [new_output("error", ename="E", evalue="", traceback=[])]


def widget_state(nb):
    nb.metadata["widgets"] = {}


def widget_view(nb):
    nb.cells[1].outputs[0].data["application/vnd.jupyter.widget-view+json"] = {}


def home_folder(nb):
    nb.cells[1].outputs[0].data["text/plain"] = "saved to /home" + "/ana/runs"


def temporary_folder(nb):
    nb.cells[1].outputs = [new_output("stream", text="see /tmp/x1/log")]


def token(nb):
    nb.cells[1].outputs[0].data["text/plain"] = "hf_" + "a1B2" * 9


def too_large(nb):
    nb.cells[1].outputs[0].data["text/plain"] = "x" * 700_000


BROKEN = {
    edited: "edited after", other_profile: "smoke profile", no_stamp: "no stamp", run_twice: "top to bottom",
    failed: "shows an error", widget_state: "widget state", widget_view: "widget state", home_folder: "an absolute path",
    temporary_folder: "an absolute path", token: "secret", too_large: "701 KB",
}  # fmt: skip


@pytest.mark.parametrize("change", [broken(change) for change in BROKEN])
def test_each_fault_of_a_recording_is_found(stamped, tmp_path, change):
    """A gate that lets one of these through is a gate that nobody needs."""
    path = tmp_path / "01_page.ipynb"
    nbformat.write(stamped, path)
    assert problems(path) == []
    notebook = notebook_files.read(path)
    change(notebook)
    nbformat.write(notebook, path)
    assert BROKEN[change] in " ".join(problems(path))


PATHS = [path for language in LANGUAGES for path in notebook_files.notebook_paths(language=language)]
languages = pytest.mark.parametrize("language", LANGUAGES)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_outputs_in_the_repository_belong_to_the_cells_above_them(path):
    """A reader on GitHub takes outputs for facts."""
    if not any("recorded" in notebook_files.read(each).metadata for each in path.parent.glob("*.ipynb")):
        pytest.skip("no notebook of this language is recorded")
    assert problems(path) == []
    if notebook_files.read(path).metadata["recorded"]["ftlib"] != record.ftlib_hash():
        warnings.warn(f"{path.name} was recorded with other code of ftlib", stacklevel=1)


def test_measured_times_in_notebooks_and_readme_come_from_their_file():
    """ "Takes five minutes" is believed, and a class is planned by it."""
    readme = (notebook_files.ROOT / "README.md").read_text(encoding="utf-8")
    assert notebook_files.between(readme, record.MAP, record.course_map()) == readme
    for path in notebook_files.notebook_paths():
        cell = next(cell for cell in notebook_files.read(path).cells if notebook_files.TAKES[0] in cell.source)
        assert (
            notebook_files.between(cell.source, notebook_files.TAKES, record.takes(path.stem, notebook_files.times()))
            == cell.source
        )


def test_badges_are_rewritten_everywhere_and_twice_is_once(tree, page):
    """A fork whose badges open the original is found out in class."""
    (tree / "README.md").write_text(
        "See " + notebook_files.badge("01_page", "OWNER/REPOSITORY", "main"), encoding="utf-8"
    )
    badges.rewrite("ana/course", "v1.2.0", tree)
    first = [(tree / name).read_bytes() for name in ("README.md", "pyproject.toml")] + [page.read_bytes()]
    assert notebook_files.address(tree) == ("ana/course", "v1.2.0")
    assert (
        all(b"OWNER/REPOSITORY" not in text for text in (first[0], first[2])) and b"ana/course/blob/v1.2.0" in first[2]
    )
    badges.rewrite(root=tree)
    assert first == [(tree / name).read_bytes() for name in ("README.md", "pyproject.toml")] + [page.read_bytes()]


@pytest.mark.parametrize(
    ("remote", "found"),
    [
        ("https://github.com/ana/curso.git", "ana/curso"),
        ("git@github.com:ana/curso-2.0.git", "ana/curso-2.0"),
        ("ssh://git@github.com/ana/curso/", "ana/curso"),
        ("https://example.org/ana/curso.git", None),
        ("../elsewhere", None),
    ],
)
def test_a_fork_is_found_by_its_remote(tmp_path, remote, found):
    """A fork's owner who must know an option for it leaves the badges on the original."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert badges.of_remote(tmp_path) is None
    subprocess.run(["git", "-C", str(tmp_path), "remote", "add", "origin", remote], check=True)
    assert badges.of_remote(tmp_path) == found


def test_the_course_map_shows_badges_only_of_a_repository_that_exists(tree):
    """A badge of the placeholder opens a 404, and it is the first thing that a newcomer clicks."""
    record.write_pages(tree)
    assert "colab" not in (tree / "README.md").read_text(encoding="utf-8")
    badges.rewrite("ana/course", "v1.2.0", tree)
    page = (tree / "README.md").read_text(encoding="utf-8")
    assert page.count("ana/course/blob/v1.2.0/notebooks/01_page.ipynb") == 1 and "| open |" in page


@pytest.mark.parametrize("address", [("https://github.com/a/b", None), (None, "feature/x")])
def test_an_address_that_cannot_be_one_is_refused(tree, address):
    """A badge with a slash too many opens nothing, and says so only to the student."""
    with pytest.raises(CourseError, match="write"):
        badges.rewrite(*address, root=tree)


@languages
def test_student_copies_have_neither_solutions_nor_outputs(tmp_path, language):
    """A solution that slips through ends the exercise for the whole class."""
    written = student.write_copies(tmp_path, language=language)
    assert len(written) == len(notebook_files.notebook_paths())
    promised = (
        r"<summary>Solu(tion|ção)|^## Solu(tions|ções)|Solutions\s+are|soluções\s+estão|\*\*English\*\*|\*\*Português"
    )
    for path in written:
        notebook = notebook_files.read(path)
        assert not re.search(promised, "\n".join(cell.source for cell in notebook.cells), re.M)
        assert any("exercise" in cell.metadata.get("tags", []) for cell in notebook.cells)
        assert not any(cell.get("outputs") for cell in notebook.cells)


@languages
def test_instructors_copies_show_answers_rubric_and_common_errors(tmp_path, language):
    """A substitute teacher has no time to unfold forty answers."""
    errors = {"en": "Common errors", "pt-BR": "Erros comuns"}[language]
    for path in student.write_copies(tmp_path, edition=student.for_instructors, language=language):
        cells = notebook_files.read(path).cells
        exercises = [place for place, cell in enumerate(cells) if student.EXERCISE.search(cell.source)]
        assert exercises and all(errors in cells[place + 1].source for place in exercises)
        assert "<details>" not in "".join(cell.source for cell in cells)
        notes = [cells[place + 1].source for place in exercises]
        assert language == "en" or [english_words(note) for note in notes] == [[]] * len(notes)


def test_instructors_of_all_languages_give_the_same_points():
    """Two teachers of one school who grade by different rubrics explain it to every parent."""
    english, portuguese = (student.instructions(language) for language in LANGUAGES)
    assert list(english) == list(portuguese)
    for exercise, notes in english.items():
        own = portuguese[exercise]
        assert [notes[key] for key in ("minutes", "points")] == [own[key] for key in ("minutes", "points")], exercise
        assert list(notes["rubric"].values()) == list(own["rubric"].values()), exercise
        assert len(notes["rubric"]) == len(own["rubric"]) and len(notes["errors"]) == len(own["errors"]), exercise
        assert sum(own["rubric"].values()) == own["points"] and not {*notes["errors"]} & {*own["errors"]}


def test_an_unknown_language_names_those_that_there_are(tmp_path, capsys):
    """A typo in --lang must not write a folder of English pages under another name."""
    for command in ("slides", "book", "student", "instructor"):
        assert main(["course", command, "--lang", "pt", "--out", str(tmp_path / "out")]) == 2
        assert "--lang pt: allowed are en, pt-BR" in capsys.readouterr().err
    assert main(["course", "record", "--lang", "pt"]) == 2 and not (tmp_path / "out").exists()


def test_the_portuguese_notebooks_are_recorded_with_outputs_of_their_own(tree):
    """An English recording must not be overwritten by it, nor the times that plan a lesson."""
    source = translation.source_of(tree, "01_page", "pt-BR")
    source.parent.mkdir(parents=True)
    notebook = notebook_files.read(tree / "notebooks" / "01_page.ipynb")
    notebook.cells[3].source = "import os\nprint(os.environ.get('FTLIB_LANGUAGE'))\n6 * 7"
    notebook_files.write(notebook, tree / "notebooks" / "01_page.ipynb")
    blocks = [
        f"<!-- cell: {cell.id} {translation.english_hash(cell.source)} -->\n{translation.SAME}\n{cell.source}\n"
        for cell in notebook.cells
        if cell.cell_type == "markdown"
    ]
    source.write_text("\n".join(blocks), encoding="utf-8")
    translation.write("pt-BR", root=tree)
    english, own = tree / "notebooks" / "01_page.ipynb", translation.translated_path(tree, "01_page", "pt-BR")
    before, readme = english.read_bytes(), (tree / "README.md").read_bytes()
    record.record([], root=tree, language="pt-BR")
    assert problems(own) == [] and translation.problems("01_page", "pt-BR", tree) == []
    assert notebook_files.read(own).cells[3].outputs[1].data["text/plain"] == "42"
    assert english.read_bytes() == before and (tree / "README.md").read_bytes() == readme
    assert not (tree / notebook_files.TIMES).exists()
    edit = notebook_files.read(own)
    edit.cells[2].source += " Mais."
    notebook_files.write(edit, own)
    assert "edited after its outputs were recorded: run `ftlib course record 01 --lang pt-BR`" in problems(own)[0]
    with pytest.raises(CourseError, match="--rebuild --lang pt-BR"):
        record.record([], rebuild=True, root=tree, language="pt-BR")


@pytest.mark.parametrize("language", ["en", pytest.param("pt-BR", marks=pytest.mark.slow)])
def test_the_book_holds_every_page_with_its_outputs_and_loads_nothing(tmp_path, language):
    """A book that needs the net is empty on the train; one without alternative texts is empty for some readers."""
    written = site.write_book(tmp_path, language=language)
    assert {path.name for path in written} == {
        "index.html",
        *(f"{p.stem}.html" for p in notebook_files.notebook_paths()),
        "results.html",
        "TEACHING.html",
        "bibliography.html",
    }
    for path in written:
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r'(?:src|href)="https?://(?!colab\.|github\.|manikvarma)[^"]*\.(?:js|css|svg|png)', text)
        for link in re.findall(r'href="([\w.]+\.html)"', text):
            assert (tmp_path / link).exists(), link
        assert not re.search(r"<img(?![^>]*alt=\"[^\"]{20})", text), path.name
        for anchor in re.findall(r'<li><a href="#([^"]+)">', text):
            assert f'id="{anchor}"' in text, anchor
        contents = {"en": "On this page", "pt-BR": "Nesta página"}[language]
        assert path.name in ("index.html", "bibliography.html") or contents in text
        assert f'<html lang="{language}">' in text and "**English**" not in text
    recorded = "recorded" in notebook_files.read(notebook_files.notebook_paths(language=language)[2]).metadata
    assert not recorded or "image/png;base64" in (tmp_path / "03_qlora_training.html").read_text(encoding="utf-8")
    results = (tmp_path / "results.html").read_text(encoding="utf-8")
    assert ('<div lang="en">' in results and "(em inglês)" in results) is (language != "en")
    assert "`" not in re.sub(
        r"<(code|pre|style)[^>]*>.*?</\1>", "", written[-1].read_text(encoding="utf-8"), flags=re.S
    )


def test_slides_have_headings_points_and_results_from_the_same_source(tree, page):
    """Slides that are kept by hand tell last year's course."""
    notebook = notebook_files.read(page)
    notebook.cells[3].outputs = [new_output("stream", text="\n".join(str(n) for n in range(99)))]
    columns = site.slides_of(notebook)
    assert [column[0].heading for column in columns] == ["1. A page", "1.1 A section"]
    assert columns[0][0].points == ["a thing"] and columns[1][0].points == ["A first sentence."]
    result = columns[1][1]
    assert result.reading == "It is forty-two." and result.code == CODE
    assert result.outputs[0].text.endswith("13\n…")
    notebook_files.write(notebook, page)
    deck = site.write_slides(tree / "slides", "reveal", tree)[0].read_text(encoding="utf-8")
    assert 'src="reveal/dist/reveal.js"' in deck and "<details><summary>code</summary>" in deck


@pytest.mark.parametrize("language", [pytest.param("en", marks=pytest.mark.slow), "pt-BR"])
def test_slides_of_a_language_are_in_it(tmp_path, language):
    """A set-up cell or an exercise on the projector, because its heading was looked for in English, wastes the lesson."""
    for path in site.write_slides(tmp_path, "reveal", language=language):
        deck = path.read_text(encoding="utf-8")
        skipped = {"en": ("Set-up", "Exercises", "Solutions"), "pt-BR": ("Preparação", "Exercícios", "Soluções")}[
            language
        ]
        assert f'<html lang="{language}">' in deck and not [
            name for name in skipped if re.search(rf"<h2>[^<]*{name}<", deck)
        ]
        assert language == "en" or ("Gravado em" in deck or "Sem gravação" in deck) and "<summary>code<" not in deck


def test_settings_are_refused_for_the_committed_profile_and_noted_for_others(tree, page):
    """Committed outputs of a profile that nobody can choose, or times without the model they belong to, mislead."""
    with pytest.raises(CourseError, match="outputs are committed as configured"):
        record.record([], settings={"train.max_steps": "3"}, root=tree)
    record.record([], profile="smoke", settings={"train.max_steps": "3"}, root=tree)
    assert notebook_files.times(tree)["smoke"]["01_page"]["note"] == "train.max_steps=3"
    assert "train.max_steps=3)" in notebook_files.read(page).cells[1].source


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("ROUGE-L is 0.137 here.", "an output"),
        ("It kept 2,087 rows.", "an output"),
        ("As 2.1 says, in 2024, with `0.137` and [a paper](https://a.b/0.137).", None),
        ("## 3.1 A heading of 0.137", None),
        ("The lookup reaches 0.199.", "results/"),
        ("A rate of 0.5, two halves, 12 rows.", None),
        ("<!-- takes: x -->\n\n0.137\n\n<!-- /takes -->", None),
    ],
)
def test_a_measured_number_in_the_text_is_found(tree, page, text, source):
    """The next recording would contradict a number that was typed."""
    write_json(tree / "results" / "headline.json", {"unseen": {"rougeL": {"mean": 0.19912}}})
    notebook = notebook_files.read(page)
    notebook.cells[2].source = "## 2.1 A section"
    notebook.cells[3].outputs = [new_output("stream", name="stdout", text="0.137 of 2087 rows")]
    notebook.cells[4].source = text
    notebook_files.write(notebook, page)
    messages = typed_numbers(page, tree)
    assert [message.partition("is also in ")[2].partition(";")[0] for message in messages] == [source] * bool(source)
    notebook.cells[4].metadata["tags"] = [WORKED]
    notebook_files.write(notebook, page)
    assert typed_numbers(page, tree) == []


def test_a_progress_bar_is_no_input_field(tmp_path):
    """A reader of the recording would look for fields where a loop only showed how far it was."""
    bar = new_output("display_data", {record.WIDGET: {}, "text/plain": "  0%|          | 0/272 [00:00<?, ?it/s]"})
    field = new_output("display_data", {record.WIDGET: {}, "text/plain": "VBox(children=(Text(value='')))"})
    notebook = new_notebook(cells=[new_code_cell("1", outputs=[bar, field])])
    record.clean(notebook, tmp_path)
    assert [output.data["text/plain"] for output in notebook.cells[0].outputs] == [record.WIDGET_NOTE]
