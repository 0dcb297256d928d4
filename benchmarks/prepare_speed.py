"""`ftlib prepare` at full size, against a straightforward reader, in one run: rows/s and the highest memory of all its processes.

What: both read one synthetic file (`make_catalog.py`), each as a process of its own, in turns. The straightforward reader does
what the reference does: json.loads of every line, every prompt built into a list, shuffled, cut; it neither cleans nor groups,
and saves nothing. Ours is the whole command. Then ours alone on files of several sizes: does the cost grow as the rows do?
Why medians, and the memory apart: a shared machine is a tenth faster or slower from one minute to the next, and to look at the
memory of a process that holds gigabytes slows it down.
How: python benchmarks/prepare_speed.py (a quarter of an hour on two cores, 5 GB of disk). It writes results/prepare_speed.json
and results/prepare_growth.png. To try it: --rows 20000 --sizes 10000 20000 --out FILE
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from make_catalog import REAL_ROWS, write

from ftlib.pipeline.stage import Run
from ftlib.reporting.plots import growth_plot
from ftlib.runtime import hardware, provenance
from ftlib.runtime.files import read_json, write_json

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "results" / "prepare_speed.json"
SIZES = (250_000, 500_000, 1_000_000, REAL_ROWS, 2 * REAL_ROWS)
EVERY = 0.03  # seconds between two looks at the memory


def straightforward(path: Path) -> None:
    """The reference's way to get its 12,000 rows."""
    from ftlib.prompts.templates import build_prompt, build_target

    rows = []
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            title, content = row.get("title") or "", row.get("content") or ""
            if len(title) > 2 and len(content) > 19:
                rows.append(
                    {"uid": row.get("uid"), "input_text": build_prompt(title), "target_text": build_target(content)}
                )
    random.Random(42).shuffle(rows)
    rows = rows[:12_000]
    print(len(rows))


def measure(command: list[str]) -> float:
    """Seconds that a command takes."""
    begun = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def peak_mb(command: list[str]) -> float:
    """Highest memory of a command and all its children in MiB; memory that they share is counted once (PSS)."""
    peak = 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):  # it ended meanwhile
            peak = max(peak, sum(each.memory_full_info().pss for each in [watched, *watched.children(recursive=True)]))
        time.sleep(EVERY)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed; nothing was written")
    return round(peak / 2**20, 1)


def prepare(path: Path, run: Path) -> list[str]:
    """The whole command, from process start to saved data set."""
    shutil.rmtree(run, ignore_errors=True)
    return [sys.executable, "-m", "ftlib", "prepare", "--profile", "gpu", "--data", str(path), "--run", str(run)]


def checked(run: Path, rows: int) -> dict:
    """Rows and groups that were kept; stops if another file was read than was meant."""
    funnel = read_json(Run(run).stage("dataset").path / "funnel.json")
    if funnel["rows_in"] != rows:
        sys.exit(f"{funnel['rows_in']} rows were read instead of {rows}")
    return {"kept": funnel["kept"], "groups": funnel["groups"]}


def figures(seconds: list[float], peak: float, rows: int) -> dict:
    middle = statistics.median(seconds)
    return {
        "seconds": round(middle, 2),
        "each": [round(each, 2) for each in seconds],
        "rows_per_s": round(rows / middle),
        "peak_mb": peak,
    }


def compared(path: Path, rows: int, times: int, folder: Path) -> dict:
    """Both on the same file, in turns."""
    simple, run = [sys.executable, __file__, "--straightforward", str(path)], folder / "run"
    theirs, own = [], []
    for _ in range(times):
        theirs.append(measure(simple))
        own.append(measure(prepare(path, run)))
    found = {
        "gigabytes": round(path.stat().st_size / 1e9, 2),
        "straightforward": figures(theirs, peak_mb(simple), rows),
        "ftlib prepare": figures(own, peak_mb(prepare(path, run)), rows) | checked(run, rows),
    }
    ratio = found["straightforward"]["seconds"] / found["ftlib prepare"]["seconds"]
    return found | {"times_as_fast": round(ratio, 2)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=REAL_ROWS)
    parser.add_argument("--times", type=int, default=3, help="how often each is timed; the median counts")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "ftlib-prepare", help="for the files"
    )
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--straightforward", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.straightforward:
        straightforward(args.straightforward)
        sys.exit()
    args.folder.mkdir(parents=True, exist_ok=True)
    plain = args.folder / f"catalogue-{args.rows}.json"
    packed = plain.with_suffix(".json.gz")
    found: dict = {"rows": args.rows, "files": {}, "growth": []}
    write(plain, args.rows)
    with open(plain, "rb") as source, gzip.open(packed, "wb", compresslevel=6) as target:
        shutil.copyfileobj(source, target, 2**20)
    for path in (plain, packed):
        found["files"][path.name.split(".", 1)[1]] = compared(path, args.rows, args.times, args.folder)
        print(path.name, json.dumps(found["files"], indent=1), flush=True)
    packed.unlink()
    for size in args.sizes:
        path, run = args.folder / f"catalogue-{size}.json", args.folder / "run"
        if not path.exists():
            write(path, size)
        seconds = [measure(prepare(path, run)) for _ in range(args.times)]
        found["growth"].append(
            {"rows": size} | figures(seconds, peak_mb(prepare(path, run)), size) | checked(run, size)
        )
        print(found["growth"][-1], flush=True)
        if path != plain:
            path.unlink()
    shutil.rmtree(args.folder / "run")
    found |= {"device": hardware.device_name(), "versions": provenance.versions(), "finished": provenance.now()}
    write_json(args.out, found)
    growth_plot(found["growth"], args.out.with_name("prepare_growth.png"))
