"""Training on a CPU: the plain loop (padded, float32) against the cpu profile's, on the same rows, one change at a time.

Why: students without a GPU train on two cores, where a factor of two is the difference between a coffee and a lunch.
How: python benchmarks/cpu_speed.py --data trn_real.json.gz (minutes, on a quiet machine). Result: results/cpu_speed.json.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from shapes import SMOLLM2, rows_of

from ftlib import hardware
from ftlib.config import Config
from ftlib.runs import write_json
from ftlib.training import train

ROOT = Path(__file__).resolve().parent.parent
STEPS = 4
RECIPES = [
    ("padded, float32, 16-bit base as float32", {"train.batching": "padded", "model.quantization": "none",
                                                  "model.dtype": "float32", "train.bf16": False}),
    ("packed", {"train.batching": "packed"}),
    ("bfloat16 where this CPU has it", {"model.dtype": "auto", "train.bf16": None}),
    ("NF4, as in the cpu profile", {"model.quantization": "nf4"}),
]  # fmt: skip

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    args = parser.parse_args()
    dataset, settings, lines = rows_of(args.data, 400), {"model.name": SMOLLM2}, []
    for name, change in RECIPES:
        settings |= change
        fixed = {"data.path": args.data, "train.max_steps": STEPS, "train.eval_steps": None, "train.log_steps": 1}
        with tempfile.TemporaryDirectory() as folder:
            made = train(Config.load("cpu", env={}, **settings | fixed), dataset, Path(folder))
        lines.append(
            {"recipe": name} | {key: made[key] for key in ("tokens_per_s", "tokens", "train_seconds", "precision")}
        )
        print(f"{name}: {made['tokens_per_s']} tokens/s", flush=True)
    found = {
        "steps": STEPS,
        "model": SMOLLM2,
        "rows": lines,
        "device": hardware.device_name(),
        "versions": hardware.versions(),
    }
    write_json(ROOT / "results" / "cpu_speed.json", found | {"finished": hardware.now()})
