"""Options that several commands share, and the configuration and run that they resolve to.

Heavy modules are imported inside the functions, so that `ftlib --help` prints at once.
"""

from __future__ import annotations

import argparse
import os


def common_options() -> argparse.ArgumentParser:
    """Return the parent parser of all commands that work on a run."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--profile", metavar="NAME", help="smoke, cpu, t4, gpu, seed or qa (default: the one that fits this machine)"
    )
    common.add_argument(
        "--data",
        metavar="PATH",
        help="JSON Lines (trn.json), a JSON array, CSV, TSV or Parquet, plain or packed; hf:OWNER/NAME[:SPLIT]; sample or faq",
    )
    common.add_argument("--run", metavar="PATH", help="the run folder (default: runs/<profile>)")
    common.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="any setting, e.g. train.learning_rate=3e-4"
    )
    return common


def add_command(subparsers, name: str, summary: str, function, parents=()) -> argparse.ArgumentParser:
    """Add a command. function: takes the parsed arguments and returns the exit status, None for 0."""
    command = subparsers.add_parser(name, help=summary, description=summary, parents=list(parents))
    command.set_defaults(function=function)
    return command


def overrides_of(args) -> dict:
    """Return the settings that the options set, by dotted key."""
    from ftlib.config.settings import parse_setting

    overrides = dict(parse_setting(text) for text in args.set)
    if args.data is not None:
        overrides["data.path"] = args.data
    if getattr(args, "rows", None) is not None:
        overrides["evaluation.rows"] = args.rows
    if getattr(args, "open_book", False):
        overrides["evaluation.open_book"] = True
    return overrides


def resolve(args, stage: str | None):
    """Return (cfg, run) and print which profile, run and data are used.

    stage: the settings of the stages before it are taken from the run, unless they are set again.
    """
    from ftlib.config.settings import Config
    from ftlib.data.file_search import describe
    from ftlib.pipeline.stage import Run
    from ftlib.pipeline.stages import default_run, recorded_settings
    from ftlib.runtime import hardware
    from ftlib.runtime.console import log
    from ftlib.runtime.files import home_path

    if getattr(args, "auto_batch", False):
        os.environ["FTLIB_AUTO_BATCH"] = "1"
    note = hardware.use_one_gpu()
    if args.run:
        args.run = home_path(args.run, "--run")  # shells do not expand ~ in --run=~/x
    profile, reason = args.profile, "set by --profile"
    if args.run and stage and not profile:
        manifests = Run(args.run).manifests().values()
        profile, reason = next((manifest["profile"] for manifest in manifests), None), "recorded in this run"
    cfg = Config.load(profile, reason=reason, **overrides_of(args))
    run = Run(args.run or default_run(cfg))
    if stage:
        inherited = recorded_settings(run, stage)
        cfg = Config.load(cfg.profile, inherited=inherited, reason=cfg.profile_reason, **overrides_of(args))
    dataset = run.stage("dataset")
    data = describe(cfg, dataset.manifest() if dataset.complete else None)
    log.info(f"profile {cfg.profile} ({cfg.profile_reason}), run folder {run.path}, {data}")
    if note:
        log.info(note)
    return cfg, run
