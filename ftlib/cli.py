"""The command line: `ftlib run`, or a stage of it. Thin: each command calls the module that does the work.

Heavy modules are imported inside the commands, so that `ftlib --help` answers at once.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path

from ftlib import __version__, ranks
from ftlib.errors import FtlibError


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ftlib", description=__import__("ftlib").__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=f"ftlib {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--profile", metavar="NAME", help="smoke, cpu, t4, gpu or seed (default: what fits this machine)"
    )
    common.add_argument(
        "--data", metavar="PATH", help="trn.json, .jsonl, either with .gz, the distributed .zip, or 'sample'"
    )
    common.add_argument("--run", metavar="PATH", help="the run folder (default: runs/<profile>)")
    common.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="any setting, e.g. train.learning_rate=3e-4"
    )

    def command(name: str, what: str, function, parents=(common,)) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=what, description=what, parents=list(parents))
        sub.set_defaults(function=function)
        return sub

    command("run", "prepare, train, merge, evaluate and report; reuses what is still valid", do_run)
    command("prepare", "raw rows to a cleaned, deduplicated, split data set", do_stage).set_defaults(stage="dataset")
    command("train", "fine-tune an adapter; goes on by itself after an interruption", do_stage).set_defaults(
        stage="adapter"
    )
    command("merge", "adapter and base to one 16-bit model, with proof", do_stage).set_defaults(stage="merged")
    evaluate = command("evaluate", "base, tuned and baselines side by side, with intervals", do_stage)
    evaluate.set_defaults(stage="evaluation")
    evaluate.add_argument("--rows", type=int, metavar="K", help="a quick look at K test rows, with its interval")
    evaluate.add_argument(
        "--open-book", action="store_true", help="both models also with similar training rows in the prompt"
    )
    ask = command("ask", "base and tuned model answer a question about a product, with sources", do_ask)
    ask.add_argument("title", metavar="TITLE", help="the product's title, as a shop would write it")
    ask.add_argument("--question", default="", metavar="Q", help="default: the question that the model was trained on")
    ask.add_argument("--model", choices=("base", "tuned", "both"), default="both")
    ask.add_argument("--open-book", action="store_true", help="show the sources to the models, before the question")
    ask.add_argument("--sources", action="store_true", help="the rows that the answer rests on, sentence by sentence")
    ask.add_argument("--json", action="store_true", help="one JSON object on standard output, nothing else")
    serve = command("serve", "a page to ask both models, see their sources and vote", do_serve)
    serve.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="0.0.0.0: everybody on the network (default: only you)"
    )
    serve.add_argument("--port", type=int, metavar="N", help="default: the first free one from 7860 on")
    command("votes", "which answers people preferred, with an interval", do_votes)
    command("config", "print the resolved configuration with the reason for each automatic choice", do_config)
    command("doctor", "what this machine has, which profile fits, what is missing", do_doctor, parents=())

    sample = command("sample", "write a made-up catalogue in the schema of trn.json", do_sample, parents=())
    sample.add_argument("--rows", type=int, default=3000, metavar="N", help="how many rows (default 3000)")
    sample.add_argument("--seed", type=int, default=42)
    sample.add_argument(
        "--out", type=Path, default=Path("sample.jsonl.gz"), metavar="PATH", help="default: sample.jsonl.gz"
    )

    runs = commands.add_parser("runs", help="list, compare or clean runs").add_subparsers(dest="action", required=True)
    runs.add_parser("list", help="runs with size, stages and headline metrics").set_defaults(function=do_runs_list)
    compare = runs.add_parser("compare", help="settings that differ and headline metrics, side by side")
    compare.add_argument("names", nargs="+", metavar="RUN", help="a run's name or folder")
    compare.set_defaults(function=do_runs_compare)
    clean = runs.add_parser("clean", help="remove merged weights and index, which can be made again")
    clean.add_argument("names", nargs="+", metavar="RUN")
    clean.add_argument("--all", action="store_true", help="remove the whole run, answers and metrics too")
    clean.set_defaults(function=do_runs_clean)
    _add_course(commands)
    _add_study(commands, common)
    _add_export(commands, common)
    return parser


def _add_course(commands) -> None:
    """`ftlib course ...`: what makes the course itself."""
    course = commands.add_parser("course", help="record, render and hand out the notebooks")
    actions = course.add_subparsers(dest="action", required=True)

    def action(name: str, what: str, function) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=what, description=what)
        sub.set_defaults(function=function)
        return sub

    record = action("record", "execute the notebooks, keep outputs and times, and stamp them", do_record)
    record.add_argument("names", nargs="*", metavar="NOTEBOOK", help="e.g. 03; all without a name")
    record.add_argument("--profile", default="cpu", help="another than cpu measures times and keeps no outputs")
    record.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="a setting on top of another profile than cpu"
    )
    record.add_argument("--rebuild", action="store_true", help="ship the adapter that notebook 03 trains")
    slides = action("slides", "one reveal.js deck a notebook", do_slides)
    slides.add_argument("--out", type=Path, default=Path("slides"), metavar="FOLDER")
    slides.add_argument(
        "--reveal", metavar="PLACE", help="address or folder of reveal.js (default: a pinned one on the net)"
    )
    for name, what, function in (
        ("book", "one static page a notebook, with navigation", do_book),
        ("student", "copies of the notebooks without solutions and outputs", do_student),
    ):
        action(name, what, function).add_argument("--out", type=Path, default=Path(name), metavar="FOLDER")
    badges = action("badges", "point badges and set-up cells to a repository and a tag", do_badges)
    badges.add_argument("--repository", metavar="OWNER/REPO")
    badges.add_argument("--ref", metavar="TAG")


def _add_study(commands, common) -> None:
    """`ftlib study ...`: many configurations, several seeds, one report."""
    study = commands.add_parser("study", help="train, score and report a list of configurations")
    actions = study.add_subparsers(dest="action", required=True)
    what = "all runs and seeds of a study file; goes on by itself after an interruption"
    run = actions.add_parser("run", help=what, description=what)
    run.add_argument("file", type=Path, metavar="STUDY.yaml", help="as those in studies/")
    run.add_argument("--data", metavar="PATH", help="the rows; not needed where answers are there already")
    run.add_argument("--work", type=Path, metavar="FOLDER", help="for models and answers (default: runs/)")
    run.add_argument("--only", nargs="+", metavar="RUN", help="these runs of the file")
    run.add_argument("--no-score", action="store_true", help="train and answer; score later, on any machine")
    run.add_argument("--no-train", action="store_true", help="score what is answered")
    run.set_defaults(function=do_study_run)
    what = "tables and figures of all recorded studies, in REPORT.md and the README"
    report = actions.add_parser("report", help=what, description=what)
    report.set_defaults(function=do_study_report)
    for action in (run, report):
        action.add_argument("--results", type=Path, metavar="FOLDER", help="default: results/ of this repository")
    card = actions.add_parser("card", help="print a run's model card", parents=[common])
    card.add_argument("--kind", choices=("merged", "adapter"), default="merged")
    card.set_defaults(function=do_study_card)


def _add_export(commands, common) -> None:
    """`ftlib export ...`: the model for others."""
    export = commands.add_parser("export", help="give the model to others").add_subparsers(dest="action", required=True)
    hub = export.add_parser("hub", help="upload model and card to the Hugging Face hub", parents=[common])
    hub.add_argument("place", metavar="OWNER/NAME")
    hub.add_argument("--kind", choices=("merged", "adapter"), default="merged")
    hub.add_argument("--public", action="store_true", help="for everybody to see (default: private)")
    hub.add_argument("--dry-run", action="store_true", help="only show what would go up")
    hub.set_defaults(function=do_export_hub)
    what = "the merged model as GGUF files with a Modelfile, for llama.cpp and Ollama"
    files = export.add_parser("gguf", help=what, description=what, parents=[common])
    files.add_argument("--type", nargs="+", choices=("f16", "q8_0"), default=["f16", "q8_0"], help="default: both")
    files.add_argument("--out", type=Path, metavar="FOLDER", help="default: gguf/ in the run's folder")
    files.set_defaults(function=do_export_gguf)


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit status: 0 done, 1 a problem (doctor) or a failed run (study), 2 what the user can mend."""
    args = build_parser().parse_args(arguments)
    if not ranks.first():  # of several processes one speaks
        sys.stdout = open(os.devnull, "w")  # open as long as the process
    try:
        status = args.function(args) or 0
        ranks.leave()
        return status
    except FtlibError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; run the same command again and it goes on", file=sys.stderr)
        return 130


