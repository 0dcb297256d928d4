"""`ftlib data look|fetch`: look at a file before training, and get the course's file."""

from __future__ import annotations

import os
from pathlib import Path

from ftlib.cli.common import add_command

LOOK_ROWS = 20_000  # rows that are counted without --all: seconds on one core


def add(subparsers) -> None:
    """Add the commands to the parser."""
    actions = subparsers.add_parser("data", help="look at a data file; get the course's").add_subparsers(
        dest="action", required=True
    )
    summary = "kind, columns and first rows of a file, and what would be kept of it"
    look = add_command(actions, "look", summary, do_look)
    look.add_argument("file", metavar="FILE", help="as --data: a path, hf:OWNER/NAME[:SPLIT], sample or faq")
    look.add_argument("--profile", metavar="NAME", help="whose filters and columns are used (default: cpu)")
    look.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="a setting, e.g. data.columns.title=question"
    )
    look.add_argument("--rows", type=int, default=LOOK_ROWS, metavar="N", help="how many rows are counted")
    look.add_argument("--all", action="store_true", help="count all rows")
    fetch = add_command(actions, "fetch", "download trn.json of AmazonTitles-1.3MM; resumes", do_fetch)
    fetch.add_argument("--from", dest="origin", choices=("hub", "drive", "archive"), default="hub", help="where from")
    fetch.add_argument("--url", metavar="ADDRESS", help="another address of the same file, as for --from archive")
    fetch.add_argument("--out", type=Path, default=Path("data"), metavar="FOLDER", help="default: data/")


def do_look(args) -> None:
    """Print what a file is and what would be kept of it."""
    from ftlib.config.settings import Config, parse_setting
    from ftlib.data.look import look, render
    from ftlib.runtime.errors import FtlibError

    if args.rows < 1:
        raise FtlibError(f"--rows {args.rows}: allowed is 1 or more, or --all")
    overrides = dict(map(parse_setting, args.set)) | {"data.path": args.file}
    profile = args.profile or os.environ.get("FTLIB_PROFILE") or ("qa" if args.file == "faq" else "cpu")
    cfg = Config.load(profile, **overrides)
    print(render(look(cfg, None if args.all else args.rows), cfg))


def do_fetch(args) -> None:
    """Download the course's file."""
    from ftlib.data.download import fetch

    print(fetch(args.origin, args.out, args.url))
