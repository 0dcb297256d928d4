"""Does the t4 profile's training stay under 14 GiB? Its settings, precision and attention kernels, held to that on another GPU.

What: `ftlib prepare` and `ftlib train --profile t4` in one process, in TinyLlama-1.1B's shape with random weights (neither memory
nor speed depends on their values): NF4, float16, no bfloat16; flash and cuDNN attention switched off, as a T4 has neither. Torch
is held to the cap, so what needs more fails here too. Why: we have no T4. Memory carries over from GPU to GPU, time does not.
How: python benchmarks/t4_cap.py --data trn_real.json.gz (minutes on a GPU). It writes results/t4_cap.json. To try the script
without a GPU: python benchmarks/t4_cap.py --data sample --model tiny:llama --set train.max_length=256 --out FILE
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from shapes import model_of, rows_of

from ftlib.cli.entry import main
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
    "train_seconds expected_seconds peak_gib expected_peak_gib adjusted reasons precision tokens tokens_per_s "
    "padding_efficiency processes git_commit"
).split()


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

    import torch

    on_gpu = torch.cuda.is_available()
    if args.out == RESULT and not on_gpu:
        parser.error("there is no GPU here, so nothing can be recorded; to try the script, name a file with --out")
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
    found = {
        "what": f"the t4 profile's training held to {args.cap:g} GiB on the GPU named here; a T4 itself was not measured",
        "device": hardware.device_name(),
        "model": args.model or "TinyLlama-1.1B's shape, random weights",
        "steps": made["stopped_at_step"],
        "cap_gib": args.cap,
        "peak_allocated_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if on_gpu else None,
        "peak_reserved_gib": round(torch.cuda.max_memory_reserved() / 2**30, 2) if on_gpu else None,
        "seconds_per_step": round(made["tokens"] / made["tokens_per_s"] / made["stopped_at_step"], 4),
        **{key: made[key] for key in KEPT},
        "train": made["config"]["train"],
        "set": args.set,
        "versions": provenance.versions(),
        "finished": provenance.now(),
    }
    write_json(args.out, found)
    print(f"written to {args.out}: " + ", ".join(f"{key} {found[key]}" for key in found if key.startswith("peak")))
