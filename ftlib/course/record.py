"""Execute the notebooks top to bottom, keep their outputs, and stamp them with their origin.

The stamp records commit, machine and duration. A test fails if the source of the cells or the profile changed since; a
change in the code of ftlib, which is recorded as a hash, only prints a warning.

`ftlib course record` runs the cpu profile on the sample, about half an hour on two cores; `ftlib course record 05` one
of them; `ftlib course record --profile smoke` only measures times. `--lang pt-BR` records the Portuguese notebooks, which
have outputs and stamps of their own; measured times are those of the English recording.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import textwrap
import time
from pathlib import Path

import nbformat

from ftlib.pipeline.stage import Run
from ftlib.reporting import notebook_files
from ftlib.reporting.notebook_files import CourseError
from ftlib.runtime import environment, provenance
from ftlib.runtime.console import log
from ftlib.runtime.files import read_json, write_json, write_text

STAGE_TIMES = Path("ftlib") / "config" / "profiles" / "times.json"
PROFILE = "cpu"  # whose outputs are committed
WIDGET = "application/vnd.jupyter.widget-view+json"
WIDGET_NOTE = "(input fields: shown where the notebook is run, not in a recording)"
ASK_KERNEL = (
    "import json; from ftlib.runtime import hardware; "
    "print(json.dumps([hardware.peak_memory_mb(), hardware.device_name()]))"
)


def record(
    names: list[str],
    profile: str = PROFILE,
    rebuild: bool = False,
    settings: dict | None = None,
    root: Path = notebook_files.ROOT,
    language: str = "en",
) -> None:
    """Execute notebooks in an empty folder with runs of their own; keep outputs and stamps if `profile` is the committed one.

    Args:
        names: prefixes of file names ('03'); empty for all.
        rebuild: ship the adapter that notebook 03 trained.
        settings: {key: value} that override a profile other than the committed one, recorded with its times.
        root: of the repository.
        language: of the notebooks, one of LANGUAGES.

    Raises:
        CourseError: for an unknown name or language.
        CellExecutionError: of nbclient, where a cell fails.
    """
    all_paths = notebook_files.notebook_paths(root, language)
    paths = [path for path in all_paths if not names or any(path.name.startswith(n) for n in names)]
    if len(paths) < max(len(names), 1):
        raise CourseError(
            f"{' '.join(names)}: no such notebook; allowed are {', '.join(path.stem for path in all_paths)}"
        )
    if rebuild and language != "en":
        raise CourseError(f"--rebuild --lang {language}: the adapter that ships is that of the English recording")
    if settings and profile == PROFILE:
        raise CourseError(
            f"--set {' '.join(settings)}: the {PROFILE} profile's outputs are committed as configured; use another --profile"
        )
    commit = provenance.git_commit()
    with tempfile.TemporaryDirectory(prefix="ftlib-record-") as folder:
        for path in paths:
            log.info(f"{path.stem}: running at the {profile} profile")
            notebook = notebook_files.read(path)
            measured = execute(notebook, Path(folder), profile, root, settings or {})
            if language == "en":
                keep_times(root, profile, path.stem, measured)
                keep_stage_times(root, profile, Run(Path(folder) / "runs" / profile), bool(settings))
            if profile == PROFILE:
                notebook.metadata["recorded"] = stamp(notebook, profile, commit, measured, root)
                clean(notebook, Path(folder))
                notebook_files.write(notebook, path)
            log.info(f"{path.stem}: {notebook_files.duration(measured['seconds'])}")
        if rebuild:
            from ftlib.course import pretrained_adapter

            pretrained_adapter.keep(Run(Path(folder) / "runs" / PROFILE))
            log.info(f"the adapter of this recording now ships with the course: {pretrained_adapter.FOLDER.name}")
    if language == "en":
        write_pages(root)


def execute(notebook, folder: Path, profile: str, root: Path, settings: dict) -> dict:
    """Run every cell in one kernel, in place; returns seconds, seconds a cell, peak memory and device."""
    from nbclient import NotebookClient

    (folder / "empty").mkdir(exist_ok=True)  # a notebook that reads files beside it would fail for the reader
    if not (folder / "empty" / "course").exists():  # where the set-up cell finds the course
        (folder / "empty" / "course").symlink_to(root, target_is_directory=True)
    env = {name: text for name, text in os.environ.items() if not name.startswith("FTLIB_") or name == "FTLIB_CACHE"}
    env |= {"FTLIB_PROFILE": profile, "FTLIB_DATA__PATH": "sample", "FTLIB_RUNS": str(folder / "runs")}
    env |= {f"FTLIB_{key.upper().replace('.', '__')}": value for key, value in settings.items()}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))
    resources = {"metadata": {"path": str(folder / "empty")}}
    client = NotebookClient(notebook, timeout=None, kernel_name="python3", resources=resources, coalesce_streams=True)
    cell_seconds = []
    with client.setup_kernel(env=env):
        started = time.perf_counter()
        for index, cell in enumerate(list(notebook.cells)):
            cell_started = time.perf_counter()
            client.execute_cell(cell, index)
            if cell.cell_type == "code":
                cell_seconds.append(round(time.perf_counter() - cell_started, 2))
        seconds = time.perf_counter() - started
        notebook.cells.append(nbformat.v4.new_code_cell(ASK_KERNEL))  # nbclient only executes cells of its notebook
        reply = client.execute_cell(notebook.cells[-1], len(notebook.cells) - 1, store_history=False)
        notebook.cells.pop()
    memory, device = json.loads(reply.outputs[0].text)
    measured = {"seconds": round(seconds, 1), "cell_seconds": cell_seconds, "peak_memory_mb": memory, "device": device}
    return measured | ({"note": ", ".join(f"{key}={value}" for key, value in settings.items())} if settings else {})


def stamp(notebook, profile: str, commit: str | None, measured: dict, root: Path) -> dict:
    """Return the origin of the outputs. The commit is the one before the recording, which is not committed yet."""
    return {
        "source": notebook_files.source_hash(notebook),
        "profile": profile,
        "data": "sample",
        "parent_commit": commit,
        "ftlib": ftlib_hash(root),
        "finished": provenance.now(),
        "versions": provenance.versions(),
        **measured,
    }


def ftlib_hash(root: Path = notebook_files.ROOT) -> str:
    """Hash the package's code: a recording made with other code may differ."""
    digest = hashlib.sha256()
    for path in sorted((root / "ftlib").rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def clean(notebook, folder: Path) -> None:
    """Remove from the outputs what belongs to one machine: folders, timing metadata, the state of widgets."""
    notebook.metadata.pop("widgets", None)
    # the kernel's own description varies with each release of Python and IPython; the stamp has the versions
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.get("outputs"):
            cell.outputs = [output for output in cell.outputs if not _is_progress_bar(output)]
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if WIDGET in data or re.search(r"<iframe[^>]*127\.0\.0\.1", data.get("text/html", "")):
                output["data"] = {"text/plain": WIDGET_NOTE}
            for container, text in _texts(output):
                container[text] = (
                    container[text]
                    .replace(f"{folder}{os.sep}", "")
                    .replace(str(environment.home()) + os.sep, "~" + os.sep)
                )


def _is_progress_bar(output) -> bool:
    """Return True for tqdm's widget: it shows where a loop stood, and is no input field."""
    data = output.get("data", {})
    return WIDGET in data and "%|" in data.get("text/plain", "")


def _texts(output) -> list[tuple[dict, str]]:
    """Return (dict, key) of every text in an output."""
    if output.output_type == "stream":
        return [(output, "text")]
    data = output.get("data", {})
    return [(data, key) for key in data if isinstance(data[key], str) and not key.startswith("image/")]


def keep_times(root: Path, profile: str, name: str, measured: dict) -> None:
    """Write duration and memory of one notebook into results/course.json."""
    times = notebook_files.times(root)
    fields = ("seconds", "peak_memory_mb", "device", "note")
    entry = {key: measured[key] for key in fields if key in measured} | {"finished": provenance.now()}
    times.setdefault(profile, {})[name] = entry
    write_json(root / notebook_files.TIMES, {key: dict(sorted(times[key].items())) for key in sorted(times)})


def keep_stage_times(root: Path, profile: str, run: Run, changed: bool) -> None:
    """Write the duration of each stage into ftlib/config/profiles/times.json, unless settings were changed.

    The smoke profile takes seconds, of which nobody needs to be warned.
    """
    path = root / STAGE_TIMES
    times = read_json(path) if path.exists() else {}
    for name, manifest in ({} if changed or profile == "smoke" else run.manifests()).items():
        times.setdefault(profile, {})[name] = {"seconds": manifest["seconds"], "device": manifest["device"]}
    write_json(path, times)


TAKES_TEXT = {  # how memory is named in a notebook of each language, and what was not measured
    "en": ("{ram:.1f} GiB of memory", " and {gpu:.1f} GiB on the GPU", "not measured"),
    "pt-BR": ("{ram:.1f} GiB de memória", " e {gpu:.1f} GiB na GPU", "não medido"),
}


def takes(name: str, times: dict, language: str = "en") -> str:
    """Format duration, memory and device of a notebook at each measured profile."""
    lines, (of_memory, on_gpu, not_measured) = [], TAKES_TEXT[language]
    for profile in ("smoke", "cpu", "t4", "gpu"):
        entry = times.get(profile, {}).get(name)
        if entry is None:
            lines.append(f"- `{profile}`: {not_measured}")
        else:
            memory = entry["peak_memory_mb"]
            gpu = on_gpu.format(gpu=memory["gpu"] / 1024) if memory.get("gpu") else ""
            note = f", {shown(entry['note'])}" if "note" in entry else ""
            size = of_memory.format(ram=memory["ram"] / 1024) + gpu
            lines.append(
                f"- `{profile}`: {notebook_files.duration(entry['seconds'])}, {size} ({entry['device']}{note})"
            )
    return "\n".join(["\n", *lines, "\n"])


def shown(note: str) -> str:
    """Return the settings of a note without the folders and packages before a file's name."""
    return re.sub(r"=\S*/", "=", note)


MAP = ("<!-- course map: written by ftlib course record -->", "<!-- /course map -->")


def course_map(root: Path = notebook_files.ROOT) -> str:
    """Render the README's table: notebook, goals, badge, and time on the machines that were measured.

    The badge column appears once pyproject.toml names a repository: a badge with the placeholder would open a 404.
    """
    times, (repository, ref) = notebook_files.times(root), notebook_files.address(root)
    has_address = repository != notebook_files.PLACEHOLDER
    profiles = [profile for profile in ("cpu", "gpu") if times.get(profile)]
    header = ["notebook", "what you learn", *(["open"] if has_address else []), *map(str.upper, profiles)]
    lines = ["", f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for path in notebook_files.notebook_paths(root):
        notebook, name = notebook_files.read(path), path.stem
        cost = [times.get(profile, {}).get(name) for profile in profiles]
        cells = [f"[{name}](notebooks/{path.name})", "; ".join(notebook_files.goals(notebook))]
        cells += [notebook_files.badge(name, repository, ref)] if has_address else []
        cells += [notebook_files.duration(entry["seconds"]) if entry else "–" for entry in cost]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", _measured_on(times), ""])


def _measured_on(times: dict) -> str:
    """Name the machines on which the times of the map were measured."""
    machines = []
    for profile in ("cpu", "gpu"):
        entries = list(times.get(profile, {}).values())
        if entries:
            note = f", {shown(entries[0]['note'])}" if "note" in entries[0] else ""
            machines.append(f"{profile.upper()}: {entries[0]['device']}, profile `{profile}`{note}")
    if not machines:
        return ""
    text = f"Times as recorded ([`results/course.json`](results/course.json)). {'; '.join(machines)}."
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def write_pages(root: Path = notebook_files.ROOT) -> None:
    """Write measured times into the notebooks and the course map into the README."""
    times = notebook_files.times(root)
    for path in notebook_files.notebook_paths(root):
        notebook = notebook_files.read(path)
        for cell in notebook.cells:
            if notebook_files.TAKES[0] in cell.source:
                cell.source = notebook_files.between(cell.source, notebook_files.TAKES, takes(path.stem, times))
        notebook_files.write(notebook, path)
    readme = root / "README.md"
    write_text(readme, notebook_files.between(readme.read_text(encoding="utf-8"), MAP, course_map(root)))
