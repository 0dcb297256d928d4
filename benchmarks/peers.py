"""Training speed beside what people would use: Unsloth, TRL and TRL with Liger, on the same rows, model and rank, in one run.

What: TinyLlama-1.1B's shape, LoRA of rank 32 on all linears, loss on the answer, no dropout, no activation checkpointing, a base
in 16 bits or NF4, at about 3k, 12k and 25k tokens a step. Each peer is measured padded and packed, and with the smallest batch
padding-free, as its trainer offers it; where a batch does not fit it is halved and accumulated. Counted are real tokens, not
padding. `loss` is the NLL of the same validation rows with the adapter after the run, computed by one program for all. Every
system runs in a process of its own, because Unsloth and Liger change transformers for the whole process.
How: python benchmarks/peers.py --data trn_real.json.gz --base bf16, then --base nf4 (5 minutes each on a GPU; it needs unsloth,
trl and liger-kernel). It writes results/peers.json.
"""

from __future__ import annotations

import argparse
import functools
import gc
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from shapes import model_of, rows_of

RESULT = Path(__file__).resolve().parent.parent / "results" / "peers.json"
SHAPE, ROW, RATE, RANK = "tinyllama-1.1b", 512, 3e-4, 32
SIZES = (16, 64, 128)  # examples a step
SETTINGS = ("packed", "padded", "padding-free")
ONLY_SMALLEST = "padding-free"  # without flash-attention it masks the square of a batch's tokens
WARM, STEPS = 4, 10
SECONDS = 170  # of a system; what it has measured by then is kept
LINES = "lines.jsonl"
SYSTEMS = ("ftlib", "unsloth", "trl", "liger")
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class Marks:
    """Time and real tokens at step WARM and at the last step, with the GPU idle at both; a callback and a collator's wrapper."""

    def __init__(self, collator=None):
        self.collator, self.tokens, self.marks = collator, 0, []

    def __call__(self, examples):
        batch = self.collator(examples)
        mask = batch.get("attention_mask")
        self.tokens += int(batch["input_ids"].numel() if mask is None else mask.sum())
        return batch

    def mark(self, tokens: int | None = None) -> None:
        """Note the time and the tokens so far."""
        import torch

        torch.cuda.synchronize()
        self.marks.append((time.perf_counter(), self.tokens if tokens is None else tokens))

    def measured(self) -> dict:
        """Return tokens_per_step, tokens_per_s and step_ms."""
        (begin, first), (end, last) = self.marks
        return {
            "tokens_per_step": round((last - first) / STEPS),
            "tokens_per_s": round((last - first) / (end - begin)),
            "step_ms": round(1000 * (end - begin) / STEPS, 1),
        }


