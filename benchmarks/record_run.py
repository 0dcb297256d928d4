"""Keep the figures of a run under results/, without any of its texts (the rows may not be ours to publish).

Why not the whole run folder: answers, side-by-side files and the report hold product texts; a merged model holds 270 MB.
How: python benchmarks/record_run.py runs/cpu cpu-sample, then python benchmarks/render_results.py
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from ftlib.pipeline.stage import STAGES, Run
from ftlib.runtime.files import write_json

ROOT = Path(__file__).resolve().parent.parent


def record(run: Run, folder: Path) -> None:
    """metrics.json, train_log.jsonl, and the manifests of all stages (settings, versions, seconds, memory, merge proof)."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(run.path / "evaluation" / "metrics.json", folder)
    shutil.copy(run.path / "adapter" / "train_log.jsonl", folder)
    manifests = {stage: run.stage(stage).manifest() for stage in STAGES}
    data = manifests["dataset"]["config"]["data"]
    data["path"] = Path(data["path"]).name  # where the file lay on this machine is nobody's business
    write_json(folder / "manifests.json", manifests)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a finished run folder")
    parser.add_argument("name", help="folder under results/")
    args = parser.parse_args()
    record(Run(args.run), ROOT / "results" / args.name)
    print(f"results/{args.name}: recorded")
