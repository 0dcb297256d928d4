"""From the reference recipe's speed to ours, one change at a time, on one GPU; and the whole job from process start to adapter.

What: each recipe trains some steps by the product's own code (`ftlib.training.build_trainer`) after a warm-up, and is measured
by a callback. Counted are real tokens, not padding; `computed_tokens_per_s` counts what all prompts begin with once a step. The
roof is a large matrix product in the same run; training a LoRA on a frozen base needs about 4 floating point operations a weight
and token (forward 2, backward to the inputs 2).
How: python benchmarks/train_speed.py --data trn_real.json.gz --shape tinyllama-1.1b (minutes on a GPU), then with
--shape smollm2-135m, then with --job gpu (the whole job). It writes results/train_speed.json.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import tempfile
import time
import timeit
from pathlib import Path

from shapes import JOB_EXAMPLES, SHAPES, model_of, roof_tflops, rows_of
from transformers import TrainerCallback

from ftlib.config.settings import Config
from ftlib.runtime import hardware, provenance
from ftlib.runtime.files import read_json, write_json
from ftlib.training import compiled_step
from ftlib.training.fine_tuning import build_trainer

RANK = ("lora.r=32", "lora.alpha=64")  # the reference's, whatever the profile has
ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "results" / "train_speed.json"
PHASES = ROOT / "results" / "job_phases.json"
WARM, STEPS = 8, 24

# (name, settings that change against the line above, how the fixed step is made: compiled, graph, join, share). The first is the
# seed profile; the last ones are side branches.
RECIPES = [
    ("the reference", {}, None),
    ("loss on the answer, rows packed", {"train.batching": "packed", "train.loss_on": "answer", "train.label_eos": True}, None),
    ("no accumulation", {"train.micro_batch": None}, None),
    ("embeddings not trained", {"lora.modules_to_save": [], "lora.tie_saved_modules": False}, None),
    ("no checkpointing", {"train.checkpointing": False}, None),
    ("fused AdamW", {"train.optimizer": "adamw_torch_fused"}, None),
    ("bfloat16 for float16", {"model.dtype": "bfloat16", "train.fp16": False, "train.bf16": True}, None),
    ("16-bit base for NF4", {"model.quantization": "none"}, None),
    ("fixed rows, logits at labels only", {"train.compile": True}, (False, False, False, False)),
    ("layers compiled", {}, (True, False, False, False)),
    ("CUDA graph", {}, (True, True, False, False)),
    ("LoRA joined to the base, attention without mask", {}, (True, True, True, False)),
    ("no LoRA dropout", {"lora.dropout": 0.0}, (True, True, True, False)),
    ("the beginning of all prompts once", {}, (True, True, True, True)),
    ("64 examples a step", {"train.examples_per_step": 64}, (True, True, True, True)),
    ("128 examples a step", {"train.examples_per_step": 128}, (True, True, True, True)),
    ("NF4, 16 examples", {"model.quantization": "nf4", "train.examples_per_step": 16}, (True, True, True, True)),
    ("16-bit, eager, Liger kernels", {"model.quantization": "none", "train.compile": False, "lora.dropout": 0.05}, None),
]  # fmt: skip


class Stopwatch(TrainerCallback):
    """Time, tokens and slots between step `WARM` and the last one, with the GPU idle at both ends."""

    def __init__(self, trace: bool = False):
        self.trace, self.profiler = trace, None
        self.trainer, self.started, self.marks, self.warm = None, time.perf_counter(), [], WARM

    def on_step_end(self, args, state, control, **_):
        import torch

        if state.global_step in (self.warm, state.max_steps):
            torch.cuda.synchronize()
            trainer = self.trainer
            self.marks.append((time.perf_counter(), trainer.tokens, trainer.slots, int(trainer.spared)))
        if self.trace and state.global_step == self.warm:
            self.profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA])
            self.profiler.start()
        if self.trace and state.global_step == state.max_steps:
            self.profiler.stop()
            print(self.profiler.key_averages().table(sort_by="cuda_time_total", row_limit=28, max_name_column_width=90))

    def measured(self, steps: int) -> dict:
        (begin, *first), (end, *last) = self.marks
        seconds, (count, slots, spared) = end - begin, (b - a for a, b in zip(first, last, strict=True))
        return {
            "tokens_per_s": round(count / seconds),
            "computed_tokens_per_s": round((count - spared) / seconds),
            "step_s": round(seconds / steps, 5),
            "padding_share": round(1 - (count - spared) / slots, 4),
            "seconds_to_warm": round(begin - self.started, 1),
        }


def measure(
    name: str, cfg: Config, fixed: tuple | None, dataset, steps: int, weights: int, roof: float, trace: bool = False
) -> dict:
    """One recipe: a few warm steps, then `steps` measured ones."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    torch._dynamo.reset()
    watch, made, shared = Stopwatch(trace), compiled_step.FixedStep, compiled_step.shared_beginning
    if fixed is not None:
        *parts, share = fixed
        compiled_step.FixedStep = lambda model, dtype, *_, **__: made(model, dtype, *parts)
        compiled_step.shared_beginning = shared if share else lambda *_: 0
    if "Liger" in name:  # it changes transformers for the whole process, so it comes last
        from liger_kernel.transformers import apply_liger_kernel_to_llama

        apply_liger_kernel_to_llama(fused_linear_cross_entropy=False)
    try:
        with tempfile.TemporaryDirectory() as folder:
            trainer, about = build_trainer(cfg, dataset, Path(folder))
            trainer.add_callback(watch)
            watch.trainer, watch.warm = trainer, cfg.train.max_steps - steps
            trainer.train()
    finally:
        compiled_step.FixedStep, compiled_step.shared_beginning = made, shared
    found = watch.measured(steps)
    mean = about["mean_tokens"]
    flops = 4 * weights * found["computed_tokens_per_s"]
    return {
        "recipe": name, "examples_per_s": round(found["tokens_per_s"] / mean, 1), **found,
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2), "roof_share": round(flops / roof / 1e12, 4),
    }  # fmt: skip


