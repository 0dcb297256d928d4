"""Disks that are full, folders that cannot be written: one clear line, and nothing of an earlier result lost."""

import errno
import os
import shutil
import subprocess
import sys

import pytest

from ftlib.cli import main
from ftlib.errors import storage_problem
from ftlib.runs import STAGES, Run

LIMITED = """
import resource, sys
from ftlib.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


def whole_stages(run: Run) -> dict[str, dict]:
    return {name: run.stage(name).manifest()["sums"] for name in STAGES if run.stage(name).whole}


@pytest.mark.parametrize("stage", ["dataset", "adapter", "merged", "evaluation"])
def test_a_file_that_cannot_grow_ends_in_one_line_and_goes_on_later(smoke_run, tmp_path, stage):
    """A full disk in the middle of a night's training must cost no more than the stage that did not fit."""
    run = Run(shutil.copytree(smoke_run.path, tmp_path / "run"))
    for name in STAGES[STAGES.index(stage) :]:
        shutil.rmtree(run.stage(name).path, ignore_errors=True)
    before = whole_stages(run)
    # more than a manifest and less than what each stage writes
    command = [sys.executable, "-c", LIMITED, "6000", "run", "--run", str(run.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr[-1500:]
    assert "the disk is full" in done.stderr.splitlines()[-1]
    assert not run.stage(stage).whole and before.items() <= whole_stages(run).items()
    assert main(["run", "--run", str(run.path)]) == 0
    assert set(whole_stages(run)) == set(STAGES)


def everything(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_result_is_removed_only_when_the_new_one_is_whole(smoke_run, tmp_path, capsys):
    """Other settings tried on a disk that fills up must not cost the adapter of the night before."""
    run = Run(shutil.copytree(smoke_run.path, tmp_path / "run"))
    adapter = run.stage("adapter")
    before, other = everything(adapter.path), ["--set", "lora.r=3"]
    command = [sys.executable, "-c", LIMITED, "6000", "train", "--run", str(run.path), *other]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and not adapter.whole and adapter.replaced
    assert main(["train", "--run", str(run.path)]) == 0
    assert "adapter: brought back" in capsys.readouterr().out
    assert everything(adapter.path) == before and not adapter.replaced
    assert main(["train", "--run", str(run.path), *other]) == 0
    assert adapter.whole and not adapter.replaced and everything(adapter.path) != before
    assert sorted(path.name for path in run.path.iterdir() if path.is_dir()) == sorted(STAGES)


def test_bytes_after_a_full_disk(smoke_run, tmp_path):
    """A stage that could not be written must not leave the disk fuller at each attempt."""
    run = Run(shutil.copytree(smoke_run.path, tmp_path / "run"))
    command = [sys.executable, "-c", LIMITED, "6000", "train", "--run", str(run.path), "--set", "lora.r=3"]
    sizes = []
    for _ in range(2):
        assert subprocess.run(command, capture_output=True, timeout=300).returncode == 2
        sizes.append(sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file()))
    assert sizes[1] <= sizes[0] + 10_000


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write everywhere")
def test_a_read_only_folder_is_told(tmp_path):
    """A course folder of the teacher's, or a Drive that is shared for reading."""
    folder = tmp_path / "shut"
    folder.mkdir()
    folder.chmod(0o555)
    command = [sys.executable, "-m", "ftlib", "prepare", "--run", str(folder / "run")]
    if os.geteuid() == 0:
        for each in (tmp_path, *tmp_path.parents):
            if each != each.parent:
                each.chmod(each.stat().st_mode | 0o055)
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "this folder cannot be written" in done.stderr, done.stderr[-1500:]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOTCONN, errno.ESTALE])
def test_a_drive_that_went_away_is_told(number):
    """Google Drive unmounts when its connection is lost."""
    assert "mounted drive does not answer" in storage_problem(OSError(number, os.strerror(number), "/drive/run"))


def test_an_error_of_another_kind_keeps_its_traceback():
    """A mistake of ours must not be told as a full disk."""
    assert storage_problem(KeyError("title")) is None
    assert storage_problem(FileNotFoundError(errno.ENOENT, "No such file", "x")) is None
