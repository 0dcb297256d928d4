"""What each command of `ftlib` does. Thin: it calls the module that does the work.

Heavy modules are imported inside the functions, so that `ftlib --help` answers at once. `args` are those of `cli.build_parser`;
a function returns the exit status, None for 0.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from pathlib import Path

from ftlib.runtime import environment
from ftlib.runtime.errors import FtlibError


def _overrides(args) -> dict:
    from ftlib.config.settings import parse_setting

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
    from ftlib.config.settings import Config
    from ftlib.data.file_search import describe
    from ftlib.pipeline.stage import Run
    from ftlib.pipeline.stages import default_run, recorded_settings
    from ftlib.runtime import hardware
    from ftlib.runtime.files import home_path

    if getattr(args, "auto_batch", False):
        os.environ["FTLIB_AUTO_BATCH"] = "1"
    said = hardware.use_one_gpu()
    if args.run:
        args.run = home_path(args.run, "--run")  # a shell leaves ~ in --run=~/x
    profile, reason = args.profile, "asked for"
    if args.run and stage and not profile:
        made = Run(args.run).manifests().values()
        profile, reason = next((manifest["profile"] for manifest in made), None), "recorded in this run"
    cfg = Config.load(profile, reason=reason, **_overrides(args))
    run = Run(args.run or default_run(cfg))
    if stage:
        inherited = recorded_settings(run, stage)
        cfg = Config.load(cfg.profile, inherited=inherited, reason=cfg.profile_reason, **_overrides(args))
    dataset = run.stage("dataset")
    data = describe(cfg, dataset.manifest() if dataset.complete else None)
    print(f"profile {cfg.profile} ({cfg.profile_reason}), run folder {run.path}, {data}", flush=True)
    if said:
        print(said, flush=True)
    return cfg, run


def do_run(args) -> None:
    cfg, run = _resolve(args, None)
    _build("evaluation", cfg, run, also=("index",))


def do_stage(args) -> None:
    cfg, run = _resolve(args, args.stage)
    _build(args.stage, cfg, run)


def _build(stage: str, cfg, run, also: tuple[str, ...] = ()) -> None:
    from ftlib.pipeline.stages import ensure
    from ftlib.runtime.files import read_json

    made = ensure(stage, cfg, run, also)
    if stage == "evaluation":
        from ftlib.reporting.findings import findings
        from ftlib.reporting.tables import table

        metrics = read_json(made.path / "metrics.json")
        for split in ("unseen", "seen"):
            if split in metrics:
                print("\n" + table(metrics, split))
        print("\n" + "\n".join(findings(metrics)))
        print(f"\nreport: {made.path / 'report.html'}")


def _load_pair(args, systems: tuple[str, ...]):
    """(pair, run) of a trained run; nothing is trained for a question, but a missing index is built."""
    from ftlib.app.model_pair import load_pair
    from ftlib.pipeline.stages import ensure

    cfg, run = _resolve(args, "evaluation")
    run.stage("merged").manifest()
    ensure("index", cfg, run)
    return load_pair(cfg, run, systems), run


def do_ask(args) -> None:
    import json

    from ftlib.app.console import print_sources, tell
    from ftlib.app.model_pair import SYSTEMS, check_asked

    check_asked(args.title, args.question)
    with contextlib.redirect_stdout(sys.stderr):
        pair, _ = _load_pair(args, SYSTEMS if args.model == "both" else (args.model,))
    told = tell(pair, args.title, args.question, args.open_book, quiet=args.json)
    if args.json:
        print(json.dumps(told, ensure_ascii=not environment.prints_unicode(sys.stdout), indent=1))
    elif args.sources:
        print_sources(pair, told)


def do_serve(args) -> None:
    from ftlib.app.model_pair import SYSTEMS

    try:
        from ftlib.app.gradio_app import serve
        from ftlib.app.session import Desk
    except ImportError as error:
        raise FtlibError(f'the page needs Gradio ({error}): pip install -e ".[app]"') from None
    pair, run = _load_pair(args, SYSTEMS)
    if args.host not in ("127.0.0.1", "localhost", "::1"):
        print(f"note: whoever reaches {args.host} can ask and vote; there is no password", flush=True)
    try:
        serve(Desk(pair, run), args.host, args.port, allow=args.allow_host)
    except OSError as error:
        raise FtlibError(
            f"the page cannot be served on {args.host}, port {args.port}: {error}; choose another --port"
        ) from None


def do_votes(args) -> None:
    from ftlib.app.votes import Votes, tally

    _, run = _resolve(args, "evaluation")
    print(tally(Votes(run.path / "votes.sqlite")))


def do_config(args) -> None:
    from ftlib.config.settings import Config, render
    from ftlib.models.loading import precision

    cfg = Config.load(args.profile, **_overrides(args))
    try:
        reasons = precision(cfg).reasons
    except FtlibError as error:  # the settings are valid; this machine just cannot decide what is automatic in them
        reasons = {
            key: f"decided on the training machine (here: {error})" for key in ("model.dtype", "model.quantization")
        }
    print(render(cfg, reasons))


def do_doctor(args) -> int:
    from ftlib.runtime import hardware

    said = hardware.use_one_gpu()
    from ftlib.cli.doctor import examine

    facts, problems = examine(said)
    print("\n".join(facts))
    print("\n".join(f"PROBLEM: {problem}" for problem in problems) or "nothing is missing")
    return 1 if problems else 0


def do_sample(args) -> None:
    from ftlib.data.sample.generate import write_sample

    if args.rows < 1:
        raise FtlibError(f"--rows {args.rows}: allowed is 1 or more")
    write_sample(args.out, args.rows, args.seed)
    print(f"{args.rows} synthetic rows written to {args.out}; use them with --data {shlex.quote(str(args.out))}")


def _find_runs(names: list[str]):
    from ftlib.pipeline.run_admin import list_runs
    from ftlib.pipeline.stage import Run, StageMissing
    from ftlib.runtime.files import runs_root

    found = []
    for name in names:
        run = Run(runs_root() / name) if (runs_root() / name).is_dir() else Run(name)
        if not run.path.is_dir():
            there = ", ".join(r.path.name for r in list_runs()) or "none"
            raise StageMissing(f"{name}: no such run in {runs_root()}; there are: {there}")
        found.append(run)
    return found


def do_runs_list(args) -> None:
    from ftlib.pipeline.run_admin import headline, list_runs, size_mb
    from ftlib.runtime.files import runs_root

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
    from ftlib.pipeline.run_admin import compare

    columns = compare(_find_runs(args.names))
    keys = list(dict.fromkeys(key for values in columns.values() for key in values))
    lines = [["", *columns], *([key, *(_cell(values.get(key, "–")) for values in columns.values())] for key in keys)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def do_runs_clean(args) -> None:
    from ftlib.pipeline.run_admin import clean

    for run in _find_runs(args.names):
        print(f"{run.path.name}: {clean(run, args.all)} MB freed")


def do_record(args) -> None:
    from ftlib.config.settings import parse_setting
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
    from ftlib.runtime.files import repository

    return repository() / "results"


def do_badges(args) -> None:
    from ftlib.course.badges import rewrite

    repository, ref = rewrite(args.repository, args.ref)
    print(f"badges and set-up cells point to {repository} at {ref}")


def do_study_card(args) -> None:
    from ftlib.export.model_card import card

    _, run = _resolve(args, "evaluation")
    print(card(run, args.kind))


def do_export_gguf(args) -> None:
    from ftlib.export.gguf import export
    from ftlib.pipeline.stages import load_dataset

    cfg, run = _resolve(args, "evaluation")
    merged, folder = run.stage("merged").verified(), args.out or run.path / "gguf"
    export(cfg, load_dataset(run), merged, folder, tuple(args.type))
    print(f"written to {folder}; for Ollama: ollama create NAME -f {shlex.quote(str(folder / 'Modelfile'))}")


def do_export_hub(args) -> None:
    from ftlib.export.model_card import upload

    _, run = _resolve(args, "evaluation")
    address = upload(run, args.place, args.kind, private=not args.public, dry_run=args.dry_run)
    if address:
        print(f"uploaded: {address}")
