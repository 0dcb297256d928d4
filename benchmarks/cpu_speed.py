"""Training and evaluating on a CPU: the plain ways against the cpu profile's, on the same rows, one change at a time.

What: training from padded float32 steps to packed ones in NF4, then what is done on a CPU alone; answering from one prompt at a
time in float32 to batches in 16 bits; scoring the references' NLL from padded float32 batches to packed rows in 16 bits. Counted
are real tokens: of the answers, and of the rows that are scored. Why: students without a GPU train on two cores, where a factor
of two is the difference between a coffee and a lunch.
Last, README's first command on the sample, stage by stage; other CPUs' lines are kept.
How: python benchmarks/cpu_speed.py --data trn_real.json.gz (a quarter of an hour, on a quiet machine), or --only with one of the
parts; the others are kept as they were recorded. Result: results/cpu_speed.json. To try it: --prompts 4 --new-tokens 8 --rows 8
--profile smoke --out FILE
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from shapes import SMOLLM2, rows_of

from ftlib.config.settings import Config
from ftlib.runtime import hardware, provenance
from ftlib.runtime.files import read_json, write_json

RESULT = Path(__file__).resolve().parent.parent / "results" / "cpu_speed.json"
STEPS = 4
# (function, what replaces it): ways that a CPU always takes, switched off here
SHARING = ("ftlib.models.packed_attention.shared_tokens", lambda ids, unlabeled: 0)
AT_ONCE = ("ftlib.models.lora_on_cpu.compute_at_once", lambda model: None)
# (name, settings that it changes, ways that are still switched off)
RECIPES = [
    ("padded, float32, 16-bit base as float32", {"train.batching": "padded", "model.quantization": "none",
                                                  "model.dtype": "float32", "train.bf16": False}, (SHARING, AT_ONCE)),
    ("packed", {"train.batching": "packed"}, (SHARING, AT_ONCE)),
    ("bfloat16 where this CPU has it", {"model.dtype": "auto", "train.bf16": None}, (SHARING, AT_ONCE)),
    ("NF4", {"model.quantization": "nf4"}, (SHARING, AT_ONCE)),
    ("what all prompts begin with, once", {}, (AT_ONCE,)),
    ("base and adapter in one function: the cpu profile", {}, ()),
]  # fmt: skip
STAGES = ("dataset", "index", "adapter", "merged", "evaluation")
PADDED_ROWS = 8  # of a batch, transformers' own default


def training(data: str) -> list[dict]:
    """One line for each of RECIPES."""
    from ftlib.training.fine_tuning import train

    dataset, settings, lines = rows_of(data, 400), {"model.name": SMOLLM2}, []
    for name, change, off in RECIPES:
        settings |= change
        fixed = {"data.path": data, "train.max_steps": STEPS, "train.eval_steps": None, "train.log_steps": 1}
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            for way in off:
                stack.enter_context(mock.patch(*way))
            made = train(Config.load("cpu", env={}, **settings | fixed), dataset, Path(folder))
        kept = ("tokens_per_s", "tokens", "train_seconds", "precision")
        lines.append({"recipe": name} | {key: made[key] for key in kept})
        print(f"{name}: {made['tokens_per_s']} tokens/s", flush=True)
    return lines


def evaluation(data: str, prompts: int, new_tokens: int, rows: int) -> list[dict]:
    """Three lines for answering and three for scoring, each with its speed against the first of its kind."""
    from ftlib.generation.batched import answer_prompts, generate_batch
    from ftlib.models.base_models import fetch
    from ftlib.models.likelihood import answer_nll
    from ftlib.models.loading import load_plain, load_tokenizer
    from ftlib.prompts.encoding import encode_prompt, encode_rows

    dataset, place, tokenizer = rows_of(data, 400), fetch(SMOLLM2), load_tokenizer(SMOLLM2)
    cfg = Config.load("cpu", env={}, **{"generation.max_new_tokens": new_tokens})
    texts = dataset["test"][:prompts]["input_text"]
    examples = encode_rows(tokenizer, list(dataset["test"].select(range(rows))), cfg.train.as_measured())
    scored = sum(len(example["input_ids"]) for example in examples)
    fast, _ = hardware.compute_dtype()
    lines: list[dict] = []

    def one_by_one(model) -> int:
        answers = [generate_batch(model, tokenizer, [encode_prompt(tokenizer, text)], cfg.generation) for text in texts]
        return sum(answer.n_tokens for (answer,) in answers)

    def batched(model) -> int:
        return sum(answer.n_tokens for answer in answer_prompts(model, tokenizer, texts, cfg.generation))

    def packed(model) -> int:
        answer_nll(model, examples, tokenizer.pad_token_id, cfg.train.max_length)
        return scored

    def padded(model) -> int:
        padded_nll(model, examples, tokenizer.pad_token_id)
        return scored

    def measure(what: str, dtype: str, ways: list[tuple[str, Callable]]) -> None:
        model = load_plain(place, dtype)
        generate_batch(model, tokenizer, [[1]], cfg.generation.model_copy(update={"max_new_tokens": 2}))  # warm
        for name, work in ways:
            begun = time.perf_counter()
            tokens = work(model)
            seconds = time.perf_counter() - begun
            line = {"what": what, "way": f"{name}, {dtype}", "tokens": tokens, "seconds": round(seconds, 2)}
            first = next((old for old in lines if old["what"] == what), None)
            line["tokens_per_s"] = round(tokens / seconds, 1)
            line["times"] = round(line["tokens_per_s"] / (first or line)["tokens_per_s"], 2)
            lines.append(line)
            print(" | ".join(f"{key} {value}" for key, value in line.items()), flush=True)
        del model
        gc.collect()

    measure("answering", "float32", [("one prompt at a time", one_by_one), ("in batches", batched)])
    measure("answering", fast, [("in batches", batched)])
    measure("scoring", "float32", [("padded", padded), ("packed", packed)])
    measure("scoring", fast, [("packed", packed)])
    return lines


def padded_nll(model, examples: list, pad_id: int) -> float:
    """Nats over all labeled tokens, in padded batches of the rows as they come, logits of every slot in float32."""
    import torch
    from torch.nn import functional

    from ftlib.prompts.encoding import IGNORED
    from ftlib.prompts.packing import PaddingCollator

    total = 0.0
    with torch.no_grad():
        for start in range(0, len(examples), PADDED_ROWS):
            batch = PaddingCollator(pad_id)(examples[start : start + PADDED_ROWS])
            logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False).logits
            flat = logits[:, :-1].float().flatten(0, 1)
            targets = batch["labels"][:, 1:].flatten()
            total += float(functional.cross_entropy(flat, targets, ignore_index=IGNORED, reduction="sum"))
    return total


def first_command(profile: str) -> dict:
    """Seconds of each stage of `ftlib run` on the sample, and of the whole command, from its start to its end, on this CPU."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        command = [sys.executable, "-m", "ftlib", "run", "--profile", profile]
        subprocess.run(command, env=os.environ | {"FTLIB_RUNS": folder}, check=True)
        whole = time.perf_counter() - begun
        manifests = {stage: read_json(Path(folder) / profile / stage / "manifest.json") for stage in STAGES}
    for stage, manifest in manifests.items():
        print(stage, manifest["phases"], flush=True)
    seconds = {stage: round(manifest["seconds"], 1) for stage, manifest in manifests.items()}
    cpu = f"{hardware.device_name()}, {hardware.compute_dtype()[0]}"
    rest = round(whole - sum(seconds.values()), 1)
    return {"cpu": cpu, "torch": provenance.versions()["torch"], **seconds, "start": rest, "all": round(whole, 1)}