def _overrides(args) -> dict:
    from ftlib.config import parse_setting

    overrides = dict(parse_setting(text) for text in args.set)
    if args.data is not None:
        overrides["data.path"] = args.data
    if getattr(args, "rows", None) is not None:
        overrides["evaluation.rows"] = args.rows
    if getattr(args, "open_book", False):
        overrides["evaluation.open_book"] = True
    return overrides


def _resolve(args, stage: str | None):
    """(cfg, run). A stage command takes the settings of the stages before it from the run, unless they are set again."""
    from ftlib import hardware
    from ftlib.config import Config
    from ftlib.pipeline import default_run, recorded_settings
    from ftlib.runs import Run

    said = hardware.use_one_gpu()
    if said:
        print(said, flush=True)
    profile, reason = args.profile, "asked for"
    if args.run and stage and not profile:
        made = Run(args.run).manifests().values()
        profile, reason = next((manifest["profile"] for manifest in made), None), "recorded in this run"
    cfg = Config.load(profile, reason=reason, **_overrides(args))
    run = Run(args.run or default_run(cfg))
    if stage:
        inherited = recorded_settings(run, stage)
        cfg = Config.load(cfg.profile, inherited=inherited, reason=cfg.profile_reason, **_overrides(args))
    print(f"profile {cfg.profile} ({cfg.profile_reason}), run folder {run.path}", flush=True)
    return cfg, run


