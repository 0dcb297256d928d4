"""Run folders: one folder a run, one folder a stage, one manifest a stage.

`Run(path).stage("adapter")` is the folder `runs/<name>/adapter/`. Its `manifest.json` is written last, so its presence
means that the stage is complete; it records settings, fingerprints of the inputs, versions and costs. A stage whose
fingerprint matches is reused, another is rebuilt with the reason, so any notebook can be opened alone. The result that
a rebuild replaces is kept as a backup until the new one is complete.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from ftlib.config.settings import differences
from ftlib.runtime import hardware, provenance
from ftlib.runtime.console import log
from ftlib.runtime.errors import FtlibError
from ftlib.runtime.files import PIECE, file_fingerprint, large_file_fingerprint, read_json, write_json

STAGES = ("dataset", "index", "adapter", "merged", "evaluation")
PIECES = "pieces:"  # before the checksum of a large file, which is hashed on all cores

FORMAT = 2  # raise it when a stage's files change meaning: older stages are then rebuilt


class StageBusy(FtlibError):
    """Another process is writing this stage; the message says which."""


class StageDamaged(FtlibError):
    """A file of a stage was modified or corrupted; the message names it and what to do."""


class StageMissing(FtlibError):
    """A stage that is needed has not been built; the message names the command that builds it."""


_VERIFIED: set[tuple[Path, str]] = set()  # stages that this process has verified


def checksum(path: Path, in_pieces: bool | None = None) -> str:
    """Return the checksum of a stage's file.

    in_pieces: hash on all cores; as the file is large without. Manifests of earlier versions hash every file as a whole.
    """
    if in_pieces if in_pieces is not None else path.stat().st_size > PIECE:
        return PIECES + large_file_fingerprint(path)
    return file_fingerprint(path)


class StageKey(NamedTuple):
    """What a stage must match to be reused.

    Attributes:
        fingerprint: of the settings and of the inputs.
        config: {section: {key: value}} that the stage depends on.
        inputs: {name: fingerprint} of what it reads.
    """

    fingerprint: str
    config: dict
    inputs: dict


class Stage:
    """One stage folder of a run."""

    def __init__(self, path: Path, wait: bool = False):
        self.path, self.name, self.wait = path, path.name, wait
        self._manifest_path = path / "manifest.json"
        self._started_path = path / "started.json"
        # holds the complete result while a rebuild is unfinished
        self._backup = path.parent / f".{path.name}.before"
        self._lock = FileLock(path.parent / f".{path.name}.lock")

    @property
    def complete(self) -> bool:
        """Return True if the stage's manifest is there."""
        return self._manifest_path.exists()

    @property
    def started(self) -> bool:
        """Return True if ftlib made this folder: the stage is complete, or an attempt was interrupted."""
        return self.complete or self._started_path.exists()

    def manifest(self) -> dict:
        """Return the stage's manifest. Raises StageMissing with the command that builds it."""
        if not self.complete:
            commands = {"dataset": "prepare", "adapter": "train", "merged": "merge", "evaluation": "evaluate"}
            command = f"`ftlib {commands[self.name]}` (or `ftlib run`)" if self.name in commands else "`ftlib run`"
            raise StageMissing(f"{self.path} is missing or not finished: run {command} first")
        try:
            manifest = read_json(self._manifest_path)
        except ValueError as error:  # no JSON, or no text
            manifest = error
        if not isinstance(manifest, dict):
            raise StageDamaged(f"{self._manifest_path} is damaged ({str(manifest)[:80]}): {self._way_out()}")
        return manifest

    def verified(self) -> Path:
        """Return the stage's folder after comparing the checksums of its files, once a process.

        Raises StageMissing, or StageDamaged with the file's name and what to do.
        """
        manifest = self.manifest()
        key = (self.path.resolve(), manifest["finished"])
        if key not in _VERIFIED:
            for name, expected in manifest.get("sums", {}).items():
                path = self.path / name
                if not path.is_file():
                    raise StageDamaged(f"{path} is missing; {self._way_out()}")
                if checksum(path, in_pieces=expected.startswith(PIECES)) != expected:
                    raise StageDamaged(
                        f"{path}: checksum mismatch: the file was modified or corrupted; {self._way_out()}"
                    )
            _VERIFIED.add(key)
        return self.path

    def _way_out(self) -> str:
        return f"restore it from a backup, or delete {self.path} and run `ftlib run` again"

    def _sums(self) -> dict[str, str]:
        """Return {name: fingerprint} of the files that were written."""
        excluded = {self._manifest_path, self._started_path}
        files = sorted(path for path in self.path.rglob("*") if path.is_file() and path not in excluded)
        return {path.relative_to(self.path).as_posix(): checksum(path) for path in files}

    def stale_reason(self, key: StageKey) -> str | None:
        """Return why the stage on disk must be (re)built to match `key`, or None if it matches."""
        if not self.complete:
            return "interrupted earlier" if self._started_path.exists() else "not built yet"
        manifest = self.manifest()
        if manifest["fingerprint"] == key.fingerprint:
            return None
        changed = differences(manifest["config"], key.config)
        changed += [f"{name} changed" for name in key.inputs if manifest["read"].get(name) != key.inputs[name]]
        return "; ".join(changed) or "it was built by another version of ftlib"

    def can_resume(self, key: str) -> bool:
        """Return True if an interrupted attempt with the same fingerprint left a state to resume from."""
        return not self.complete and self._started_path.exists() and read_json(self._started_path)["fingerprint"] == key

    @contextlib.contextmanager
    def writing(self, key: StageKey, profile: str, keep: tuple[str, ...] = ()) -> Iterator[dict]:
        """Hold the stage's lock, back up a stale result, yield a dict for results, then write the manifest.

        A complete result is removed only when the new one is complete: see `restore`.
        keep: names inside the folder that survive although the settings changed (a file that checks itself).
        Raises StageBusy if another process holds the lock and this one does not wait.
        """
        with self.lock():
            for partial in self.path.rglob("*.partial"):
                if partial.is_file():  # left by a kill inside a rename; it does not belong to the stage's files
                    partial.unlink()
            if not self.can_resume(key.fingerprint):
                self._back_up(keep)
            write_json(self._started_path, {"fingerprint": key.fingerprint, "started": provenance.now()})
            started, result = time.perf_counter(), {}
            yield result
            manifest = {
                "stage": self.name,
                "fingerprint": key.fingerprint,
                "config": key.config,
                "read": key.inputs,
                "profile": profile,
                "versions": provenance.versions(),
                "git_commit": provenance.git_commit(),
                "device": hardware.device_name(),
                "finished": provenance.now(),
                "seconds": round(time.perf_counter() - started, 2),
                "peak_memory_mb": hardware.peak_memory_mb(),
                "sums": self._sums(),
                **result,
            }
            write_json(self._manifest_path, manifest)
            self._started_path.unlink()
            _remove_stage(self._backup)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the stage's lock; reentrant. The operating system frees it when its holder dies."""
        if self._lock.is_locked:
            yield
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        holder_path = self.path.parent / f".{self.name}.holder.json"
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            who = _holder(holder_path)
            if not self.wait:
                raise StageBusy(
                    f"{self.path} is being written by {who}: wait for it, or use --run with another folder"
                ) from None
            log.info(f"{self.path} is being written by {who}; waiting for it")
            self._lock.acquire()
        try:
            write_json(holder_path, {"pid": os.getpid(), "host": socket.gethostname(), "since": provenance.now()})
            yield
        finally:
            holder_path.unlink(missing_ok=True)
            self._lock.release()

    @property
    def has_backup(self) -> bool:
        """Return True if a rebuild did not finish and the result before it is still there."""
        return self._backup.exists()

    def restore(self, key: str) -> bool:
        """Put back the result that an unfinished rebuild was to replace, if it matches; return True if it did.

        key: the wanted fingerprint. The caller holds the lock. Removes that result if a newer one is complete.
        """
        before = Stage(self._backup)
        if self.complete or not before.complete:
            _remove_stage(self._backup)
            return False
        if before.manifest()["fingerprint"] != key:
            return False
        self._clear(())
        shutil.rmtree(self.path, ignore_errors=True)
        os.rename(self._backup, self.path)
        return True

    def _back_up(self, keep: tuple[str, ...]) -> None:
        """Make room for a new attempt: a complete result moves aside, copies of `keep` stay; anything else is cleared."""
        if not self.complete:
            self._clear(keep)
            return
        _remove_stage(self._backup)
        os.rename(self.path, self._backup)
        write_json(self._started_path, {"fingerprint": None, "started": provenance.now()})
        for name in keep:
            if (self._backup / name).exists():
                shutil.copy2(self._backup / name, self.path / name)

    def remove(self) -> None:
        """Delete the folder if ftlib made it; the caller holds the lock."""
        _remove_stage(self._backup)
        if self.started:
            self._clear(())
            shutil.rmtree(self.path)

    def _clear(self, keep: tuple[str, ...]) -> None:
        """Empty the folder, but only one that a stage made: `--run` may point anywhere.

        `started.json` comes first and stays: a half-emptied folder counts as interrupted, not as complete or foreign.
        """
        if not self.path.exists():
            return
        partial_name = self._started_path.name + ".partial"  # a kill before its rename leaves it alone in the folder
        content = [entry for entry in self.path.iterdir() if entry.name != partial_name]
        if content and not self.started:
            raise StageMissing(
                f"{self.path} holds files but no manifest.json, so ftlib did not make it and will not empty it: "
                "move them away, or use --run with another folder"
            )
        write_json(self._started_path, {"fingerprint": None, "started": provenance.now()})
        self._manifest_path.unlink(missing_ok=True)
        for entry in content:
            if entry.name in (*keep, self._started_path.name, self._manifest_path.name):
                continue
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _remove_stage(folder: Path) -> None:
    """Delete a stage's folder, its manifest first, so that a half-deleted stage does not count as complete."""
    if folder.exists():
        (folder / "manifest.json").unlink(missing_ok=True)
        shutil.rmtree(folder)


def _holder(path: Path) -> str:
    """Describe who holds a lock; the holder may have exited, or not have written its name yet."""
    try:
        holder = read_json(path)
    except (OSError, ValueError):
        return "another process"
    return f"process {holder['pid']} on {holder['host']} since {holder['since']}"


class Run:
    """A run folder. wait: a notebook waits for a stage that another process writes, the command line refuses."""

    def __init__(self, path: Path | str, wait: bool = False):
        self.path, self.wait = Path(path), wait
        # fsspec, which datasets writes with, parses these as URLs and chains of URLs
        if "::" in str(path) or re.match(r"\w{2,}:/", str(path)):
            raise FtlibError(
                f"{path} is no folder on a disk (it has :: or ://): give another one with --run or FTLIB_RUNS"
            )

    def stage(self, name: str) -> Stage:
        """Return a stage of this run, whether it is there or not."""
        return Stage(self.path / name, wait=self.wait)

    def manifests(self) -> dict[str, dict]:
        """Return {stage: manifest} of the complete stages."""
        return {name: self.stage(name).manifest() for name in STAGES if self.stage(name).complete}