def keep(found: dict, parts: dict) -> dict:
    """Return the file's content with what was measured now; of the first command there is a line for each CPU.

    Steps and evaluation are figures of one CPU: those of another one do not belong into their tables.
    """
    commands = {line["cpu"]: line for line in found.pop("first command", [])}
    if command := parts.pop("first command", None):
        commands[command["cpu"]] = command
    if parts:
        device = hardware.device_name()
        found = (found if found.get("device") == device else {}) | parts
        found |= {"device": device, "versions": provenance.versions(), "finished": provenance.now()}
    return found | {"first command": list(commands.values())}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="rows to train on and to answer; the command takes the sample")
    parser.add_argument("--only", choices=("train", "evaluate", "command"))
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--new-tokens", type=int, default=48)
    parser.add_argument("--rows", type=int, default=64, help="whose references are scored")
    parser.add_argument("--profile", default="cpu", help="of the command")
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    if not args.data and args.only != "command":
        parser.error("--data FILE is needed to train and to evaluate; --only command needs none")
    parts: dict = {}
    if args.only in (None, "train"):
        parts |= {"steps": STEPS, "model": SMOLLM2, "rows": training(args.data)}
    if args.only in (None, "evaluate"):
        parts |= {"model": SMOLLM2, "evaluation": evaluation(args.data, args.prompts, args.new_tokens, args.rows)}
    if args.only in (None, "command"):
        parts["first command"] = first_command(args.profile)
    write_json(args.out, keep(read_json(args.out) if args.out.exists() else {}, parts))
