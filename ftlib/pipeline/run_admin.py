"""Where results live: one folder a run, one folder a stage, one manifest a stage.

What: `Run(path).stage("adapter")` is the folder `runs/<name>/adapter/`. Its `manifest.json` is written last, so its presence
means that the stage is whole. It holds the settings that made it, the fingerprint of what it read, versions and costs.
Why: a stage whose fingerprint still matches is reused; one that does not match is rebuilt, and says why. That is what lets
any notebook be opened alone, and what the reference lacked (its data set was reused whatever the settings were).
How: `with stage.writing(fingerprint, config, ...) as manifest:` holds a lock while the stage is written.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from filelock import FileLock, Timeout

from ftlib.config.settings import differences
from ftlib.runtime import hardware
from ftlib.runtime.errors import FtlibError

STAGES = ("dataset", "index", "adapter", "merged", "evaluation")
TRAINED_UIDS = "trained_uids.txt"  # in the adapter stage: the rows that its weights were trained on, in split order
FORMAT = 1  # raise it when a stage's files change meaning: older stages are then rebuilt
# Raise it when a metric or its interval changes meaning: answers are then scored again, not written again.
DEFINITIONS = 2
PIECE, READ = 2**26, 2**20  # bytes: of a piece of a large file, of one read


class StageBusy(FtlibError):
    """Another process is writing this stage; the message says which."""


class StageDamaged(FtlibError):
    """A file of a stage is not what was written there; the message names it and says what to do."""


class StageMissing(FtlibError):
    """A stage that is needed has not been made; the message says which command makes it."""


def repository() -> Path:
    """The root of the repository that ftlib lies in, else the current folder."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").exists() else Path.cwd()


def runs_root() -> Path:
    """FTLIB_RUNS, else `runs/` in `repository()`."""
    if os.environ.get("FTLIB_RUNS"):
        return home_path(os.environ["FTLIB_RUNS"], "FTLIB_RUNS")
    return repository() / "runs"


