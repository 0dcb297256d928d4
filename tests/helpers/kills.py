"""Kill `ftlib run` at random moments and at named points of each stage, run it again, and compare with an undisturbed run.

For each scheduler: one undisturbed run at smoke size; then, for each stage, copies of it without that stage and those after it,
in which a process is killed at a random moment (three signals) or by itself at a named point, and a second process that must
finish. Last, several runs that start at once on one folder. Processes are forked, because importing torch takes longer than a
stage; the forking process never computes, so its children may.

A named point is found by Python's audit events (PEP 578): the child is killed when it is about to open a file of the stage for
writing, to rename one, or to write its manifest. Files that compiled code writes raise no such event.

Run: `python tests/helpers/kills.py --random 3 --named 11 --schedulers cosine linear` (200 kills, about 20 minutes). Prints the
counts as JSON and writes them with --out (results/kills.json), which `test_interruptions.py` reads.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from ftlib.runtime import provenance

SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "ctrl-c": signal.SIGINT}
OPTIONS = ["--set", "evaluation.open_book=true", "--set", "train.save_steps=1", "--set", "train.eval_steps=1"]
SCHEDULERS = ("cosine", "linear", "constant_with_warmup")
POINTS = ("between_two_files", "inside_a_rename", "before_the_manifest", "after_the_last_checkpoint")
AT_ONCE = 4  # runs that start together on one folder
PATIENCE = 120  # seconds for a run that was not killed


def start(run: Path, log: Path, scheduler: str, before: Callable[[], None] = lambda: None) -> int:
    """Fork a child that runs `ftlib run`, with its output in `log`; returns its pid. before: called in the child first."""
    child = os.fork()
    if child:
        return child
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    from ftlib.cli.entry import main

    status = 99
    try:
        before()
        status = main(["run", "--run", str(run), *OPTIONS, "--set", f"train.scheduler={scheduler}"])
    finally:
        sys.stdout.flush()
        os._exit(status)


def on_write(folder: Path, act: Callable[[str, str], None]) -> None:
    """Call act(event, file name) before each file below `folder` is opened for writing ("open") or renamed ("rename")."""
    prefix = str(folder.resolve()) + os.sep

    def hook(event: str, args: tuple) -> None:
        if event == "open" and isinstance(args[0], str) and isinstance(args[2], int):
            writes = args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and os.path.realpath(args[0]).startswith(prefix):
                act("open", args[0])
        elif event == "os.rename" and os.path.realpath(os.fspath(args[1])).startswith(prefix):
            act("rename", os.fspath(args[1]))

    sys.addaudithook(hook)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(point: str, folder: Path, draw: random.Random, events: list[str]) -> Callable[[], None]:
    """Return what a child does first so that it dies at a named point of the stage in `folder`.

    events: those of an undisturbed run, "open" or "rename" each; one of them is drawn.
    """
    if point == "after_the_last_checkpoint":

        def patch() -> None:
            from ftlib.training import fine_tuning

            fine_tuning.save_adapter = lambda *_: die()

        return patch
    if point == "before_the_manifest":
        wanted = ("open", "manifest.json.partial")
        return lambda: on_write(folder, lambda event, name: (event, os.path.basename(name)) == wanted and die())
    kind = "rename" if point == "inside_a_rename" else "open"
    number, seen = draw.randrange(max(events.count(kind), 1)), []

    def act(event: str, _: str) -> None:
        seen.append(event)
        if event == kind and seen.count(kind) > number:
            die()

    return lambda: on_write(folder, act)


def wait(child: int, seconds: float) -> int | None:
    """The exit status of a child (negative: the signal that ended it); None if it still runs after so many seconds."""
    until = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            return None
        time.sleep(0.005)


def made(run: Path, stage: str) -> dict:
    """What a stage is compared by: bytes of data, weights and index, and the figures of the evaluation."""
    from ftlib.runtime.files import file_fingerprint, read_json

    folder = run / stage
    if stage == "evaluation":
        metrics = read_json(folder / "metrics.json")
        return {split: metrics[split] for split in ("unseen", "seen")}
    kinds = (".arrow", ".safetensors", ".npy", ".npz", ".index.json", ".txt")
    # those that the manifest names: later stages keep files of their own beside them
    names = [name for name in read_json(folder / "manifest.json")["sums"] if name.endswith(kinds)]
    return {name: file_fingerprint(folder / name) for name in names}


def copied(whole: Path, stage: str, folder: Path) -> Path:
    """Copy a run without a stage and those after it."""
    from ftlib.pipeline.stage import STAGES

    run = folder / "run"
    shutil.copytree(whole, run)
    for each in STAGES[STAGES.index(stage) :]:
        shutil.rmtree(run / each)
    return run


def events_of(whole: Path, stage: str, scheduler: str, folder: Path) -> list[str]:
    """Return the write events of a stage that nobody kills, in their order."""
    run, out = copied(whole, stage, folder), folder / "events"

    def record() -> None:
        on_write(run / stage, lambda event, _: os.write(descriptor, f"{event}\n".encode()))

    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    ended = wait(start(run, folder / "log", scheduler, record), PATIENCE)
    os.close(descriptor)
    assert ended == 0, (folder / "log").read_text(errors="replace")
    return out.read_text().split()


def trial(
    whole: Path,
    expected: dict,
    stage: str,
    scheduler: str,
    folder: Path,
    moment: float | None = None,
    how: str = "kill",
    point: Callable[[Path], Callable[[], None]] | None = None,
) -> str | None:
    """Kill a run and run it again; returns None if it survived, else what went wrong.

    moment, how: seconds after the start and the signal; or point: stage folder -> what makes the child die by itself.
    """
    from ftlib.pipeline.stage import STAGES

    run, log = copied(whole, stage, folder), folder / "log"
    child = start(run, log, scheduler, point(run / stage) if point else lambda: None)
    ended = wait(child, PATIENCE if point else moment)
    if point and ended != -signal.SIGKILL:
        return f"it was not killed at the named point, it ended with {ended}"
    if ended is None:
        os.kill(child, SIGNALS[how])
        ended = wait(child, PATIENCE)
        if ended is None:
            os.kill(child, signal.SIGKILL)
            wait(child, PATIENCE)
            return "it did not end when it was told to"
    for each in STAGES:
        if (run / each / "manifest.json").exists() and made(run, each) != expected[each]:
            return f"after the kill {each} looks complete and is not"
    child = start(run, log, scheduler)
    ended = wait(child, PATIENCE)
    if ended != 0:
        if ended is None:
            os.kill(child, signal.SIGKILL)
            wait(child, PATIENCE)
        return f"the second run ended with {ended}: {log.read_text(errors='replace')[-600:]}"
    differ = [each for each in STAGES if made(run, each) != expected[each]]
    return f"other results in {', '.join(differ)}" if differ else None


def together(expected: dict, scheduler: str, folder: Path) -> tuple[int, str | None]:
    """Start several runs at once on one folder; returns (how many were refused, what went wrong)."""
    logs = [folder / f"log{number}" for number in range(AT_ONCE)]
    children = [start(folder / "run", log, scheduler) for log in logs]
    ended = [wait(child, PATIENCE) for child in children]
    for child in (child for child, status in zip(children, ended, strict=True) if status is None):
        os.kill(child, signal.SIGKILL)
        wait(child, PATIENCE)
    said = [log.read_text(errors="replace") for log in logs]
    refused = [text for text, status in zip(said, ended, strict=True) if status == 2]
    if not set(ended) <= {0, 2} or 0 not in ended or not all("is being written by process" in text for text in refused):
        return len(refused), f"they ended with {ended}: {said[-1][-300:]}"
    differ = [stage for stage in expected if made(folder / "run", stage) != expected[stage]]
    return len(refused), f"other results in {', '.join(differ)}" if differ else None


def points_of(stage: str) -> tuple[str, ...]:
    """The named points that a stage has."""
    return POINTS if stage == "adapter" else POINTS[:-1]


Trial = tuple[str, str, str, str | None]  # stage, label, scheduler, what went wrong


def kill_stage(args, place: Path, scheduler: str, stage: str) -> list[Trial]:
    """All kills of one stage under one scheduler, on copies of its undisturbed run."""
    from ftlib.pipeline.stage import STAGES
    from ftlib.runtime.files import read_json

    draw, whole = random.Random(f"{args.seed} {scheduler} {stage}"), place / f"whole-{scheduler}"
    expected, found = {name: made(whole, name) for name in STAGES}, []
    assert all(expected.values()), expected

    def count(label: str, **options) -> None:
        with tempfile.TemporaryDirectory(dir=place) as folder:
            wrong = trial(whole, expected, stage, scheduler, Path(folder), **options)
        found.append((stage, label, scheduler, wrong))

    seconds = read_json(whole / stage / "manifest.json")["seconds"]
    for how in SIGNALS:
        for _ in range(args.random):
            count(f"random, {how}", moment=draw.uniform(0, seconds + 0.3), how=how)
    if args.named:
        with tempfile.TemporaryDirectory(dir=place) as folder:
            events = events_of(whole, stage, scheduler, Path(folder))
    points = args.points or points_of(stage)
    for number in range(args.named):
        point = points[number % len(points)]
        count(point, point=functools.partial(kill_at, point, draw=draw, events=events))
    return found


def start_together(args, place: Path, scheduler: str) -> tuple[int, int, list[str]]:
    """Start several runs at once: (how many, how many were refused, what went wrong)."""
    from ftlib.pipeline.stage import STAGES

    expected, refused, failures = {name: made(place / f"whole-{scheduler}", name) for name in STAGES}, 0, []
    for _ in range(args.together):
        with tempfile.TemporaryDirectory(dir=place) as folder:
            count, wrong = together(expected, scheduler, Path(folder))
        refused += count
        failures += [f"{AT_ONCE} at once: {wrong}"] if wrong else []
    return AT_ONCE * args.together, refused, failures


def run_whole(place: Path, scheduler: str) -> None:
    """The undisturbed run of a scheduler. Exits if it fails."""
    log = place / f"log-{scheduler}"
    status = wait(start(place / f"whole-{scheduler}", log, scheduler), PATIENCE)
    if status != 0:
        sys.exit(f"the undisturbed run ended with {status}:\n{log.read_text()}")


def summary(trials: list[Trial]) -> dict:
    """Count kills tried and survived: in all, by stage, by label, by scheduler."""
    found: dict = {"tried": len(trials), "survived": sum(wrong is None for *_, wrong in trials)}
    for position, group in enumerate(("by_stage", "by_point", "by_scheduler")):
        counts = found[group] = {}
        for each in trials:
            entry = counts.setdefault(each[position], {"tried": 0, "survived": 0})
            entry["tried"] += 1
            entry["survived"] += each[3] is None
    return found | {"failures": [f"{c}, {a}, {b}: {wrong}" for a, b, c, wrong in trials if wrong]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--random", type=int, default=3, help="random moments for each scheduler, stage and signal")
    parser.add_argument("--named", type=int, default=11, help="kills at named points for each scheduler and stage")
    parser.add_argument(
        "--together", type=int, default=1, help="how often several runs start at once, for each scheduler"
    )
    parser.add_argument("--schedulers", nargs="+", default=SCHEDULERS)
    parser.add_argument("--stages", nargs="+", help="these stages only")
    parser.add_argument("--points", nargs="+", choices=POINTS, help="these named points only")
    parser.add_argument("--jobs", type=int, default=1, help="stages that are worked on at once")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    started = time.monotonic()
    os.environ |= {
        "FTLIB_PROFILE": "smoke",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    # what a run imports on its way, so that the children need not
    import ftlib.evaluation.runner
    import ftlib.pipeline.preflight
    import ftlib.training.fine_tuning  # noqa: F401
    from ftlib.pipeline.stage import STAGES
    from ftlib.runtime import hardware
    from ftlib.runtime.files import write_json

    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(args.jobs, get_context("fork")) as pool:
        place = Path(folder)
        list(pool.map(run_whole, *zip(*((place, scheduler) for scheduler in args.schedulers), strict=True)))
        tasks = [(scheduler, stage) for scheduler in args.schedulers for stage in args.stages or STAGES]
        done = [pool.submit(kill_stage, args, place, *task) for task in tasks]
        at_once = [pool.submit(start_together, args, place, scheduler) for scheduler in args.schedulers]
        found = summary([each for task in done for each in task.result()])
        started_together, refused, failures = zip(*(task.result() for task in at_once), strict=True)
    found |= {"started_together": sum(started_together), "refused": sum(refused)}
    found["failures"] += [each for some in failures for each in some]
    found |= {
        "seconds": round(time.monotonic() - started),
        "device": hardware.device_name(),
        "finished": provenance.now(),
    }
    if args.out:
        write_json(args.out, found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