def ladder(shape: str, data: str, wanted: list[int] | None, rows: int, trace: bool = False) -> None:
    """All recipes in one shape, each on top of the one before it; each is written down as it is measured, but for a trace."""
    from ftlib.models.loading import count_parameters

    dataset = rows_of(data, rows)
    folder = Path(tempfile.gettempdir()) / "ftlib-shapes"
    model = model_of(shape, dataset, folder)
    weights, roof = count_parameters(model), roof_tflops()
    print(
        f"{shape}: {weights:,} weights; roof {roof:.0f} TFLOP/s = {roof * 1e12 / 4 / weights:,.0f} tokens/s", flush=True
    )
    settings = {"data.path": data, "model.name": model, "train.log_steps": 1000, "train.save_steps": 10_000}
    if shape == "smollm2-135m":
        settings["lora.tie_saved_modules"] = True
    for number, (name, change, fixed) in enumerate(RECIPES):
        settings |= change | {"train.eval_steps": None}
        if wanted and number not in wanted:
            continue
        slow = number < 2  # seconds a step
        steps = 5 if slow else STEPS
        cfg = Config.load("seed", env={}, **settings | {"train.max_steps": steps + (2 if slow else WARM)})
        line = {"shape": shape} | measure(name, cfg, fixed, dataset, steps, weights, roof, trace)
        print(" | ".join(f"{key} {value}" for key, value in line.items() if key != "shape"), flush=True)
        if not trace:
            keep({"rows": [line]})