def home_path(text: str, setting: str) -> Path:
    """The path with ~ replaced. Raises FtlibError where there is no home folder to replace it with."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise FtlibError(f"{setting} = {text}: the home folder of ~ is not known here; write the whole path") from None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a name to write to, which becomes `path` at the end; after a failure nothing half-written is left.

    A reader sees the old file or the new one, never half of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a file in UTF-8, complete or not at all. Parts of file names that are no characters are written as JSON's escapes."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value) -> None:
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


class made_once:
    """`with made_once(folder) as partial:` yields None if `folder` exists, else an empty folder that becomes it at the end."""

    def __init__(self, folder: Path):
        self.folder, self.partial = folder, folder.with_name(folder.name + ".partial")
        folder.parent.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(str(folder) + ".lock")

    def __enter__(self) -> Path | None:
        self.lock.acquire()
        if self.folder.exists():
            return None
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir()
        return self.partial

    def __exit__(self, kind, error, trace) -> None:
        try:
            if kind is None and not self.folder.exists():
                os.replace(self.partial, self.folder)
            shutil.rmtree(self.partial, ignore_errors=True)  # what a failure left
        finally:
            self.lock.release()


def read_json(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))


def read_jsonl(path: Path) -> list[dict]:
    """The lines of a file that is appended to; [] if there is none. A last line cut by an interruption is left out."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def fingerprint(value) -> str:
    """A short hash of any JSON value; equal settings give equal fingerprints on every machine."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def file_fingerprint(path: Path) -> str:
    """A short hash of a file's bytes (a moved or touched file keeps it, an edited one does not)."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def large_file_fingerprint(path: Path) -> str:
    """`file_fingerprint` of a small file; of a large one a hash over those of its pieces, which all cores work on."""
    size = path.stat().st_size
    if size <= PIECE:
        return file_fingerprint(path)

    def of_piece(start: int) -> str:
        found = hashlib.sha256()
        with open(path, "rb") as file:
            file.seek(start)
            for _ in range(PIECE // READ):
                found.update(file.read(READ))
        return found.hexdigest()

    with ThreadPoolExecutor(hardware.usable_cores()) as pool:
        return fingerprint(list(pool.map(of_piece, range(0, size, PIECE))))


_FOUND_SOUND: set[tuple[Path, str]] = set()  # stages whose files this process has compared already


class Stage:
    """One stage folder of a run."""

    def __init__(self, path: Path, wait: bool = False):
        self.path, self.name, self.wait = path, path.name, wait
        self._manifest_path = path / "manifest.json"
        self._started_path = path / "started.json"
        self._before = path.parent / f".{path.name}.before"  # a whole result, until the one that replaces it is whole
        self._lock = FileLock(path.parent / f".{path.name}.lock")

    @property
    def whole(self) -> bool:
        return self._manifest_path.exists()

    @property
    def begun(self) -> bool:
        """True if ftlib made this folder: it is whole, or an attempt was interrupted."""
        return self.whole or self._started_path.exists()

    def manifest(self) -> dict:
        """The stage's manifest. Raises StageMissing with the command that makes it."""
        if not self.whole:
            commands = {"dataset": "prepare", "adapter": "train", "merged": "merge", "evaluation": "evaluate"}
            own = f"`ftlib {commands[self.name]}` (or `ftlib run`)" if self.name in commands else "`ftlib run`"
            raise StageMissing(f"{self.path} is not there or not finished: run {own} first")
        try:
            found = read_json(self._manifest_path)
        except ValueError as error:  # no JSON, or no text
            found = error
        if not isinstance(found, dict):
            raise StageDamaged(f"{self._manifest_path} is damaged ({str(found)[:80]}): {self._way_out()}")
        return found

    def sound(self) -> Path:
        """The stage's folder, after each of its files was compared with what was written; once a process.

        Raises StageMissing, or StageDamaged with the file's name and what to do.
        """
        manifest = self.manifest()
        known = (self.path.resolve(), manifest["finished"])
        if known not in _FOUND_SOUND:
            for name, expected in manifest.get("sums", {}).items():
                path = self.path / name
                if not path.is_file():
                    raise StageDamaged(f"{path} is missing: {self._way_out()}")
                if file_fingerprint(path) != expected:
                    raise StageDamaged(
                        f"{path} is not what was written there (damaged, or changed by hand): {self._way_out()}"
                    )
            _FOUND_SOUND.add(known)
        return self.path

    def _way_out(self) -> str:
        return (
            f"bring it back from a copy, or remove {self.path} and run `ftlib run` again, which makes this stage anew"
        )

    def _sums(self) -> dict[str, str]:
        """{name: fingerprint} of the files that were written."""
        own = {self._manifest_path, self._started_path}
        files = sorted(path for path in self.path.rglob("*") if path.is_file() and path not in own)
        return {path.relative_to(self.path).as_posix(): file_fingerprint(path) for path in files}

    def why_stale(self, key: str, config: dict, read: dict) -> str | None:
        """None if the stage on disk was made with this fingerprint, else the reason why it must be (re)built.

        key: the wanted fingerprint. config: the settings that it depends on. read: {name: fingerprint} of its inputs.
        """
        if not self.whole:
            return "interrupted earlier" if self._started_path.exists() else "not made yet"
        manifest = self.manifest()
        if manifest["fingerprint"] == key:
            return None
        changed = differences(manifest["config"], config)
        changed += [f"{name} changed" for name in read if manifest["read"].get(name) != read[name]]
        return "; ".join(changed) or "it was made by another version of ftlib"

    def can_resume(self, key: str) -> bool:
        """True if an interrupted attempt with the same fingerprint left something to go on from."""
        return not self.whole and self._started_path.exists() and read_json(self._started_path)["fingerprint"] == key

    @contextlib.contextmanager
    def writing(self, key: str, config: dict, read: dict, profile: str, keep: tuple[str, ...] = ()) -> Iterator[dict]:
        """Hold the stage's lock, set aside what is stale, yield a dict for results, then write the manifest.

        A whole result is removed only when the new one is whole: see `settle`.
        keep: names inside the folder that survive although the settings changed (a file that checks itself).
        Raises StageBusy if another process holds the lock and this one does not wait.
        """
        with self.lock():
            for partial in self.path.rglob("*.partial"):
                if partial.is_file():  # a kill inside a rename left it; it must not be counted among the stage's files
                    partial.unlink()
            if not self.can_resume(key):
                self._set_aside(keep)
            write_json(self._started_path, {"fingerprint": key, "started": hardware.now()})
            started, result = time.perf_counter(), {}
            yield result
            manifest = {
                "stage": self.name,
                "fingerprint": key,
                "config": config,
                "read": read,
                "profile": profile,
                "versions": hardware.versions(),
                "git_commit": hardware.git_commit(),
                "device": hardware.device_name(),
                "finished": hardware.now(),
                "seconds": round(time.perf_counter() - started, 2),
                "peak_memory_mb": hardware.peak_memory_mb(),
                "sums": self._sums(),
                **result,
            }
            write_json(self._manifest_path, manifest)
            self._started_path.unlink()
            _remove_stage(self._before)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """One writer a stage, who may ask again. The operating system frees the lock when its holder dies."""
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
            print(f"{self.path} is being written by {who}; waiting for it", flush=True)
            self._lock.acquire()
        try:
            write_json(holder_path, {"pid": os.getpid(), "host": socket.gethostname(), "since": hardware.now()})
            yield
        finally:
            holder_path.unlink(missing_ok=True)
            self._lock.release()

    @property
    def replaced(self) -> bool:
        """True if the result before an attempt that did not end is still there."""
        return self._before.exists()

    def settle(self, key: str) -> bool:
        """Put back the result that an unfinished attempt was to replace, if it is the wanted one; true if it was.

        key: the wanted fingerprint. The caller holds the lock. Removes that result if a newer one is whole.
        """
        before = Stage(self._before)
        if self.whole or not before.whole:
            _remove_stage(self._before)
            return False
        if before.manifest()["fingerprint"] != key:
            return False
        self._clear(())
        shutil.rmtree(self.path, ignore_errors=True)
        os.rename(self._before, self.path)
        return True

    def _set_aside(self, keep: tuple[str, ...]) -> None:
        """Make room for a new attempt: a whole result moves aside, copies of `keep` stay; anything else is cleared."""
        if not self.whole:
            self._clear(keep)
            return
        _remove_stage(self._before)
        os.rename(self.path, self._before)
        write_json(self._started_path, {"fingerprint": None, "started": hardware.now()})
        for name in keep:
            if (self._before / name).exists():
                shutil.copy2(self._before / name, self.path / name)

    def remove(self) -> None:
        """Delete the folder if ftlib made it; the caller holds the lock."""
        _remove_stage(self._before)
        if self.begun:
            self._clear(())
            shutil.rmtree(self.path)

    def _clear(self, keep: tuple[str, ...]) -> None:
        """Empty the folder, but only one that a stage made: `--run` may point anywhere.

        `started.json` comes first and stays: a half-emptied folder counts as interrupted, not whole, not foreign.
        """
        if not self.path.exists():
            return
        own = self._started_path.name + ".partial"  # a kill before its rename leaves it alone in the folder
        content = [entry for entry in self.path.iterdir() if entry.name != own]
        if content and not self.begun:
            raise StageMissing(
                f"{self.path} holds files but no manifest.json, so ftlib did not make it and will not empty it: "
                "move them away, or use --run with another folder"
            )
        write_json(self._started_path, {"fingerprint": None, "started": hardware.now()})
        self._manifest_path.unlink(missing_ok=True)
        for entry in content:
            if entry.name in (*keep, self._started_path.name, self._manifest_path.name):
                continue
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _remove_stage(folder: Path) -> None:
    """Delete a stage's folder, its manifest first: what is half deleted must not look whole."""
    if folder.exists():
        (folder / "manifest.json").unlink(missing_ok=True)
        shutil.rmtree(folder)


def _holder(path: Path) -> str:
    """Who holds a lock, in words; the holder may just have gone, or not have signed yet."""
    try:
        holder = read_json(path)
    except (OSError, ValueError):
        return "another process"
    return f"process {holder['pid']} on {holder['host']} since {holder['since']}"


class Run:
    """A run folder. wait: a notebook waits for a stage that another process writes, the command line refuses."""

    def __init__(self, path: Path | str, wait: bool = False):
        self.path, self.wait = Path(path), wait
        # fsspec, by which datasets writes, takes these for addresses and chains of them
        if "::" in str(path) or re.match(r"\w{2,}:/", str(path)):
            raise FtlibError(
                f"{path} is no folder on a disk (it has :: or ://): give another one with --run or FTLIB_RUNS"
            )

    def stage(self, name: str) -> Stage:
        return Stage(self.path / name, wait=self.wait)

    def manifests(self) -> dict[str, dict]:
        """{stage: manifest} of the stages that are whole."""
        return {name: self.stage(name).manifest() for name in STAGES if self.stage(name).whole}


def list_runs(root: Path | None = None) -> list[Run]:
    """The runs under a folder (default: runs_root()), sorted by name."""
    root = root or runs_root()
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.exists() else []
    return [run for run in map(Run, folders) if run.manifests()]


def size_mb(path: Path) -> float:
    """Bytes under a folder, in MB."""
    return round(sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 2**20, 1)


def headline(run: Run) -> dict[str, float]:
    """The few figures by which runs are told apart, from the unseen titles of `evaluation/metrics.json`; {} without one."""
    path = run.path / "evaluation" / "metrics.json"
    if not path.exists():
        return {}
    systems = read_json(path)["unseen"]["systems"]
    wanted = [(s, m) for m in ("nll", "rougeL", "format") for s in ("base", "tuned")]
    return {f"{m} {s}": systems[s][m]["mean"] for s, m in wanted if m in systems.get(s, {})}


def compare(runs: list[Run]) -> dict[str, dict[str, object]]:
    """{run name: {setting that differs between the runs, and headline metric: value}}."""
    from ftlib.config.settings import flatten

    settings = {run.path.name: flatten(_recorded(run)) for run in runs}
    keys = sorted({key for values in settings.values() for key in values})
    differing = [key for key in keys if len({repr(values.get(key)) for values in settings.values()}) > 1]
    return {run.path.name: {key: settings[run.path.name].get(key) for key in differing} | headline(run) for run in runs}


def _recorded(run: Run) -> dict:
    """The settings that the stages of a run were made with, later stages over earlier ones."""
    recorded: dict = {}
    for manifest in run.manifests().values():
        recorded |= manifest["config"]
    return recorded


def clean(run: Run, everything: bool = False) -> float:
    """Remove what can be made again from the rest, the merged weights and the index; with `everything`, the whole run.

    Answers and metrics are kept unless `everything`, and so are an interrupted training's checkpoints. Returns the MB
    that were freed. Raises StageBusy, before anything is removed, if a stage of these is being written.
    """
    before = size_mb(run.path)
    stages = [run.stage(name) for name in (STAGES if everything else ("index", "merged"))]
    with contextlib.ExitStack() as locks:
        for stage in stages:
            locks.enter_context(stage.lock())
        for stage in stages:
            stage.remove()
    if everything:
        for name in STAGES:
            (run.path / f".{name}.lock").unlink(missing_ok=True)
        if not any(run.path.iterdir()):
            run.path.rmdir()
            return before
    return round(before - size_mb(run.path), 1)
