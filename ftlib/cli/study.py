"""`ftlib study run|report|card`: many configurations, several seeds, one report."""

from __future__ import annotations

from pathlib import Path

from ftlib.cli.common import add_command, resolve


def add(subparsers, common) -> None:
    """Add the commands to the parser."""
    study = subparsers.add_parser("study", help="train, score and report a list of configurations")
    actions = study.add_subparsers(dest="action", required=True)
    run = add_command(actions, "run", "all runs and seeds of a study file; resumes after an interruption", do_study_run)
    run.add_argument("file", type=Path, metavar="STUDY.yaml", help="as those in studies/")
    run.add_argument("--data", metavar="PATH", help="the rows; not needed where all answers are stored")
    run.add_argument("--work", type=Path, metavar="FOLDER", help="for models and answers (default: runs/)")
    run.add_argument("--only", nargs="+", metavar="RUN", help="these runs of the file: RUN, or RUN-sSEED")
    run.add_argument("--no-score", action="store_true", help="train and answer; score later, on any machine")
    run.add_argument("--no-train", action="store_true", help="score what is answered")
    report = add_command(actions, "report", "tables and figures of all recorded studies", do_study_report)
    for action in (run, report):
        action.add_argument("--results", type=Path, metavar="FOLDER", help="default: results/ of this repository")
    card = add_command(actions, "card", "print a run's model card", do_study_card, [common])
    card.add_argument("--kind", choices=("merged", "adapter"), default="merged")


def do_study_run(args) -> int:
    """Run a study."""
    from ftlib.study.run import run_study

    score, train = not args.no_score, not args.no_train
    failed = run_study(args.file, args.results or _results(), args.data, args.work, args.only, train, score)
    return 1 if failed else 0


def do_study_report(args) -> None:
    """Render all recorded studies."""
    from ftlib.study.report import write

    results = args.results or _results()
    print("\n".join(f"written: {path}" for path in write(results.parent, results)))


def _results() -> Path:
    """Return `results/` next to `runs/`: at the root of the repository, else in the current folder."""
    from ftlib.runtime.files import repository

    return repository() / "results"


def do_study_card(args) -> None:
    """Print a model card."""
    from ftlib.export.model_card import card

    _, run = resolve(args, "evaluation")
    print(card(run, args.kind))
