"""Disks that are full, folders that cannot be written: one clear line, and nothing of an earlier result lost."""

import errno
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from processes import run_command

from ftlib.cli.entry import main
from ftlib.pipeline.stage import STAGES, Run
from ftlib.runtime.errors import storage_problem
from ftlib.runtime.files import replacing, write_json, write_text


def whole_stages(run: Run) -> dict[str, dict]:
    return {name: run.stage(name).manifest()["sums"] for name in STAGES if run.stage(name).complete}


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["dataset", "adapter", "merged", "evaluation"])
def test_a_file_that_cannot_grow_ends_in_one_line_and_goes_on_later(smoke_run, tmp_path, stage):
    """A full disk in the middle of a night's training must cost no more than the stage that did not fit."""
    run = Run(shutil.copytree(smoke_run.path, tmp_path / "run"))
    for name in STAGES[STAGES.index(stage) :]:
        shutil.rmtree(run.stage(name).path, ignore_errors=True)
    before = whole_stages(run)
    # more than a manifest and less than what each stage writes
    done = run_command("run", "--run", str(run.path), file_limit=6000)
    assert done.status == 2 and "Traceback" not in done.err, done.err[-1500:]
    assert "the disk is full" in done.err.splitlines()[-1]
    assert not run.stage(stage).complete and before.items() <= whole_stages(run).items()
    assert main(["run", "--run", str(run.path)]) == 0
    assert set(whole_stages(run)) == set(STAGES)


# Every writer, under a limit for the size of a file


def limited(size: int, write) -> str:
    """What came of `write()` in a process whose files cannot grow above `size` bytes: 'done', or what a user is told."""
    resource = pytest.importorskip("resource")
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        said = "the child died"
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            write()
            said = "done"
        except BaseException as error:
            said = storage_problem(error) or f"no storage problem: {type(error).__name__}: {error}"
        finally:
            os.write(writes, said.encode())
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as file:
        said = file.read().decode()
    os.waitpid(child, 0)
    return said


def write_sample(path):
    from ftlib.data.sample.generate import write_sample

    write_sample(path, 50, 1)


def write_notebook(path):
    import nbformat

    from ftlib.reporting import notebook_files

    notebook_files.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("text " * 500)]), path)


def write_plot(path):
    from matplotlib.figure import Figure

    from ftlib.reporting import plots

    figure = Figure()
    figure.add_subplot().plot([1, 2, 3])
    plots._done(figure, "a line", path)


def write_rows(path):
    import numpy as np

    from ftlib.study.row_scores import RowValues, save

    uids = np.random.default_rng(0).integers(2**60, size=2000)
    values = {"base": {"rougeL": np.random.default_rng(0).random(2000)}}
    save(path, "key", {"unseen": RowValues(uids, values, {})})


def write_gguf(path):
    import smoke

    from ftlib.export import gguf

    gguf.write(smoke.sharp_model(), smoke.tokenizer(), path, "f16", "tiny:llama")


def write_vote(path):
    from ftlib.app.votes import COLUMNS, Votes

    assert Votes(path).cast(**dict.fromkeys(COLUMNS, "x" * 900) | {"blind": 1, "choice": "base"})


def write_answers_table(path):
    from ftlib.reporting import html_report

    html_report.write_csv(path, [{"uid": "a", "text": "x" * 9000}], ["uid", "text"])


WRITERS = {
    "any.json": lambda path: write_json(path, ["x" * 9000]),
    "any.md": lambda path: write_text(path, "x" * 9000),
    "sample.jsonl": write_sample,
    "sample.jsonl.gz": write_sample,
    "notebook.ipynb": write_notebook,
    "plot.png": write_plot,
    "rows.npz": write_rows,
    "model.gguf": write_gguf,
    "table.csv": write_answers_table,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_writer_leaves_the_old_file_or_the_new_one(tmp_path, name):
    """Half a notebook, picture or model under its final name is taken for a complete one."""
    path = tmp_path / name
    WRITERS[name](path)  # imports and loads what it needs, once
    path.unlink()
    for before in (None, b"the old content"):
        if before:
            path.write_bytes(before)
        for size in (0, 500, 1900):
            assert "the disk is full" in limited(size, lambda: WRITERS[name](path))
            assert [each.name for each in tmp_path.iterdir()] == ([name] if before else [])
            assert not before or path.read_bytes() == before
    assert limited(2**30, lambda: WRITERS[name](path)) == "done" and path.stat().st_size > 1900


def test_a_vote_on_a_full_disk_is_one_line_and_can_be_cast_later(tmp_path):
    """SQLite leaves an empty file behind, and the tally stopped at it."""
    from ftlib.app.votes import Votes

    path = tmp_path / "votes.sqlite"
    assert "the disk is full" in limited(0, lambda: write_vote(path))
    assert Votes(path).counts() == {}
    write_vote(path)
    assert Votes(path).counts()


def test_what_libraries_say_about_a_full_disk_is_understood(tmp_path):
    """numpy, PyTorch and SQLite give no error number, so a full disk was a traceback of theirs."""
    import numpy as np
    import torch

    values = np.zeros(4000)
    for size in (0, 600, 5000):
        assert "the disk is full" in limited(size, lambda: np.save(tmp_path / "a.npy", values))
        assert "the disk is full" in limited(size, lambda: values.tofile(tmp_path / "a"))
        assert "the disk is full" in limited(size, lambda: torch.save({"a": torch.zeros(4000)}, tmp_path / "a.pt"))


def test_a_failed_write_leaves_nothing_and_keeps_its_error(tmp_path):
    """What went wrong must be told, not that the file to be removed was not there."""
    with pytest.raises(KeyError, match="reason"), replacing(tmp_path / "new" / "a") as partial:
        partial.write_text("half")
        raise KeyError("reason")
    with pytest.raises(KeyError, match="reason"), replacing(tmp_path / "new" / "a"):
        raise KeyError("reason")
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("size", [1_000, 12_000, 40_000, 100_000, 200_000, 400_000, 600_000])
def test_a_run_under_any_limit_ends_in_one_line_and_resumes(smoke_run, tmp_path, size):
    """A disk fills up at any file of any stage, not only at the first one."""
    run = tmp_path / "run"
    done = run_command("run", "--run", str(run), file_limit=size)
    assert done.status == 2 and "Traceback" not in done.err, done.err[-1500:]
    assert "the disk is full" in done.err.splitlines()[-1]
    assert main(["run", "--run", str(run)]) == 0 and set(whole_stages(Run(run))) == set(STAGES)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["f16", "q8_0"])
