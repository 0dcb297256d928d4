"""Kill `ftlib run` at random moments of each stage, run it again, and compare with a run that nobody disturbed.

What: one undisturbed run at smoke size; then for each stage, signal and random moment a copy of it without that stage and those
after it, a process that is killed at that moment, a look at what it left, and a second process that must finish. At last several
runs that begin at once on one folder. Why forked: to import torch takes longer than a stage; the forking process itself never
computes, so its children may.
How: python tests/kills.py --points 20 (300 kills, half an hour). It prints what came out as JSON, with --out into a file too
(results/kills.json is such a one); `test_interruptions.py` reads it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "ctrl-c": signal.SIGINT}
OPTIONS = ["--set", "evaluation.open_book=true", "--set", "train.save_steps=1", "--set", "train.eval_steps=1"]
AT_ONCE = 4  # runs that begin together on one folder
PATIENCE = 120  # seconds for a run that was not killed


def start(run: Path, log: Path) -> int:
    """A child that runs `ftlib run`, with its output in `log`; returns its number."""
    child = os.fork()
    if child:
        return child
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    from ftlib.cli import main

    status = 99
    try:
        status = main(["run", "--run", str(run), *OPTIONS])
    finally:
        sys.stdout.flush()
        os._exit(status)


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
    from ftlib.runs import file_fingerprint, read_json

    folder = run / stage
    if stage == "evaluation":
        metrics = read_json(folder / "metrics.json")
        return {split: metrics[split] for split in ("unseen", "seen")}
    kinds = (".arrow", ".safetensors", ".npy", ".npz", ".index.json")
    # those that the manifest names: later stages keep files of their own beside them
    names = [name for name in read_json(folder / "manifest.json")["sums"] if name.endswith(kinds)]
    return {name: file_fingerprint(folder / name) for name in names}


def trial(whole: Path, expected: dict, stage: str, moment: float, how: str, folder: Path) -> str | None:
    """None if the run survived, else what went wrong."""
    from ftlib.runs import STAGES

    run, log = folder / "run", folder / "log"
    shutil.copytree(whole, run)
    for each in STAGES[STAGES.index(stage) :]:
        shutil.rmtree(run / each)
    child = start(run, log)
    ended = wait(child, moment)
    if ended is None:
        os.kill(child, SIGNALS[how])
        ended = wait(child, PATIENCE)
        if ended is None:
            os.kill(child, signal.SIGKILL)
            wait(child, PATIENCE)
            return "it did not end when it was told to"
    for each in STAGES:
        if (run / each / "manifest.json").exists() and made(run, each) != expected[each]:
            return f"after the kill {each} looks whole and is not"
    child = start(run, log)
    ended = wait(child, PATIENCE)
    if ended != 0:
        if ended is None:
            os.kill(child, signal.SIGKILL)
            wait(child, PATIENCE)
        return f"the second run ended with {ended}: {log.read_text(errors='replace')[-600:]}"
    differ = [each for each in STAGES if made(run, each) != expected[each]]
    return f"other results in {', '.join(differ)}" if differ else None


def together(expected: dict, folder: Path) -> tuple[int, str | None]:
    """Several runs begin at once on one folder: (how many were refused, what went wrong)."""
    logs = [folder / f"log{number}" for number in range(AT_ONCE)]
    children = [start(folder / "run", log) for log in logs]
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=20, help="moments for each stage and signal")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    begun = time.monotonic()
    os.environ |= {
        "FTLIB_PROFILE": "smoke",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    # what a run imports on its way, so that the children need not
    import ftlib.evaluation
    import ftlib.training  # noqa: F401
    from ftlib import hardware
    from ftlib.runs import STAGES, read_json, write_json

    draw, found = (
        random.Random(args.seed),
        {"tried": 0, "survived": 0, "by_stage": {}, "begun_together": 0, "refused": 0, "failures": []},
    )
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "whole"
        status = wait(start(whole, Path(place) / "log"), PATIENCE)
        if status != 0:
            sys.exit(f"the undisturbed run ended with {status}:\n{(Path(place) / 'log').read_text()}")
        expected = {stage: made(whole, stage) for stage in STAGES}
        assert all(expected.values()), expected
        for stage in STAGES:
            seconds = read_json(whole / stage / "manifest.json")["seconds"]
            counts = found["by_stage"][stage] = {"seconds": seconds, "tried": 0, "survived": 0}
            for how in SIGNALS:
                for _ in range(args.points):
                    moment = draw.uniform(0, seconds + 0.3)
                    with tempfile.TemporaryDirectory(dir=place) as folder:
                        wrong = trial(whole, expected, stage, moment, how, Path(folder))
                    for each in (found, counts):
                        each["tried"] += 1
                        each["survived"] += wrong is None
                    if wrong:
                        found["failures"].append(f"{stage}, {how} after {moment:.2f} s: {wrong}")
        for _ in range(max(args.points // 4, 1)):
            with tempfile.TemporaryDirectory(dir=place) as folder:
                refused, wrong = together(expected, Path(folder))
            found["begun_together"] += AT_ONCE
            found["refused"] += refused
            if wrong:
                found["failures"].append(f"{AT_ONCE} at once: {wrong}")
    found |= {"seconds": round(time.monotonic() - begun), "device": hardware.device_name(), "finished": hardware.now()}
    if args.out:
        write_json(args.out, found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
