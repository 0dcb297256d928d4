"""The fast step on 1, 2, 4 and more GPUs of one machine: how many examples a second, against one GPU.

What: `torchrun` starts the product's own trainer once for each number of GPUs, on the same rows, with the same examples a step
shared among them, so the training is the same one and only its speed changes. Counted are real tokens of all processes after a
warm-up. Why: processes wait for each other once a step; what that costs can only be measured.
How: python benchmarks/scaling.py --data trn_real.json.gz (minutes on a machine with several GPUs). It writes
results/scaling.json. To try the script without them, with processes on the CPU:
python benchmarks/scaling.py --data sample --model tiny:llama --rows 200 --examples 8 --steps 4 --warm 2 --out FILE
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from shapes import model_of, rows_of

from ftlib.config.settings import Config
from ftlib.runtime import distributed, hardware, provenance
from ftlib.runtime.files import read_json, write_json

RESULT = Path(__file__).resolve().parent.parent / "results" / "scaling.json"
SHAPE = "tinyllama-1.1b"
NUMBERS = (1, 2, 4, 8)


def work(settings: dict, rows: str, warm: int, out: Path) -> None:
    """One of the processes: train, and write the speed between step `warm` and the last one to `out` (the first one does)."""
    import torch
    from datasets import load_from_disk
    from transformers import TrainerCallback

    from ftlib.training.fine_tuning import build_trainer

    marks = []

    class Stopwatch(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            if state.global_step in (warm, state.max_steps):
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                marks.append((time.perf_counter(), distributed.total([trainer.tokens])[0]))

    cfg = Config.load("gpu", env={}, **settings)
    with tempfile.TemporaryDirectory() as folder:
        trainer, about = build_trainer(cfg, load_from_disk(rows), Path(folder))
        trainer.add_callback(Stopwatch())
        trainer.train()
    (begun, before), (ended, tokens) = marks
    rate = (tokens - before) / (ended - begun)
    if distributed.first():
        line = {
            "gpus": distributed.world(),
            "examples_per_s": round(rate / about["mean_tokens"], 1),
            "tokens_per_s": round(rate),
            "step_s": round((ended - begun) / (cfg.train.max_steps - warm), 5),
        }
        write_json(out, line)


def measure(processes: int, settings: dict, rows: Path, warm: int) -> dict:
    """The line of one number of processes."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "line.json"
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
        job = [__file__, "--worker", json.dumps([settings, str(rows), warm, str(out)])]
        threads = {} if hardware.cuda_capability() else {"OMP_NUM_THREADS": str(max(os.cpu_count() // processes, 1))}
        subprocess.run([sys.executable, *launch, *job], check=True, env=os.environ | threads)
        return read_json(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="rows whose lengths count, e.g. trn_real.json.gz")
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--examples", type=int, default=64, help="of one step, all processes together")
    parser.add_argument("--steps", type=int, default=32, help="measured")
    parser.add_argument("--warm", type=int, default=8, help="steps before them")
    parser.add_argument("--model", help="another model.name than TinyLlama's shape")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        settings, rows, warm, out = json.loads(args.worker)
        work(settings, rows, warm, Path(out))
        sys.exit()

    import torch

    gpus = torch.cuda.device_count()
    if not args.data:
        parser.error("--data is missing: name the file with the rows, or sample")
    if args.out.resolve() == RESULT and (gpus < 2 or args.model):
        reason = (
            "--model changes what is measured" if args.model else f"this machine has {gpus} GPUs, and two are needed"
        )
        parser.error(f"{reason}, so nothing can be recorded; to try the script, name a file with --out")
    numbers = [number for number in NUMBERS if number <= (gpus or 2)]
    dataset = rows_of(args.data, args.rows, held_out=16)
    settings = {
        "data.path": args.data,
        "model.name": args.model or model_of(SHAPE, dataset, Path(tempfile.gettempdir()) / "ftlib-shapes"),
        "model.quantization": "none",
        "train.compile": True,
        "train.examples_per_step": args.examples,
        "train.max_steps": args.warm + args.steps,
        "train.eval_steps": None,
        "train.save_steps": 100_000,
        "train.log_steps": 100_000,
    }
    lines: list[dict] = []
    with tempfile.TemporaryDirectory() as rows:
        dataset.save_to_disk(rows)
        for number in numbers:
            line = measure(number, settings, Path(rows), args.warm)
            lines.append(line | {"ratio": round(line["tokens_per_s"] / (lines or [line])[0]["tokens_per_s"], 2)})
            print(" | ".join(f"{key} {value}" for key, value in lines[-1].items()), flush=True)
    found = {"model": args.model or f"{SHAPE}, random weights", "examples_per_step": args.examples, "rows": lines}
    found |= {"device": hardware.device_name(), "versions": provenance.versions(), "finished": provenance.now()}
    write_json(args.out, found)
