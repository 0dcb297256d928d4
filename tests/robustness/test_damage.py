"""Files of a finished run that were damaged, lost or swapped afterwards: named, with what to do, and never used."""

import shutil

import pytest

from ftlib.cli.entry import main
from ftlib.pipeline import stage
from ftlib.pipeline.stage import Run, StageDamaged
from ftlib.runtime.files import write_json

BROKEN = {  # stage: one of its files
    "dataset": "train/data-00000-of-00001.arrow",
    "index": None,
    "adapter": "adapter_model.safetensors",
    "merged": "model.safetensors",
}


@pytest.fixture
def copy(smoke_run, tmp_path, monkeypatch):
    """A copy of a finished run, which this process has not looked at yet."""
    monkeypatch.setattr(stage, "_VERIFIED", set())
    return Run(shutil.copytree(smoke_run.path, tmp_path / "run"))


def flip(path):
    """Change one bit in the middle of a file, as a worn-out disk does."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("stage", BROKEN)
def test_a_flipped_bit_is_named(copy, stage, capsys):
    """A model with one wrong weight still answers, only worse; nobody would look for the cause on the disk."""
    folder = copy.stage(stage).path
    path = folder / BROKEN[stage] if BROKEN[stage] else max(folder.rglob("*"), key=lambda p: p.stat().st_size)
    flip(path)
    assert main(["run", "--run", str(copy.path)]) == 2
    said = capsys.readouterr().err
    assert f"{path}: checksum mismatch" in said and f"delete {folder}" in said


def test_a_large_file_is_hashed_in_pieces_and_one_of_earlier_versions_as_a_whole(copy, monkeypatch):
    """Gigabytes hashed on one core would hold up each evaluation; a run of an earlier version would count as damaged."""
    merged = copy.stage("merged")
    merged.verified()
    manifest = merged.manifest()
    monkeypatch.setattr(stage, "PIECE", 1000)
    sums = merged._sums()
    large = [name for name in sums if (merged.path / name).stat().st_size > 1000]
    assert "model.safetensors" in large and all(sums[name].startswith(stage.PIECES) == (name in large) for name in sums)
    for recorded in (manifest["sums"], sums):
        write_json(merged.path / "manifest.json", manifest | {"sums": recorded})
        stage._VERIFIED.clear()
        merged.verified()
    flip(merged.path / "model.safetensors")
    stage._VERIFIED.clear()
    with pytest.raises(StageDamaged, match=r"model\.safetensors: checksum mismatch"):
        merged.verified()


def test_a_lost_file_is_named(copy, capsys):
    """Half a copied folder fails somewhere inside a library, with words that help nobody."""
    path = copy.stage("merged").path / "tokenizer_config.json"
    path.unlink()
    assert main(["ask", "Blue cup", "--run", str(copy.path)]) == 2
    assert f"{path} is missing" in capsys.readouterr().err


def test_another_runs_adapter_is_noticed(copy):
    """An adapter copied over by hand would be merged and measured under the wrong settings."""
    other = copy.stage("adapter").path / "adapter_model.safetensors"
    shutil.copy(copy.stage("merged").path / "model.safetensors", other)
    with pytest.raises(StageDamaged, match="adapter_model.safetensors: checksum mismatch"):
        copy.stage("adapter").verified()


@pytest.mark.parametrize("content", ["", "{", "\x00" * 40, "[1]"], ids=["empty", "cut", "zeros", "a list"])
def test_a_damaged_manifest_is_named(copy, content, capsys):
    """After a full disk or a crash of the machine a file can be there and empty."""
    path = copy.stage("merged").path / "manifest.json"
    path.write_text(content)
    assert main(["run", "--run", str(copy.path)]) == 2
    assert f"{path} is damaged" in capsys.readouterr().err


def test_a_removed_stage_is_made_again(copy, capsys):
    """The way out that the message names must be one."""
    shutil.rmtree(copy.stage("merged").path)
    assert main(["run", "--run", str(copy.path)]) == 0
    assert "merged: building (not built yet)" in capsys.readouterr().out
