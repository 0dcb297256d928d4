"""The command line: `ftlib run`, or a stage of it. The commands and their options; what each does is in `commands.py`."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from pathlib import Path

from ftlib import __version__
from ftlib.cli import commands
from ftlib.models import hub_errors as hub
from ftlib.runtime import distributed, environment
from ftlib.runtime.errors import FtlibError, storage_problem


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ftlib", description=__import__("ftlib").__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=f"ftlib {__version__}")
    subs = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--profile", metavar="NAME", help="smoke, cpu, t4, gpu or seed (default: what fits this machine)"
    )
    common.add_argument(
        "--data", metavar="PATH", help="JSON lines (trn.json), plain or packed (gz, zip, bz2, xz, tar), or 'sample'"
    )
    common.add_argument("--run", metavar="PATH", help="the run folder (default: runs/<profile>)")
    common.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="any setting, e.g. train.learning_rate=3e-4"
    )

    def command(name: str, what: str, function, parents=(common,)) -> argparse.ArgumentParser:
        sub = subs.add_parser(name, help=what, description=what, parents=list(parents))
        sub.set_defaults(function=function)
        return sub

    run = command("run", "prepare, train, merge, evaluate and report; reuses what is still valid", commands.do_run)
    command("prepare", "raw rows to a cleaned, deduplicated, split data set", commands.do_stage).set_defaults(
        stage="dataset"
    )
    train = command("train", "fine-tune an adapter; goes on by itself after an interruption", commands.do_stage)
    train.set_defaults(stage="adapter")
    for trains in (run, train):
        trains.add_argument(
            "--auto-batch",
            action="store_true",
            help="where the memory runs out in training, go on from the last checkpoint with fewer examples at once",
        )
    command("merge", "adapter and base to one 16-bit model, with proof", commands.do_stage).set_defaults(stage="merged")
    evaluate = command("evaluate", "base, tuned and baselines side by side, with intervals", commands.do_stage)
    evaluate.set_defaults(stage="evaluation")
    evaluate.add_argument("--rows", type=int, metavar="K", help="a quick look at K test rows, with its interval")
    evaluate.add_argument(
        "--open-book", action="store_true", help="both models also with similar training rows in the prompt"
    )
    ask = command("ask", "base and tuned model answer a question about a product, with sources", commands.do_ask)
    ask.add_argument("title", metavar="TITLE", help="the product's title, as a shop would write it")
    ask.add_argument("--question", default="", metavar="Q", help="default: the question that the model was trained on")
    ask.add_argument("--model", choices=("base", "tuned", "both"), default="both")
    ask.add_argument("--open-book", action="store_true", help="show the sources to the models, before the question")
    ask.add_argument("--sources", action="store_true", help="the rows that the answer rests on, sentence by sentence")
    ask.add_argument("--json", action="store_true", help="one JSON object on standard output, nothing else")
    serve = command("serve", "a page to ask both models, see their sources and vote", commands.do_serve)
    serve.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="0.0.0.0: everybody on the network (default: only you)"
    )
    serve.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="also under this name (a proxy's, a tunnel's)"
    )
    serve.add_argument("--port", type=int, metavar="N", help="default: the first free one from 7860 on")
    command("votes", "which answers people preferred, with an interval", commands.do_votes)
    command("config", "print the resolved configuration with the reason for each automatic choice", commands.do_config)
    command("doctor", "what this machine has, which profile fits, what is missing", commands.do_doctor, parents=())

    sample = command("sample", "write a made-up catalogue in the schema of trn.json", commands.do_sample, parents=())
    sample.add_argument("--rows", type=int, default=3000, metavar="N", help="how many rows (default 3000)")
    sample.add_argument("--seed", type=int, default=42)
    sample.add_argument(
        "--out", type=Path, default=Path("sample.jsonl.gz"), metavar="PATH", help="default: sample.jsonl.gz"
    )

    runs = subs.add_parser("runs", help="list, compare or clean runs").add_subparsers(dest="action", required=True)
    runs.add_parser("list", help="runs with size, stages and headline metrics").set_defaults(
        function=commands.do_runs_list
    )
    compare = runs.add_parser("compare", help="settings that differ and headline metrics, side by side")
    compare.add_argument("names", nargs="+", metavar="RUN", help="a run's name or folder")
    compare.set_defaults(function=commands.do_runs_compare)
    clean = runs.add_parser("clean", help="remove merged weights and index, which can be made again")
    clean.add_argument("names", nargs="+", metavar="RUN")
    clean.add_argument("--all", action="store_true", help="remove the whole run, answers and metrics too")
    clean.set_defaults(function=commands.do_runs_clean)
    _add_course(subs)
    _add_study(subs, common)
    _add_export(subs, common)
    return parser


def _add_course(subs) -> None:
    """`ftlib course ...`: what makes the course itself."""
    course = subs.add_parser("course", help="record, render and hand out the notebooks")
    actions = course.add_subparsers(dest="action", required=True)

    def action(name: str, what: str, function) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=what, description=what)
        sub.set_defaults(function=function)
        return sub

    record = action("record", "execute the notebooks, keep outputs and times, and stamp them", commands.do_record)
    record.add_argument("names", nargs="*", metavar="NOTEBOOK", help="e.g. 03; all without a name")
    record.add_argument("--profile", default="cpu", help="another than cpu measures times and keeps no outputs")
    record.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="a setting on top of another profile than cpu"
    )
    record.add_argument("--rebuild", action="store_true", help="ship the adapter that notebook 03 trains")
    slides = action("slides", "one reveal.js deck a notebook", commands.do_slides)
    slides.add_argument("--out", type=Path, default=Path("slides"), metavar="FOLDER")
    slides.add_argument(
        "--reveal", metavar="PLACE", help="address or folder of reveal.js (default: a pinned one on the net)"
    )
    for name, what, function in (
        ("book", "one static page a notebook, with navigation", commands.do_book),
        ("student", "copies of the notebooks without solutions and outputs", commands.do_student),
    ):
        action(name, what, function).add_argument("--out", type=Path, default=Path(name), metavar="FOLDER")
    badges = action("badges", "point badges and set-up cells to a repository and a tag", commands.do_badges)
    badges.add_argument("--repository", metavar="OWNER/REPO")
    badges.add_argument("--ref", metavar="TAG")


def _add_study(subs, common) -> None:
    """`ftlib study ...`: many configurations, several seeds, one report."""
    study = subs.add_parser("study", help="train, score and report a list of configurations")
    actions = study.add_subparsers(dest="action", required=True)
    what = "all runs and seeds of a study file; goes on by itself after an interruption"
    run = actions.add_parser("run", help=what, description=what)
    run.add_argument("file", type=Path, metavar="STUDY.yaml", help="as those in studies/")
    run.add_argument("--data", metavar="PATH", help="the rows; not needed where answers are there already")
    run.add_argument("--work", type=Path, metavar="FOLDER", help="for models and answers (default: runs/)")
    run.add_argument("--only", nargs="+", metavar="RUN", help="these runs of the file")
    run.add_argument("--no-score", action="store_true", help="train and answer; score later, on any machine")
    run.add_argument("--no-train", action="store_true", help="score what is answered")
    run.set_defaults(function=commands.do_study_run)
    what = "tables and figures of all recorded studies, in REPORT.md and the README"
    report = actions.add_parser("report", help=what, description=what)
    report.set_defaults(function=commands.do_study_report)
    for action in (run, report):
        action.add_argument("--results", type=Path, metavar="FOLDER", help="default: results/ of this repository")
    card = actions.add_parser("card", help="print a run's model card", parents=[common])
    card.add_argument("--kind", choices=("merged", "adapter"), default="merged")
    card.set_defaults(function=commands.do_study_card)


def _add_export(subs, common) -> None:
    """`ftlib export ...`: the model for others."""
    export = subs.add_parser("export", help="give the model to others").add_subparsers(dest="action", required=True)
    hub = export.add_parser("hub", help="upload model and card to the Hugging Face hub", parents=[common])
    hub.add_argument("place", metavar="OWNER/NAME")
    hub.add_argument("--kind", choices=("merged", "adapter"), default="merged")
    hub.add_argument("--public", action="store_true", help="for everybody to see (default: private)")
    hub.add_argument("--dry-run", action="store_true", help="only show what would go up")
    hub.set_defaults(function=commands.do_export_hub)
    what = "the merged model as GGUF files with a Modelfile, for llama.cpp and Ollama"
    files = export.add_parser("gguf", help=what, description=what, parents=[common])
    files.add_argument("--type", nargs="+", choices=("f16", "q8_0"), default=["f16", "q8_0"], help="default: both")
    files.add_argument("--out", type=Path, metavar="FOLDER", help="default: gguf/ in the run's folder")
    files.set_defaults(function=commands.do_export_gguf)


def command() -> int:
    """What `ftlib` in a terminal calls: `main`, and then a quick end."""
    status = main()
    gc.freeze()  # else Python looks through all objects once more before it ends, half a second with torch loaded
    return status


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 done, 1 a problem (doctor) or a failed run (study), 2 what the user can mend."""
    environment.prepare()
    args = build_parser().parse_args(arguments)
    if not distributed.first():  # only rank 0 prints
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # open as long as the process
    try:
        status = args.function(args) or 0
        distributed.leave()
        return status
    except FtlibError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; run the same command again and it goes on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stdout = open(
            os.devnull, "w", encoding="utf-8"
        )  # else Python writes to the closed pipe once more as it ends
        print("error: the program that read the output has ended (| head, for example)", file=sys.stderr)
        return 141
    except Exception as error:
        said = hub.explain(error) or storage_problem(error)
        if said is None:
            raise
        print(f"error: {said}", file=sys.stderr)
        return 2
