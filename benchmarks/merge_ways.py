"""Measure the ways to merge an adapter of a finished run, on real weights, and keep the figures under results/.

Why: notebook 04 argues from these differences; with the smoke profile's random weights they are close to nothing.
How: python benchmarks/merge_ways.py runs/real cpu-real
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ftlib.config.settings import Config
from ftlib.merging import compare_ways
from ftlib.pipeline.stage import Run
from ftlib.pipeline.stages import load_dataset, recorded_settings
from ftlib.runtime.files import write_json

ROOT = Path(__file__).resolve().parent.parent

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a run folder with a trained adapter")
    parser.add_argument("name", help="folder under results/")
    parser.add_argument("--rows", type=int, default=100, help="validation rows")
    args = parser.parse_args()
    run = Run(args.run)
    profile = run.stage("adapter").manifest()["profile"]
    cfg = Config.load(profile, inherited=recorded_settings(run, "merged"), env={})
    found = compare_ways(cfg, load_dataset(run), run.stage("adapter").path, args.rows)
    write_json(ROOT / "results" / args.name / "merge_ways.json", {"rows": args.rows, "ways": found})
    for name, way in found.items():
        print(f"{name:>32}: NLL {way['nll']:.4f}, logits differ by {way['mean']:.3g} on average")
