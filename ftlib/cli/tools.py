"""`ftlib doctor` and `ftlib sample`."""

from __future__ import annotations

import shlex
from pathlib import Path

from ftlib.cli.common import add_command
from ftlib.runtime.errors import FtlibError


def add(subparsers) -> None:
    """Add the commands to the parser."""
    add_command(subparsers, "doctor", "what this machine has, which profile fits, what is missing", do_doctor)
    summary = "write a synthetic sample data set in the schema of trn.json"
    sample = add_command(subparsers, "sample", summary, do_sample)
    sample.add_argument("--rows", type=int, default=3000, metavar="N", help="how many rows (default 3000)")
    sample.add_argument("--seed", type=int, default=42)
    sample.add_argument(
        "--out", type=Path, default=Path("sample.jsonl.gz"), metavar="PATH", help="default: sample.jsonl.gz"
    )


def do_doctor(args) -> int:
    """Print facts and problems of this machine."""
    from ftlib.runtime import hardware

    gpu_note = hardware.use_one_gpu()
    from ftlib.cli.doctor import examine

    facts, problems = examine(gpu_note)
    print("\n".join(facts))
    print("\n".join(f"PROBLEM: {problem}" for problem in problems) or "no problems")
    return 1 if problems else 0


def do_sample(args) -> None:
    """Write a synthetic sample."""
    from ftlib.data.sample.generate import write_sample

    if args.rows < 1:
        raise FtlibError(f"--rows {args.rows}: allowed is 1 or more")
    write_sample(args.out, args.rows, args.seed)
    print(f"{args.rows} synthetic rows written to {args.out}; use them with --data {shlex.quote(str(args.out))}")
