"""What does a loss curve look like when the rate is too high or too low, when the model overfits, and when all is right?

What: four short trainings of the cpu profile's model and rank on the sample, each wrong in one way, with training loss,
validation loss and one generated description as they go. Why: a reader meets a broken curve here before he meets one at work.
The steps are a quarter as large as the profile's, so that the four take some ten minutes on two cores.
How: python benchmarks/loss_gallery.py [RUN ...]. It writes results/loss_gallery.jsonl, one line a run; notebook 03 draws it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from ftlib.config.settings import Config
from ftlib.pipeline.stage import Run
from ftlib.pipeline.stages import ensure, load_dataset
from ftlib.runtime import hardware, provenance
from ftlib.runtime.files import read_jsonl, write_text
from ftlib.training.fine_tuning import train

RESULT = Path(__file__).resolve().parent.parent / "results" / "loss_gallery.jsonl"
SHARED = {
    "data.path": "sample",
    "model.quantization": "none",
    "train.max_steps": 40,
    "train.examples_per_step": 4,
    "train.eval_steps": 5,
    "train.save_steps": 40,
    "train.eval_rows": 12,
    "train.log_steps": 1,
    "train.sample_rows": 1,
    "generation.max_new_tokens": 60,
}
RIGHT = 4.0e-3
RUNS = {
    "right": {"train.learning_rate": RIGHT},
    "too low": {"train.learning_rate": RIGHT / 40},
    "too high": {"train.learning_rate": RIGHT * 25},
    "overfitting": {"train.learning_rate": RIGHT, "data.train_size": 16},
}


def run_one(name: str, profile: str, overrides: dict) -> dict:
    """Train one run in a temporary folder; return its line."""
    cfg = Config.load(profile, **SHARED, **RUNS[name], **overrides)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder) / "run")
        ensure("dataset", cfg, run)
        dataset = load_dataset(run)
        record = train(cfg, dataset, Path(folder) / "adapter")
        log = read_jsonl(Path(folder) / "adapter" / "train_log.jsonl")
    return {
        "run": name,
        "profile": profile,
        "settings": SHARED | RUNS[name] | overrides,
        "rows": len(dataset["train"]),
        "log": log,
        "train_seconds": record["train_seconds"],
        "device": hardware.device_name(),
        "git_commit": provenance.git_commit(),
        "versions": provenance.versions(),
        "finished": provenance.now(),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"of {', '.join(RUNS)}; default: all")
    parser.add_argument("--profile", default="cpu")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    overrides = {key: json.loads(value) for key, value in (setting.split("=", 1) for setting in args.set)}
    lines = {line["run"]: line for line in (read_jsonl(args.out) if args.out.exists() else [])}
    for name in args.runs or RUNS:
        lines[name] = run_one(name, args.profile, overrides)
        ordered = [lines[key] for key in RUNS if key in lines]
        write_text(args.out, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in ordered))