def test_an_export_on_a_full_disk_leaves_no_partial_file(smoke_run, tmp_path, kind):
    """Gigabytes of a half-written model on a disk that is full already."""
    out = tmp_path / "gguf"
    arguments = ["export", "gguf", "--run", str(smoke_run.path), "--out", str(out), "--type", kind]
    done = run_command(*arguments, file_limit=150_000)
    assert done.status == 2 and "Traceback" not in done.err and "the disk is full" in done.err.splitlines()[-1]
    assert list(out.iterdir()) == []


def everything(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_result_is_removed_only_when_the_new_one_is_whole(smoke_run, tmp_path, capsys):
    """Other settings tried on a disk that fills up must not cost the adapter of the night before."""
    run = Run(shutil.copytree(smoke_run.path, tmp_path / "run"))
    adapter = run.stage("adapter")
    before, other = everything(adapter.path), ["--set", "lora.r=3"]
    done = run_command("train", "--run", str(run.path), *other, file_limit=6000)
    assert done.status == 2 and not adapter.complete and adapter.has_backup
    assert main(["train", "--run", str(run.path)]) == 0
    assert "adapter: restored" in capsys.readouterr().out
    assert everything(adapter.path) == before and not adapter.has_backup
    assert main(["train", "--run", str(run.path), *other]) == 0
    assert adapter.complete and not adapter.has_backup and everything(adapter.path) != before
    assert sorted(path.name for path in run.path.iterdir() if path.is_dir()) == sorted(STAGES)


@pytest.mark.slow
def test_bytes_after_a_full_disk(smoke_run, tmp_path):
    """A stage that could not be written must not leave the disk fuller at each attempt."""
    run = Run(shutil.copytree(smoke_run.path, tmp_path / "run"))
    sizes = []
    for _ in range(2):
        assert run_command("train", "--run", str(run.path), "--set", "lora.r=3", file_limit=6000).status == 2
        sizes.append(sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file()))
    assert sizes[1] <= sizes[0] + 10_000


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write everywhere")
@pytest.mark.parametrize(("mode", "said"), [(0o555, "this folder cannot be written"), (0o444, "cannot be entered")])
def test_a_folder_without_rights_is_told(mode, said):
    """A course folder of the teacher's, or a Drive that is shared for reading."""
    # not in tmp_path: pytest closes its folder to other users whenever a session starts
    with tempfile.TemporaryDirectory() as opened:
        folder = Path(opened) / "shut"
        folder.mkdir()
        Path(opened).chmod(0o755)
        folder.chmod(mode)
        command = [sys.executable, "-m", "ftlib", "prepare", "--run", str(folder / "run")]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        folder.chmod(0o755)
        assert done.returncode == 2 and said in done.stderr, done.stderr[-1500:]
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOTCONN, errno.ESTALE])
def test_a_drive_that_went_away_is_told(number):
    """Google Drive unmounts when its connection is lost."""
    assert "mounted drive does not answer" in storage_problem(OSError(number, os.strerror(number), "/drive/run"))


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOLCK, "no locks.*local disk"), (errno.EMFILE, "ulimit -n"), (errno.ENAMETOOLONG, "shorter or plainer")],
)
def test_what_a_file_system_lacks_is_told(number, words):
    """Network drives without locks and small limits are found on clusters, where nobody can ask the administrator at night."""
    assert re.search(words, storage_problem(OSError(number, os.strerror(number), "/lustre/run")))


def test_an_error_of_another_kind_keeps_its_traceback():
    """A mistake of ours must not be told as a full disk."""
    assert storage_problem(KeyError("title")) is None
    assert storage_problem(FileNotFoundError(errno.ENOENT, "No such file", "x")) is None
