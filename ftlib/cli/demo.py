"""`ftlib ask`, `ftlib serve` and `ftlib votes`: ask base and fine-tuned model, see their sources, and vote."""

from __future__ import annotations

import argparse
import contextlib
import sys

from ftlib.cli.common import add_command, resolve
from ftlib.runtime import environment
from ftlib.runtime.errors import FtlibError


def add(subparsers, common) -> None:
    """Add the commands to the parser."""
    ask = add_command(
        subparsers, "ask", "base and fine-tuned model answer a question about a product, with sources", do_ask, [common]
    )
    ask.add_argument("title", metavar="TITLE", help="the product's title, as a retailer would write it")
    ask.add_argument("--question", default="", metavar="Q", help="default: the question that the model was trained on")
    ask.add_argument("--model", choices=("base", "tuned", "both"), default="both")
    ask.add_argument(
        "--open-book",
        action=argparse.BooleanOptionalAction,
        help="put the sources into the prompt, before the question (default: if the model was trained so)",
    )
    ask.add_argument("--sources", action="store_true", help="print the rows that support the answer, by sentence")
    ask.add_argument("--json", action="store_true", help="one JSON object on standard output, nothing else")
    serve = add_command(
        subparsers, "serve", "a page to ask both models, see their sources and vote", do_serve, [common]
    )
    serve.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="0.0.0.0: everybody on the network (default: only you)"
    )
    serve.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="also under this name (a proxy's, a tunnel's)"
    )
    serve.add_argument("--port", type=int, metavar="N", help="default: the first free one from 7860 on")
    add_command(subparsers, "votes", "which answers people preferred, with an interval", do_votes, [common])


def _load_pair(args, systems: tuple[str, ...]):
    """Return (pair, run) of a trained run. Nothing is trained for a question; a missing index is built."""
    from ftlib.app.model_pair import load_pair
    from ftlib.pipeline.stages import ensure

    cfg, run = resolve(args, "evaluation")
    run.stage("merged").manifest()
    ensure("index", cfg, run)
    return load_pair(cfg, run, systems), run


def do_ask(args) -> None:
    """Answer a question."""
    import json

    from ftlib.app.console import print_sources, tell
    from ftlib.app.model_pair import SYSTEMS, check_asked

    check_asked(args.title, args.question)
    with contextlib.redirect_stdout(sys.stderr):
        pair, _ = _load_pair(args, SYSTEMS if args.model == "both" else (args.model,))
    result = tell(pair, args.title, args.question, args.open_book, quiet=args.json)
    if args.json:
        print(json.dumps(result, ensure_ascii=not environment.prints_unicode(sys.stdout), indent=1))
    elif args.sources:
        print_sources(pair, result)


def do_serve(args) -> None:
    """Serve the page."""
    from ftlib.app.model_pair import SYSTEMS

    try:
        from ftlib.app.gradio_app import serve
        from ftlib.app.session import Desk
    except ImportError as error:
        raise FtlibError(f'the page needs Gradio ({error}): pip install -e ".[app]"') from None
    pair, run = _load_pair(args, SYSTEMS)
    if args.host not in ("127.0.0.1", "localhost", "::1"):
        print(f"note: anyone who can reach {args.host} can ask and vote; there is no password", flush=True)
    try:
        serve(Desk(pair, run), args.host, args.port, allow=args.allow_host)
    except OSError as error:
        raise FtlibError(
            f"the page cannot be served on {args.host}, port {args.port}: {error}; choose another --port"
        ) from None


def do_votes(args) -> None:
    """Print the tally of the votes."""
    from ftlib.app.votes import Votes, tally

    _, run = resolve(args, "evaluation")
    print(tally(Votes(run.path / "votes.sqlite")))