def do_run(args) -> None:
    cfg, run = _resolve(args, None)
    _check(cfg)
    _build("evaluation", cfg, run, also=("index",))


def do_stage(args) -> None:
    cfg, run = _resolve(args, args.stage)
    if args.stage in ("adapter", "merged", "evaluation"):
        _check(cfg)
    _build(args.stage, cfg, run)


def _check(cfg) -> None:
    """What only the machine and the model reveal, before any work is done."""
    from ftlib.models import check_model, precision

    check_model(cfg)
    precision(cfg)


def _build(stage: str, cfg, run, also: tuple[str, ...] = ()) -> None:
    from ftlib.pipeline import ensure
    from ftlib.runs import read_json

    made = ensure(stage, cfg, run, also)
    if stage == "evaluation":
        from ftlib.report import findings, table

        metrics = read_json(made.path / "metrics.json")
        for split in ("unseen", "seen"):
            if split in metrics:
                print("\n" + table(metrics, split))
        print("\n" + "\n".join(findings(metrics)))
        print(f"\nreport: {made.path / 'report.html'}")


def _load_pair(args, systems: tuple[str, ...]):
    """(pair, run) of a trained run; nothing is trained for a question, but a missing index is built."""
    from ftlib.asking import load_pair
    from ftlib.pipeline import ensure

    cfg, run = _resolve(args, "evaluation")
    run.stage("merged").manifest()
    ensure("index", cfg, run)
    return load_pair(cfg, run, systems), run


def do_ask(args) -> None:
    import json

    from ftlib.app.terminal import print_sources, tell
    from ftlib.asking import SYSTEMS, check_asked

    check_asked(args.title, args.question)
    with contextlib.redirect_stdout(sys.stderr):
        pair, _ = _load_pair(args, SYSTEMS if args.model == "both" else (args.model,))
    told = tell(pair, args.title, args.question, args.open_book, quiet=args.json)
    if args.json:
        print(json.dumps(told, ensure_ascii=False, indent=1))
    elif args.sources:
        print_sources(pair, told)


def do_serve(args) -> None:
    from ftlib.asking import SYSTEMS

    try:
        from ftlib.app.desk import Desk
        from ftlib.app.page import serve
    except ImportError as error:
        raise FtlibError(f'the page needs Gradio ({error}): pip install -e ".[app]"') from None
    pair, run = _load_pair(args, SYSTEMS)
    if args.host not in ("127.0.0.1", "localhost", "::1"):
        print(f"note: whoever reaches {args.host} can ask and vote; there is no password", flush=True)
    try:
        serve(Desk(pair, run), args.host, args.port)
    except OSError as error:
        raise FtlibError(
            f"the page cannot be served on {args.host}, port {args.port}: {error}; choose another --port"
        ) from None


def do_votes(args) -> None:
    from ftlib.app.votes import Votes, tally

    _, run = _resolve(args, "evaluation")
    print(tally(Votes(run.path / "votes.sqlite")))


def do_config(args) -> None:
    from ftlib.config import Config, render
    from ftlib.models import precision

    cfg = Config.load(args.profile, **_overrides(args))
    try:
        reasons = precision(cfg).reasons
    except FtlibError as error:  # the settings are valid; this machine just cannot decide what is automatic in them
        reasons = {
            key: f"decided on the training machine (here: {error})" for key in ("model.dtype", "model.quantization")
        }
    print(render(cfg, reasons))


