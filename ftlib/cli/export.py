"""`ftlib export gguf|hub`: the model for other programs and other people."""

from __future__ import annotations

import shlex
from pathlib import Path

from ftlib.cli.common import add_command, resolve


def add(subparsers, common) -> None:
    """Add the commands to the parser."""
    export = subparsers.add_parser("export", help="export the model").add_subparsers(dest="action", required=True)
    hub = add_command(export, "hub", "upload model, card and notebook to the Hugging Face hub", do_export_hub, [common])
    hub.add_argument("repo_id", metavar="OWNER/NAME")
    hub.add_argument("--kind", choices=("merged", "adapter"), default="merged")
    hub.add_argument("--public", action="store_true", help="visible to everybody (default: private)")
    hub.add_argument("--dry-run", action="store_true", help="only print what would be uploaded")
    summary = "the merged model as GGUF files with a Modelfile, for llama.cpp and Ollama"
    files = add_command(export, "gguf", summary, do_export_gguf, [common])
    files.add_argument("--type", nargs="+", choices=("f16", "q8_0"), default=["f16", "q8_0"], help="default: both")
    files.add_argument("--out", type=Path, metavar="FOLDER", help="default: gguf/ in the run's folder")


def do_export_gguf(args) -> None:
    """Write GGUF files."""
    from ftlib.export.gguf import export
    from ftlib.pipeline.stages import load_dataset

    cfg, run = resolve(args, "evaluation")
    merged, folder = run.stage("merged").verified(), args.out or run.path / "gguf"
    export(cfg, load_dataset(run), merged, folder, tuple(args.type))
    print(f"written to {folder}; for Ollama: ollama create NAME -f {shlex.quote(str(folder / 'Modelfile'))}")


def do_export_hub(args) -> None:
    """Upload model, card and notebook."""
    from ftlib.export.model_card import upload

    _, run = resolve(args, "evaluation")
    address = upload(run, args.repo_id, args.kind, private=not args.public, dry_run=args.dry_run)
    if address:
        print(f"uploaded: {address}")
