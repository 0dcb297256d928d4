"""Is the fast step's model as good? Validation NLL after the same examples: the plain unpacked loop against the fast step.

What: SmolLM2-135M on real rows, one epoch each, the same data, seed and learning rate; every recipe's NLL on all validation rows,
and its paired difference to the plain loop with a 95 % interval. Why: 100 times the speed is worth nothing if the model is worse.
How: python benchmarks/equal_quality.py --data trn_real.json.gz (minutes on a GPU). It writes results/equal_quality.json.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from shapes import SMOLLM2, rows_of

from ftlib.config.settings import Config
from ftlib.evaluation.bootstrap import paired_ratio_difference
from ftlib.models.likelihood import answer_nll, mean_nll
from ftlib.models.loading import load_tokenizer
from ftlib.prompts.encoding import encode_rows
from ftlib.runtime import hardware, provenance
from ftlib.runtime.files import write_json
from ftlib.training.fine_tuning import build_trainer

RESULT = Path(__file__).resolve().parent.parent / "results" / "equal_quality.json"
RECIPES = [
    ("plain: padded, eager, LoRA dropout 0.05", {"train.batching": "padded", "train.compile": False}),
    ("fast, LoRA dropout 0.05", {}),
    ("fast, no LoRA dropout", {"lora.dropout": 0.0}),
]

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--rows", type=int, default=8500)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    dataset = rows_of(args.data, args.rows, held_out=1000)
    extra = dict(each.split("=", 1) for each in args.set)
    fixed = {"model.name": SMOLLM2, "model.quantization": "none", "train.learning_rate": 1e-3, "train.epochs": 1.0,
             "train.eval_steps": None, "train.save_steps": 10_000, "train.log_steps": 100, "lora.dropout": 0.05,
             "lora.r": 32, "lora.alpha": 64}  # fmt: skip
    lines, first = [], None
    for name, change in RECIPES:
        cfg = Config.load("gpu", env={}, **{"data.path": args.data} | fixed | change | extra)
        tokenizer = load_tokenizer(cfg.model.name)
        validation = encode_rows(tokenizer, dataset["validation"], cfg.train.as_measured())
        with tempfile.TemporaryDirectory() as folder:
            trainer, about = build_trainer(cfg, dataset, Path(folder))
            trainer.train()
            scored = answer_nll(trainer.model, validation, tokenizer.pad_token_id, cfg.train.max_length)
        first = first or scored
        lines.append({
            "recipe": name, "steps": about["steps"], "examples": about["examples"], "tokens": trainer.tokens,
            "train_seconds": round(trainer.progress.step_seconds, 1), "nll": round(mean_nll(*scored), 4),
            "against_plain": paired_ratio_difference(*scored, *first, 2000, better="lower"),
        })  # fmt: skip
        print(lines[-1], flush=True)
    found = {"model": cfg.model.name, "validation_rows": len(validation), "set": fixed | extra, "rows": lines}
    found |= {"device": hardware.device_name(), "versions": provenance.versions(), "finished": provenance.now()}
    write_json(RESULT, found)