def do_doctor(args) -> int:
    from ftlib import hardware

    said = hardware.use_one_gpu()
    from ftlib.doctor import examine

    facts, problems = examine(said)
    print("\n".join(facts))
    print("\n".join(f"PROBLEM: {problem}" for problem in problems) or "nothing is missing")
    return 1 if problems else 0


def do_sample(args) -> None:
    from ftlib.sample.generate import write_sample

    if args.rows < 1:
        raise FtlibError(f"--rows {args.rows}: allowed is 1 or more")
    write_sample(args.out, args.rows, args.seed)
    print(f"{args.rows} made-up rows written to {args.out}; use them with --data {args.out}")


def _find_runs(names: list[str]):
    from ftlib.runs import Run, StageMissing, list_runs, runs_root

    found = []
    for name in names:
        run = Run(runs_root() / name) if (runs_root() / name).is_dir() else Run(name)
        if not run.path.is_dir():
            there = ", ".join(r.path.name for r in list_runs()) or "none"
            raise StageMissing(f"{name}: no such run in {runs_root()}; there are: {there}")
        found.append(run)
    return found


def do_runs_list(args) -> None:
    from ftlib.runs import headline, list_runs, runs_root, size_mb

    found = list_runs()
    if not found:
        print(f"no runs in {runs_root()}; `ftlib run` makes one")
    for run in found:
        figures = ", ".join(f"{name} {value:.3f}" for name, value in headline(run).items())
        print(
            f"{run.path.name}: {size_mb(run.path)} MB, {' '.join(run.manifests())}"
            + (f"; {figures}" if figures else "")
        )


def do_runs_compare(args) -> None:
    from ftlib.runs import compare

    columns = compare(_find_runs(args.names))
    keys = list(dict.fromkeys(key for values in columns.values() for key in values))
    lines = [["", *columns], *([key, *(_cell(values.get(key, "–")) for values in columns.values())] for key in keys)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def do_runs_clean(args) -> None:
    from ftlib.runs import clean

    for run in _find_runs(args.names):
        print(f"{run.path.name}: {clean(run, args.all)} MB freed")


def do_record(args) -> None:
    from ftlib.config import parse_setting
    from ftlib.course.record import record

    settings = {key: str(value) for key, value in map(parse_setting, args.set)}
    record(args.names, args.profile, args.rebuild, settings)


def do_slides(args) -> None:
    from ftlib.course.site import REVEAL, write_slides

    _say_written(write_slides(args.out, args.reveal or REVEAL), args.out)


def do_book(args) -> None:
    from ftlib.course.site import write_book

    _say_written(write_book(args.out), args.out)


def do_student(args) -> None:
    from ftlib.course.student import write_copies

    _say_written(write_copies(args.out), args.out)


def _say_written(paths: list[Path], folder: Path) -> None:
    print(f"{len(paths)} files written to {folder}: {', '.join(path.name for path in paths)}")


def do_study_run(args) -> int:
    from ftlib.study.run import run_study

    score, train = not args.no_score, not args.no_train
    failed = run_study(args.file, args.results or _results(), args.data, args.work, args.only, train, score)
    return 1 if failed else 0


def do_study_report(args) -> None:
    from ftlib.study.report import write

    results = args.results or _results()
    print("\n".join(f"written: {path}" for path in write(results.parent, results)))


def _results() -> Path:
    """`results/` beside `runs/`: at the root of the repository, else in the current folder."""
    from ftlib.runs import repository

    return repository() / "results"


def do_badges(args) -> None:
    from ftlib.course.badges import rewrite

    repository, ref = rewrite(args.repository, args.ref)
    print(f"badges and set-up cells point to {repository} at {ref}")


def do_study_card(args) -> None:
    from ftlib.study.card import card

    _, run = _resolve(args, "evaluation")
    print(card(run, args.kind))


def do_export_gguf(args) -> None:
    from ftlib.exporting import export
    from ftlib.pipeline import load_dataset

    cfg, run = _resolve(args, "evaluation")
    merged, folder = run.stage("merged"), args.out or run.path / "gguf"
    merged.manifest()  # a clear error if it was never made
    export(cfg, load_dataset(run), merged.path, folder, tuple(args.type))
    print(f"written to {folder}; for Ollama: ollama create NAME -f {folder / 'Modelfile'}")


def do_export_hub(args) -> None:
    from ftlib.study.card import upload

    _, run = _resolve(args, "evaluation")
    address = upload(run, args.place, args.kind, private=not args.public, dry_run=args.dry_run)
    if address:
        print(f"uploaded: {address}")