def job(profile: str, data: str, extra: list[str], folder: Path, examples: int = JOB_EXAMPLES) -> dict:
    """Seconds of a whole `ftlib train` on the reference's number of examples, from process start to saved adapter."""
    model = model_of("tinyllama-1.1b", rows_of(data, 2000), Path(tempfile.gettempdir()) / "ftlib-shapes")
    command = [sys.executable, "-m", "ftlib"]
    size = 8500
    options = ["--profile", profile, "--data", data, "--run", str(folder)]
    for setting in (
        f"model.name={model}",
        f"data.train_size={size}",
        f"train.epochs={examples / size}",
        *RANK,
        *extra,
    ):
        options += ["--set", setting]
    subprocess.run([*command, "prepare", *options], check=True, stdout=subprocess.DEVNULL)
    begun = time.perf_counter()
    subprocess.run([*command, "train", *options], check=True)
    seconds = time.perf_counter() - begun
    manifest = read_json(folder / "adapter" / "manifest.json")
    kept = (
        "phases steps tokens tokens_per_s train_seconds expected_seconds precision padding_efficiency peak_gib".split()
    )
    found = {"profile": profile, "extra": extra, "examples": examples, "seconds": round(seconds, 1)}
    return found | {key: manifest[key] for key in kept}


def python_seconds() -> float:
    """Return the seconds of ten million turns of a Python loop, the fastest of three: what imports depend on."""
    return round(min(timeit.repeat("sum(i * i for i in range(10_000_000))", number=1, repeat=3)), 2)


def keep_phases(line: dict, cold: bool) -> None:
    """Add a job's seconds by phase to results/job_phases.json, in a machine of its own if `cold`, else in the last one's."""
    found = read_json(PHASES) if PHASES.exists() else {"machines": []}
    if not cold and not found["machines"]:
        raise SystemExit(f"{PHASES} has no machine yet: measure with --cold first, which begins one")
    if cold:
        new = {"device": hardware.device_name(), "python_seconds": python_seconds(), "rows": []}
        found["machines"].append(new)
    line = {name: line[name] for name in ("profile", "examples", "seconds", "phases")}
    machine = found["machines"][-1]
    machine["rows"].append({"compile_cache": "cold" if cold else "warm", **line})
    machine["finished"] = provenance.now()
    write_json(PHASES, found)


def keep(change: dict) -> None:
    """Add to results/train_speed.json what this run measured; what it measured again replaces the older figure."""
    found = read_json(RESULT) if RESULT.exists() else {"rows": [], "jobs": []}
    rows = {(line["shape"], line["recipe"]): line for line in found["rows"] + change.get("rows", [])}
    order = [(shape, name) for shape in SHAPES for name, *_ in RECIPES]
    found["rows"] = [rows[key] for key in order if key in rows]
    jobs = {(line["profile"], *line["extra"]): line for line in found["jobs"] + change.get("jobs", [])}
    found["jobs"] = list(jobs.values())
    found |= {"device": hardware.device_name(), "versions": provenance.versions(), "finished": provenance.now()}
    write_json(RESULT, found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="rows whose lengths count, e.g. trn_real.json.gz")
    parser.add_argument("--shape", choices=SHAPES)
    parser.add_argument("--recipes", type=int, nargs="*", help="numbers of the recipes, from 0; all without")
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument(
        "--trace", action="store_true", help="print the GPU's kernels by time (the figures are then slower)"
    )
    parser.add_argument("--job", help="profile whose whole job is measured")
    parser.add_argument(
        "--examples", type=int, help="of the job; fewer show where its fixed time goes: results/job_phases.json"
    )
    parser.add_argument(
        "--cold",
        action="store_true",
        help="with --examples: the first job of this machine, whose compile cache is empty",
    )
    parser.add_argument("--run", type=Path, help="folder of the job's run, to use it further; a temporary one without")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the job")
    args = parser.parse_args()
    if args.shape:
        ladder(args.shape, args.data, args.recipes, args.rows, args.trace)
    if args.job:
        run = args.run or Path(tempfile.mkdtemp(prefix="ftlib-job-"))
        if args.examples:
            keep_phases(job(args.job, args.data, args.set, run, args.examples), args.cold)
        else:
            keep({"jobs": [job(args.job, args.data, args.set, run)]})
