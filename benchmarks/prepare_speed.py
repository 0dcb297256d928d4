"""`ftlib prepare` at full size, against a straightforward reader, in one run: rows/s and the highest memory of all its processes.

What: both read the same made-up file (`make_catalog.py`), each as a process of its own. The straightforward reader does what the
reference does: json.loads of every line, every prompt built into a list, shuffled, cut; it neither cleans nor groups, and saves
nothing. Ours is the whole command. Then ours alone on files of several sizes: does the cost grow as the rows do?
How: python benchmarks/prepare_speed.py (a quarter of an hour on two cores, 5 GB of disk). It writes results/prepare_speed.json
and results/prepare_growth.png. To try it: --rows 20000 --sizes 10000 20000 --out FILE
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from make_catalog import REAL_ROWS, write

from ftlib import hardware
from ftlib.plots import growth_plot
from ftlib.runs import Run, read_json, write_json

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "results" / "prepare_speed.json"
SIZES = (250_000, 500_000, 1_000_000, REAL_ROWS, 2 * REAL_ROWS)
EVERY = 0.1  # seconds between two looks at the memory


def straightforward(path: Path) -> None:
    """The reference's way to get its 12,000 rows."""
    from ftlib.prompts import build_prompt, build_target

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


def measure(command: list[str], env: dict | None = None) -> dict:
    """Seconds and highest memory of a command and all its children; memory that they share is counted once (PSS)."""
    begun, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | (env or {}))
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        total = 0
        try:
            for each in [watched, *watched.children(recursive=True)]:
                total += each.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue  # it ended while it was looked at
        peak = max(peak, total)
        time.sleep(EVERY)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed; nothing was written")
    return {"seconds": round(time.perf_counter() - begun, 2), "peak_mb": round(peak / 2**20, 1)}


def ours(path: Path, rows: int) -> dict:
    """The whole command, from process start to saved data set."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        command = [
            sys.executable,
            "-m",
            "ftlib",
            "prepare",
            "--profile",
            "gpu",
            "--data",
            str(path),
            "--run",
            folder + "/run",
        ]
        found = measure(command)
        stage = Run(Path(folder) / "run").stage("dataset")
        funnel = read_json(stage.path / "funnel.json")
    if funnel["rows_in"] != rows:
        sys.exit(f"{funnel['rows_in']} rows were read instead of {rows}: {path} is not the file that was meant")
    return found | {"rows_per_s": round(rows / found["seconds"]), "kept": funnel["kept"], "groups": funnel["groups"]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=REAL_ROWS)
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
        simple = measure([sys.executable, __file__, "--straightforward", str(path)])
        simple["rows_per_s"] = round(args.rows / simple["seconds"])
        mine = ours(path, args.rows)
        found["files"][path.name.split(".", 1)[1]] = {
            "gigabytes": round(path.stat().st_size / 1e9, 2), "straightforward": simple, "ftlib prepare": mine,
            "times_as_fast": round(simple["seconds"] / mine["seconds"], 2),
        }  # fmt: skip
        print(path.name, simple, mine, flush=True)
    packed.unlink()
    for size in args.sizes:
        path = args.folder / f"catalogue-{size}.json"
        if not path.exists():
            write(path, size)
        found["growth"].append({"rows": size} | ours(path, size))
        print(found["growth"][-1], flush=True)
        if path != plain:
            path.unlink()
    found |= {"device": hardware.device_name(), "versions": hardware.versions(), "finished": hardware.now()}
    write_json(args.out, found)
    growth_plot(found["growth"], args.out.with_name("prepare_growth.png"))
