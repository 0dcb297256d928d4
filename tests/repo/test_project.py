"""What the repository promises to someone who has just cloned it."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import render_results
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

from ftlib.cli.entry import build_parser
from ftlib.reporting import tables
from ftlib.runtime.files import write_json

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins(name: str) -> dict[str, str]:
    """The versions in a list of exact ones."""
    lines = [line.strip() for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines}


PINS = pins("constraints.txt")
COLAB = {path.stem: pins(path.relative_to(ROOT).as_posix()) for path in (ROOT / ".ci" / "colab").glob("*.txt")}


def required(*extras: str) -> list[Requirement]:
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    return [Requirement(line) for line in lines]


def test_every_package_has_a_pinned_version_that_its_lower_bound_allows():
    """An unpinned package is another one next month, and on Linux an unpinned torch is gigabytes."""
    for requirement in required("test", "app", "course", "semantic", "llamacpp", "fuzz", "tensorboard"):
        name = canonicalize_name(requirement.name)
        assert name in PINS, f"{name} is missing in constraints.txt"
        assert requirement.specifier.contains(PINS[name]), f"{name} {PINS[name]} against {requirement}"
    assert PINS["torch"] == "2.13.0"


@pytest.mark.parametrize("image", COLAB)
def test_no_lower_bound_is_above_what_colab_has_preloaded(image):
    """Such a bound stops every reader on Colab at the first cell, and only the weekly run would notice."""
    preloaded = COLAB[image]
    met = {canonicalize_name(requirement.name): requirement.specifier for requirement in required("app")}
    assert {"torch", "numpy", "transformers"} <= met.keys() & preloaded.keys()
    for name in met.keys() & preloaded.keys():
        version = preloaded[name]
        assert met[name].contains(version), f"Colab has {name} {version}, pyproject.toml asks for {met[name]}"


def test_a_list_of_colab_is_compared_with_a_runtime(tmp_path):
    """A list that is months old passes every week, while readers meet other versions."""
    freeze = tmp_path / "freeze.txt"
    lines = [f"{name.replace('-', '_').upper()}=={version}+cu128" for name, version in COLAB["2026-08"].items()]
    script = [sys.executable, ".ci/compare_freeze.py", ".ci/colab/2026-08.txt", str(freeze)]
    for text, code, said in (
        ("\n".join([*lines, "jax==1.0"]), 0, "the list is what the runtime has\n"),
        (
            "\n".join(lines[1:]).replace("TORCH==2.11.0", "TORCH==2.12.0"),
            1,
            "torch: 2.11.0 in the list, 2.12.0 there\n",
        ),
    ):
        freeze.write_text(text)
        done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == code and said in done.stdout
    assert "accelerate: 1.14.0 in the list, not installed there" in done.stdout


def test_requirements_are_lower_bounds_only():
    """An exact pin in the package would replace what a Colab runtime has loaded."""
    assert all(
        {s.operator for s in requirement.specifier} == {">="}
        for requirement in required("test", "app", "course", "semantic", "llamacpp", "fuzz", "tensorboard", "trackio")
    )


def test_every_imported_package_is_required():
    """A package that is there by luck (another one needs it) is gone after that one's next release."""
    names = {canonicalize_name(requirement.name) for requirement in required("app", "course", "llamacpp")}
    modules = {"yaml": "pyyaml", "rouge_score": "rouge-score", "llama_cpp": "llama-cpp-python"}
    found = set()
    for path in (ROOT / "ftlib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.split(".")[0])
    outside = found - set(sys.stdlib_module_names) - {"ftlib"}
    missing = {name for name in outside if canonicalize_name(modules.get(name, name)) not in names}
    # parts of transformers, pydantic, Gradio and PyTorch for CUDA; IPython, pygments and google.colab only where they run
    allowed = {"tokenizers", "pydantic_core", "starlette", "triton", "IPython", "pygments", "google"}
    assert missing <= allowed, missing


def test_readme_is_one_page():
    """A newcomer who must scroll past tables to find the command does not find it."""
    assert len(README.splitlines()) <= 150


def test_readme_has_the_two_commands_each_one_line_with_constraints():
    """Without the constraints a newcomer's first command downloads another version of everything."""
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 3
    assert all("-c constraints.txt" in command for command in commands[1:])
    assert commands[1].endswith("/ftlib run") and commands[2].endswith("pytest --nbmake")


def test_cpu_build_of_pytorch_is_the_pinned_version():
    """Another version would be replaced by the next command, with gigabytes of CUDA."""
    install = f"pip install torch=={PINS['torch']} --index-url https://download.pytorch.org/whl/cpu"
    for page in (README, (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")):
        assert install in page


def test_ci_runs_the_readmes_test_command():
    """CI that installs by another way than the README proves nothing about the README."""
    script = (ROOT / ".ci" / "run").read_text()
    assert "README.md" in script and "rm -rf .venv-ci" in script
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert {"run": "bash .ci/run"} in workflow["jobs"]["test"]["steps"]
    assert {"run": "bash .ci/older"} in workflow["jobs"]["colab"]["steps"]


def test_conda_environment_reads_the_same_versions():
    """Two lists of versions drift apart."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert pip == ["-c constraints.txt", "-e .[test]"]


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.stem
)
def test_every_documented_command_exists(path):
    """A documented command that was renamed is the first thing that a newcomer tries."""
    commands = build_parser()._subparsers._group_actions[0].choices
    named = set(re.findall(r"`ftlib (\w+)", path.read_text(encoding="utf-8")))
    assert named <= set(commands), named - set(commands)


def test_architecture_names_every_package():
    """A map that lacks a package sends the reader into the wrong one."""
    packages = {path.parent.name for path in (ROOT / "ftlib").glob("*/__init__.py")}
    modules = {path.name for path in (ROOT / "ftlib").glob("*.py")} - {"__init__.py", "__main__.py"}
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("## Layers")[2].partition("## Stages")[0]
    assert set(re.findall(r"^\| \d+ \| `([\w.]+)`", table, re.MULTILINE)) | {"colab.py"} == packages | modules
    tree = page.partition("## The repository")[2].partition("## Layers")[0]
    assert packages | modules <= set(re.findall(r"[\w.]+", tree))


def test_files_named_in_the_docs_exist():
    """A reader who opens a file that was moved finds nothing."""
    for path in [ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        text = path.read_text(encoding="utf-8")
        folders = ("ftlib", "tests", "benchmarks", "results", "studies", "docs")
        named = re.findall(rf"`((?:{'|'.join(folders)})/[\w/.-]+\.\w+)", text)
        if path.stem == "architecture":
            named += [f"ftlib/{name}" for name in re.findall(r"`(\w+/\w+\.py)`", text)]
        assert not [name for name in named if "NAME" not in name and not (ROOT / name).exists()], path


def test_recorded_results_on_the_pages_come_from_their_files(tmp_path, monkeypatch):
    """A number typed by hand outlives the run that it came from."""
    monkeypatch.setenv("FTLIB_LANGUAGE", "pt-BR")  # the pages are English, whatever the notebooks of this shell speak
    shutil.copytree(ROOT / "results", tmp_path / "results")
    pages = ("README.md", "docs/results.md", "docs/reliability.md")
    (tmp_path / "docs").mkdir()
    for name in pages:
        shutil.copy(ROOT / name, tmp_path / name)
    assert set(render_results.write(tmp_path)) == {tmp_path / name for name in pages}
    for name in pages:
        assert (tmp_path / name).read_text(encoding="utf-8") == (ROOT / name).read_text(encoding="utf-8")
    for picture in (render_results.PICTURE, render_results.HEADLINE_PICTURE):
        drawn = Image.open(tmp_path / picture).info["Description"]
        assert Image.open(ROOT / picture).info["Description"] == drawn


def test_links_of_the_results_page_lead_somewhere():
    """A table that moved to another folder takes links with it that lead nowhere."""
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    links = set(re.findall(r"\]\(([^)#]+)\)", page))
    assert len(links) > 10 and all((ROOT / "docs" / link).exists() for link in links)


def test_measurements_reach_the_page_with_their_ratios(tmp_path):
    """Figures that are measured and shown nowhere, or shown beside the wrong ones, convince nobody."""
    row = {"shape": "tinyllama-1.1b", "recipe": "the reference", "examples_per_s": 10.4, "tokens_per_s": 2000,
           "step_s": 1.5, "padding_share": 0.25, "peak_gib": 20.25, "roof_share": 0.0125}  # fmt: skip
    fast = row | {"recipe": "ours", "tokens_per_s": 50_000}
    job = {"profile": "gpu", "extra": [], "seconds": 100.0, "steps": 9, "tokens_per_s": 40_000}
    about = {"device": "a GPU", "versions": {}, "finished": "2026-01-02T03:04:05Z"}
    write_json(tmp_path / "results" / "train_speed.json", {"rows": [row, fast], "jobs": [job]} | about)
    gain = {"mean": 0.25, "ci95": [0.125, 0.375]}
    methods = {
        "prompts": 9,
        "seconds_estimated": [0.5, 0.75],
        "rows": [{"method": "ours", "tokens_per_s": 1234.5, "gain": gain}],
        "evaluation": {"base": 1.25},
    }
    write_json(tmp_path / "results" / "generate_speed.json", methods)
    (tmp_path / "docs").mkdir()
    (tmp_path / render_results.PAGE).write_text("# A page\n" + render_results.BEGIN + "old" + render_results.END)
    (tmp_path / "README.md").write_text(render_results.SPEED_BEGIN + render_results.SPEED_END)
    render_results.write(tmp_path)
    page = (tmp_path / render_results.PAGE).read_text(encoding="utf-8")
    assert "| ours | 10.4 | 50,000 | 25.0 | 1,500.0 | 20.2 | 1.2% | 25.0% |" in page and "old" not in page
    assert "| gpu | – | 100 | 20.0 | 9 | 40,000 |" in page  # 20,800 examples at 10.4 a second take 2,000 s
    assert "\nprompts 9, seconds estimated 0.5 to 0.75.\n" in page and "| ours | 1,234 | 0.250 [0.125, 0.375] |" in page
    assert "| base |\n|---|\n| 1.25 |" in page
    assert (tmp_path / render_results.PICTURE).exists()
    assert "| tinyllama-1.1b | ours | 50,000 | 25.0 | 20.2 |" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_the_notebook_says_what_was_measured_or_that_nothing_was(monkeypatch, tmp_path, capsys):
    """Before the first measurement the cell must not stop the reader; after it, the machine must be named."""
    monkeypatch.setattr(tables, "repository", lambda: tmp_path)
    assert tables.recorded_speed() == [] and "training speed: not shown" in capsys.readouterr().out
    assert tables.speed_table([], "tinyllama-1.1b").frame().empty
    found = {"device": "a GPU", "finished": "2026-01-02T03:04:05Z", "rows": [{"shape": "x"}]}
    write_json(tmp_path / "results" / "train_speed.json", found)
    assert tables.recorded_speed() == [{"shape": "x"}] and capsys.readouterr().out == "recorded on a GPU, 2026-01-02\n"


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_no_path_of_a_machine_and_no_unsafe_loading_is_in_the_repository(tracked):
    """A path of somebody's home breaks on every other machine; trust_remote_code runs strangers' code."""
    home = re.compile(r"(?<![\w.~-])/(?:home|root|Users)/\w")
    for path in tracked:
        if path.suffix in (".py", ".md", ".yaml", ".yml", ".json", ".toml", ".ipynb", ".csv", ".html"):
            text = path.read_text(encoding="utf-8")
            assert not home.search(text), path
            if path != Path(__file__):
                assert "trust_remote_code=" + "True" not in text, path


def test_translated_notebooks_run_last_and_in_every_run(pytestconfig):
    """Before the English ones they would build every stage; left out, a translation that breaks a cell is found in class."""
    hook = pytestconfig.pluginmanager.get_plugin(str(ROOT / "conftest.py")).pytest_collection_modifyitems
    names = ["notebooks/pt-BR/01_a.ipynb", "notebooks/01_a.ipynb", "tests/test_a.py", "notebooks/pt-BR/02_b.ipynb"]
    items = [SimpleNamespace(path=ROOT / name) for name in names]
    hook(items)
    assert [item.path for item in items] == [ROOT / names[place] for place in (1, 2, 3, 0)]
