"""Does the t4 profile's training stay under 14 GiB? Its settings, precision and attention kernels, held to that on another GPU.

What: `ftlib prepare` and `ftlib train --profile t4` in one process, in TinyLlama-1.1B's shape with random weights (neither memory
nor speed depends on their values): NF4, float16, no bfloat16; flash and cuDNN attention switched off, as a T4 has neither. Torch
is held to the cap, so what needs more fails here too. Why: we have no T4. Memory carries over from GPU to GPU, time does not.
How: python benchmarks/t4_cap.py --data trn_real.json.gz (minutes on a GPU). It writes results/t4_cap.json. On a T4 (Colab,
Kaggle) nothing is capped, and it writes results/t4.json, stamped, to be handed in with a pull request; there
`--data sample --model TinyLlama/TinyLlama-1.1B-Chat-v1.0` needs no other file. To try the script without a GPU:
python benchmarks/t4_cap.py --data sample --model tiny:llama --set train.max_length=256 --out FILE
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

import torch
from shapes import model_of, rows_of
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ftlib.cli.entry import main
from ftlib.models.loading import count_parameters
from ftlib.runtime import hardware, provenance
from ftlib.runtime.files import read_json, write_json

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "results" / "t4_cap.json"
LIKE_A_T4 = [
    "model.dtype=float16",
    "train.fp16=true",
    "train.bf16=false",
]  # which a newer GPU would not choose by itself
KEPT = (
    "skipped_steps validation_loss "
    "train_seconds expected_seconds peak_gib expected_peak_gib adjusted reasons precision tokens tokens_per_s "
    "padding_efficiency processes git_commit"
).split()


# A T4 by its datasheet, and what of it such a training reaches; for an estimate, not measured.
T4_FP16_TFLOPS, T4_SHARE, T4_GB_PER_S, T4_BANDWIDTH_SHARE = 65.0, (0.3, 0.5), 320.0, 0.7


class Audit(TorchDispatchMode):
    """Collect the types of all floating-point tensors that operations return."""

    def __init__(self):
        super().__init__()
        self.dtypes: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
                self.dtypes[str(tensor.dtype).removeprefix("torch.")] += 1
        return out


def audited(options: list[str], model: str) -> dict[str, int]:
    """Return {type: results of operations} of one training step; bfloat16 must not be among them, as a T4 emulates it."""
    from ftlib.config.settings import Config, parse_setting
    from ftlib.training.fine_tuning import build_trainer

    settings = dict(map(parse_setting, options)) | {"model.name": model, "train.max_steps": 1, "train.eval_steps": None}
    with tempfile.TemporaryDirectory() as folder:
        trainer, _ = build_trainer(
            Config.load("t4", env={}, **settings), rows_of("sample", 64, held_out=8), Path(folder)
        )
        with Audit() as audit:
            trainer.train()
    return dict(audit.dtypes)


def t4_seconds(weights: int, linear_weights: int, tokens: float, passes: int) -> tuple[float, float]:
    """Estimate (least, most) seconds of a step on a T4: its arithmetic, and reading and writing NF4 weights in 16 bits.

    weights: that each token is multiplied with; 4 FLOP a weight and token for a frozen base. linear_weights: of them in NF4,
    which every forward and every backward pass unpacks (half a byte read, two written, two read again). tokens, passes: of a
    step.
    """
    unpacking = 2 * passes * linear_weights * 4.5 / (T4_GB_PER_S * 1e9 * T4_BANDWIDTH_SHARE)
    least, most = (4 * weights * tokens / (T4_FP16_TFLOPS * 1e12 * share) for share in reversed(T4_SHARE))
    return round(least + unpacking, 2), round(most + unpacking, 2)


def ftlib(command: str, options: list[str]) -> None:
    if main([command, *options]):
        sys.exit(f"ftlib {command} failed; nothing was written")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="rows whose lengths count, e.g. trn_real.json.gz")
    parser.add_argument("--steps", type=int, default=120, help="from 100 on, what was expected is recorded too")
    parser.add_argument("--cap", type=float, default=14.0, metavar="GIB")
    parser.add_argument("--model", help="another model.name than TinyLlama's shape")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()

    on_gpu = torch.cuda.is_available()
    on_t4 = on_gpu and "T4" in hardware.device_name()
    if on_t4 and args.out == RESULT:
        args.out = RESULT.with_name("t4.json")
    if args.out == RESULT and not on_gpu:
        parser.error("there is no GPU here, so nothing can be recorded; to try the script, name a file with --out")
    if not on_t4:
        os.environ["FTLIB_GPU_MEMORY_GIB"] = str(args.cap)
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_cudnn_sdp(False)
    folder = Path(tempfile.gettempdir()) / "ftlib-shapes"
    model = args.model or model_of("tinyllama-1.1b", rows_of(args.data, 2000), folder)
    with tempfile.TemporaryDirectory() as run:
        options = ["--profile", "t4", "--data", args.data, "--run", run]
        settings = [f"model.name={model}", f"train.max_steps={args.steps}", *(LIKE_A_T4 if on_gpu else []), *args.set]
        options += [word for setting in settings for word in ("--set", setting)]
        ftlib("prepare", options)
        ftlib("train", options)
        made = read_json(Path(run) / "adapter" / "manifest.json")
    peaks = [torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()] if on_gpu else [0, 0]
    weights, steps = count_parameters(model), made["stopped_at_step"]
    examples, micro = (made["config"]["train"][name] for name in ("examples_per_step", "micro_batch"))
    found = {
        "what": "the t4 profile's training on a T4"
        if on_t4
        else f"the t4 profile's training held to {args.cap:g} GiB on the GPU named here; a T4 itself was not measured",
        "device": hardware.device_name(),
        "model": args.model or "TinyLlama-1.1B's shape, random weights",
        "steps": made["stopped_at_step"],
        "cap_gib": args.cap,
        "peak_allocated_gib": round(peaks[0] / 2**30, 2) if on_gpu else None,
        "peak_reserved_gib": round(peaks[1] / 2**30, 2) if on_gpu else None,
        "dtypes": audited([*(LIKE_A_T4 if on_gpu else []), *args.set], model),
        "t4_seconds_per_step_estimated": t4_seconds(
            weights, weights, made["tokens"] / steps, examples // (micro or examples)
        ),
        "seconds_per_step": round(made["tokens"] / made["tokens_per_s"] / made["stopped_at_step"], 4),
        **{key: made[key] for key in KEPT},
        "train": made["config"]["train"],
        "set": args.set,
        "versions": provenance.versions(),
        "finished": provenance.now(),
    }
    write_json(args.out, found)
    print(f"written to {args.out}: " + ", ".join(f"{key} {found[key]}" for key in found if key.startswith("peak")))
