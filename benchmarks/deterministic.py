"""What does FTLIB_DETERMINISTIC=1 cost, and does it keep its word? The same training twice as it is, and twice with it.

What: `ftlib train` in a process of its own each time, the same data, seed and machine; the adapter's bytes are compared. Why:
kernels that add in any order are faster, and make two runs differ in their last bits; whoever looks for a cause wants them equal.
How: python benchmarks/deterministic.py --data trn_real.json.gz (minutes on a GPU). It writes results/deterministic.json. To try
the script without a GPU: python benchmarks/deterministic.py --data sample --set model.name=tiny:llama --steps 4 --out FILE
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from shapes import SMOLLM2

from ftlib.pipeline.stage import Run
from ftlib.runtime import provenance
from ftlib.runtime.files import file_fingerprint, write_json

RESULT = Path(__file__).resolve().parent.parent / "results" / "deterministic.json"
KEPT = ("deterministic", "steps", "tokens", "tokens_per_s", "train_seconds", "peak_gib", "device", "git_commit")

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    settings = [f"data.path={args.data}", f"model.name={SMOLLM2}", "model.quantization=none", f"train.max_steps={args.steps}",
                "train.eval_steps=null", "train.save_steps=10000", "train.log_steps=100", *args.set]  # fmt: skip
    options = [part for each in settings for part in ("--set", each)]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, value in (("a", "0"), ("b", "0"), ("c", "1"), ("d", "1")):
            env = os.environ | {"FTLIB_DETERMINISTIC": value}
            for command in ("prepare", "train"):
                told = [
                    sys.executable,
                    "-m",
                    "ftlib",
                    command,
                    "--run",
                    str(Path(folder) / name),
                    "--profile",
                    "gpu",
                    *options,
                ]
                subprocess.run(told, env=env, check=True)
            stage = Run(Path(folder) / name).stage("adapter")
            manifest = stage.manifest()
            weights = file_fingerprint(stage.path / "adapter_model.safetensors")
            rows.append({key: manifest[key] for key in KEPT} | {"weights": weights})
    found = {
        mode: {
            "same_bits": first["weights"] == second["weights"],
            "tokens_per_s": [first["tokens_per_s"], second["tokens_per_s"]],
        }
        for mode, (first, second) in (("as_it_is", rows[:2]), ("deterministic", rows[2:]))
    }
    cost = 1 - sum(found["deterministic"]["tokens_per_s"]) / sum(found["as_it_is"]["tokens_per_s"])
    found |= {"slower_by": round(cost, 4), "runs": rows, "set": settings[1:], "versions": provenance.versions()}
    write_json(args.out, found | {"device": rows[0]["device"], "finished": provenance.now()})
    print({mode: found[mode] for mode in ("as_it_is", "deterministic")}, f"slower by {cost:.1%}")
