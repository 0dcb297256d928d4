"""The entry point of the command line: parse, run the command, turn errors into one line and an exit status."""

from __future__ import annotations

import argparse
import atexit
import os
import sys
import threading
from typing import NoReturn

import ftlib
from ftlib.cli import course, data, demo, export, runs, stages, study, tools
from ftlib.cli.common import common_options
from ftlib.models import hub_errors as hub
from ftlib.runtime import console, distributed, environment
from ftlib.runtime.errors import FtlibError, storage_problem
from ftlib.runtime.language import using


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; each group adds its own."""
    parser = argparse.ArgumentParser(prog="ftlib", description=ftlib.__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=f"ftlib {ftlib.__version__}")
    volume = parser.add_mutually_exclusive_group()
    volume.add_argument("--quiet", action="store_true", help="print results and warnings only")
    volume.add_argument("--verbose", action="store_true", help="print details too")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = common_options()
    stages.add(subparsers, common)
    demo.add(subparsers, common)
    tools.add(subparsers)
    data.add(subparsers)
    runs.add(subparsers)
    course.add(subparsers)
    study.add(subparsers, common)
    export.add(subparsers, common)
    return parser


def command() -> NoReturn:
    """Run `main` with fewer garbage collections, and exit quickly; the console script `ftlib` calls it."""
    environment.collect_less_often()
    leave(main())


def leave(status: int) -> NoReturn:
    """Exit without taking the interpreter apart: with torch loaded it frees a million objects, one by one.

    Threads are waited for and exit functions run as in `sys.exit`, trackers' among them; what is left is memory, which the system
    takes back by itself.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:  # the program that read the output has ended
            status = status or 141
    os._exit(status)


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return the exit status: 0 done, 1 a problem (doctor) or a failed run (study), 2 a user-facing error."""
    environment.prepare()
    args = build_parser().parse_args(arguments)
    console.set_volume(quiet=args.quiet, verbose=args.verbose)
    if not distributed.first():  # only rank 0 prints
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # open as long as the process
    try:
        with using("en"):  # whatever FTLIB_LANGUAGE says; a command with --lang chooses for itself
            status = args.function(args) or 0
        distributed.leave()
        return status
    except FtlibError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; run the same command again to resume", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # otherwise Python flushes the closed pipe again at exit
        print("error: the program that read the output has ended (| head, for example)", file=sys.stderr)
        return 141
    except Exception as error:
        message = hub.explain(error) or storage_problem(error)
        if message is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        return 2