def callback_of(marks: Marks, tokens=lambda: None):
    """The Trainer's callback that marks step WARM and the last one. tokens: returns how many tokens were trained on, if known."""
    from transformers import TrainerCallback

    class Callback(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            if state.global_step in (WARM, state.max_steps):
                marks.mark(tokens())

    return Callback()


@functools.cache
def encoded_rows(dataset: Path, model: str, split: str) -> list:
    """Return the rows of a split as the product encodes them."""
    from datasets import load_from_disk

    from ftlib.config.settings import Config
    from ftlib.models.loading import load_tokenizer
    from ftlib.prompts.encoding import encode_rows

    settings = Config.load("gpu", env={}).train
    rows = list(load_from_disk(str(dataset))[split])
    return encode_rows(load_tokenizer(model), rows, settings.as_measured() if split == "validation" else settings)


def run_ftlib(dataset: Path, model: str, base: str, examples: int, setting: str, folder: Path) -> dict:
    """Train some steps with ftlib's compiled step."""
    from datasets import load_from_disk

    from ftlib.config.settings import Config
    from ftlib.training.fine_tuning import build_trainer, save_adapter

    cfg = Config.load("gpu", env={}, **{
        "model.name": model, "model.quantization": "none" if base == "bf16" else "nf4", "lora.r": RANK,
        "lora.alpha": 2 * RANK, "train.learning_rate": RATE, "train.scheduler": "constant", "train.warmup_share": 0.0,
        "train.examples_per_step": examples, "train.max_steps": WARM + STEPS, "train.eval_steps": None,
        "train.save_steps": 10_000, "train.log_steps": 1000,
    })  # fmt: skip
    trainer, _ = build_trainer(cfg, load_from_disk(str(dataset)), folder / "work")
    marks = Marks()
    trainer.add_callback(callback_of(marks, lambda: trainer.tokens))
    trainer.train()
    save_adapter(trainer, cfg, folder)
    return marks.measured() | {"computed_share": round(1 - int(trainer.spared) / trainer.tokens, 4)}


def run_peer(dataset: Path, model: str, base: str, examples: int, setting: str, folder: Path, system: str) -> dict:
    """Train some steps with a peer's SFTTrainer; halve the batch, and accumulate, until it fits."""
    import torch

    accumulation = 1
    while True:
        try:
            return _run_peer(dataset, model, base, examples, setting, folder, system, accumulation)
        except torch.OutOfMemoryError:
            accumulation *= 2
        gc.collect()
        torch.cuda.empty_cache()


def _run_peer(dataset, model, base, examples, setting, folder, system, accumulation) -> dict:
    if system == "unsloth":
        from unsloth import FastLanguageModel  # first, because it changes what the others import
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig
    from trl import SFTConfig, SFTTrainer

    from ftlib.models.loading import load_tokenizer

    tokenizer, encoded = load_tokenizer(model), encoded_rows(dataset, model, "train")
    rows = Dataset.from_dict({name: [example[name] for example in encoded] for name in ("input_ids", "labels")})
    if system == "unsloth":
        loaded, _ = FastLanguageModel.from_pretrained(
            model_name=model, max_seq_length=4 * ROW, dtype=torch.bfloat16, load_in_4bit=base == "nf4"
        )
        loaded = FastLanguageModel.get_peft_model(
            loaded, r=RANK, lora_alpha=2 * RANK, lora_dropout=0, bias="none", target_modules=LINEARS,
            use_gradient_checkpointing=False, random_state=0,
        )  # fmt: skip
        adapter = None
    else:
        nf4 = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                                 bnb_4bit_compute_dtype=torch.bfloat16)  # fmt: skip
        options = {"quantization_config": nf4} if base == "nf4" else {}
        loaded = AutoModelForCausalLM.from_pretrained(
            model, dtype=torch.bfloat16, attn_implementation="sdpa", device_map={"": 0}, **options
        )
        adapter = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=LINEARS, task_type="CAUSAL_LM")
    mean = sum(len(example["input_ids"]) for example in encoded) / len(encoded)
    batch = examples if setting != "packed" else max(1, round(examples * mean / ROW))
    arguments = SFTConfig(
        output_dir=str(folder / "work"), max_steps=WARM + STEPS, per_device_train_batch_size=max(1, batch // accumulation),
        gradient_accumulation_steps=accumulation, learning_rate=RATE, lr_scheduler_type="constant", optim="adamw_torch_fused",
        bf16=True, gradient_checkpointing=False, packing=setting == "packed", padding_free=setting == "padding-free",
        max_length=ROW if setting == "packed" else None, logging_steps=1000, save_strategy="no", report_to="none",
        disable_tqdm=True, use_liger_kernel=system == "liger",
    )  # fmt: skip
    trainer = SFTTrainer(
        model=loaded, args=arguments, train_dataset=rows, processing_class=tokenizer, peft_config=adapter
    )
    marks = trainer.data_collator = Marks(trainer.data_collator)
    trainer.add_callback(callback_of(marks))
    trainer.train()
    trainer.model.save_pretrained(folder)
    return marks.measured() | ({"accumulation": accumulation} if accumulation > 1 else {})


def worker(
    system: str, base: str, sizes: list[int], settings: list[str], dataset: Path, model: str, folder: Path
) -> None:
    """Measure all settings of one system in this process; print one JSON line each."""
    if system == "unsloth":
        import unsloth  # noqa: F401 - first, because it changes what the others import
    import torch

    for examples in sizes:
        for setting in settings if system != "ftlib" else ("compiled step",):
            if setting == ONLY_SMALLEST and examples != min(SIZES):
                continue
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            torch._dynamo.reset()
            place = folder / f"{system}-{base}-{examples}-{setting}"
            line = {"shape": SHAPE, "system": system, "base": base, "setting": setting, "examples": examples}
            try:
                run = run_ftlib if system == "ftlib" else lambda *given: run_peer(*given, system)
                line |= run(dataset, model, base, examples, setting, place)
                line["peak_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
                line["adapter"] = str(place)
            except Exception as error:  # a setting that a peer does not support is a result too
                line["error"] = f"{type(error).__name__}: {error}"[:300]
            with open(folder / LINES, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def losses(lines: list[dict], base: str, dataset: Path, model: str) -> None:
    """Replace `adapter` by `loss`, the NLL of the same validation rows, in the fastest setting of each system and size."""
    import torch
    from peft import PeftModel

    from ftlib.models.likelihood import answer_nll, mean_nll
    from ftlib.models.loading import load_nf4, load_plain, load_tokenizer

    tokenizer, rows = load_tokenizer(model), encoded_rows(dataset, model, "validation")
    best = {(line["system"], line["examples"]): line for line in sorted(lines, key=lambda x: x.get("tokens_per_s", 0))}
    for line in lines:
        if line is not best[line["system"], line["examples"]] or "adapter" not in line:
            line.pop("adapter", None)
            continue
        loaded = (load_nf4 if base == "nf4" else load_plain)(model, "bfloat16")
        loaded.config.use_cache = False
        tuned = PeftModel.from_pretrained(loaded, line.pop("adapter")).eval()
        line["loss"] = round(mean_nll(*answer_nll(tuned, rows, tokenizer.pad_token_id, ROW)), 4)
        del loaded, tuned
        gc.collect()
        torch.cuda.empty_cache()


def measure(base: str, data: str, systems: list[str], sizes: list[int], settings: list[str]) -> list[dict]:
    """One process a system, then the losses of all adapters."""
    from ftlib.runtime.files import read_jsonl

    lines: list[dict] = []
    prepared = rows_of(data, 3000)
    with tempfile.TemporaryDirectory(prefix="ftlib-peers-") as folder:
        model, dataset = model_of(SHAPE, prepared, Path(folder)), Path(folder) / "rows"
        prepared.save_to_disk(str(dataset))
        for system in systems:
            command = [
                sys.executable,
                str(Path(__file__).resolve()),
                "--worker",
                system,
                "--base",
                base,
                "--folder",
                folder,
                "--model",
                model,
            ]
            command += ["--sizes", *map(str, sizes), "--settings", *settings]
            environment = os.environ | {"UNSLOTH_DISABLE_STATISTICS": "1"}
            with open(Path(folder) / f"{system}.log", "w", encoding="utf-8") as log:
                try:
                    subprocess.run(command, stdout=log, stderr=log, env=environment, cwd=folder, timeout=SECONDS)
                except subprocess.TimeoutExpired:
                    print(f"{system}: ended after {SECONDS} s", flush=True)
            found = read_jsonl(Path(folder) / LINES)[len(lines) :]
            print(*found, sep="\n", flush=True)
            if not found:
                print(
                    f"{system}: no result\n{(Path(folder) / f'{system}.log').read_text(encoding='utf-8')[-1500:]}",
                    flush=True,
                )
            lines += found
            # kept at once, without losses: a run that is ended later leaves what it has measured
            keep([{name: value for name, value in line.items() if name != "adapter"} for line in found])
        losses(lines, base, dataset, model)
    return lines


def keep(lines: list[dict]) -> None:
    """Add lines to results/peers.json; what was measured again replaces the older line."""
    from ftlib.runtime import hardware, provenance
    from ftlib.runtime.files import read_json, write_json

    found = read_json(RESULT) if RESULT.exists() else {"rows": []}
    key = ("base", "examples", "system", "setting")
    rows = {tuple(line[name] for name in key): line for line in [*found["rows"], *lines]}
    found["rows"] = [rows[each] for each in sorted(rows, key=lambda k: (k[0], k[1], SYSTEMS.index(k[2]), k[3]))]
    names = ("torch", "transformers", "peft", "bitsandbytes", "trl", "unsloth", "unsloth_zoo", "liger_kernel", "triton")
    found["versions"] = {name: importlib.metadata.version(name) for name in names if importlib.util.find_spec(name)}
    found["attention"] = {name: bool(importlib.util.find_spec(name)) for name in ("flash_attn", "xformers")}
    found |= {"device": hardware.device_name(), "finished": provenance.now()}
    write_json(RESULT, found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="rows whose lengths count, e.g. trn_real.json.gz")
    parser.add_argument("--base", choices=("bf16", "nf4"), required=True)
    parser.add_argument("--systems", nargs="*", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES), help="examples a step")
    parser.add_argument("--settings", nargs="*", choices=SETTINGS, default=list(SETTINGS), help="of the peers")
    parser.add_argument("--worker", choices=SYSTEMS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        worker(args.worker, args.base, args.sizes, args.settings, args.folder / "rows", args.model, args.folder)
    else:
        keep(measure(args.base, args.data, args.systems, args.sizes, args.settings))
