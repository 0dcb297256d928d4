"""`ftlib runs list|compare|clean`."""

from __future__ import annotations


def add(subparsers) -> None:
    """Add the commands to the parser."""
    actions = subparsers.add_parser("runs", help="list, compare or clean runs").add_subparsers(
        dest="action", required=True
    )
    actions.add_parser("list", help="runs with size, stages and headline metrics").set_defaults(function=do_runs_list)
    compare = actions.add_parser("compare", help="settings that differ and headline metrics, side by side")
    compare.add_argument("names", nargs="+", metavar="RUN", help="a run's name or folder")
    compare.set_defaults(function=do_runs_compare)
    clean = actions.add_parser("clean", help="remove merged weights and index, which can be rebuilt")
    clean.add_argument("names", nargs="+", metavar="RUN")
    clean.add_argument("--all", action="store_true", help="remove the whole run, answers and metrics too")
    clean.set_defaults(function=do_runs_clean)


def _find_runs(names: list[str]):
    from ftlib.pipeline.run_admin import list_runs
    from ftlib.pipeline.stage import Run, StageMissing
    from ftlib.runtime.files import runs_root

    runs = []
    for name in names:
        run = Run(runs_root() / name) if (runs_root() / name).is_dir() else Run(name)
        if not run.path.is_dir():
            existing = ", ".join(r.path.name for r in list_runs()) or "none"
            raise StageMissing(f"{name}: no such run in {runs_root()}; existing runs: {existing}")
        runs.append(run)
    return runs


def do_runs_list(args) -> None:
    """List the runs."""
    from ftlib.pipeline.run_admin import headline, list_runs, size_mb
    from ftlib.runtime.files import runs_root

    runs = list_runs()
    if not runs:
        print(f"no runs in {runs_root()}; `ftlib run` makes one")
    for run in runs:
        figures = ", ".join(f"{name} {value:.3f}" for name, value in headline(run).items())
        print(
            f"{run.path.name}: {size_mb(run.path)} MB, {' '.join(run.manifests())}"
            + (f"; {figures}" if figures else "")
        )


def do_runs_compare(args) -> None:
    """Print settings and metrics of some runs."""
    from ftlib.pipeline.run_admin import compare
    from ftlib.reporting.tables import Table

    columns = compare(_find_runs(args.names))
    keys = list(dict.fromkeys(key for values in columns.values() for key in values))
    rows = [[key, *(_cell(values.get(key, "–")) for values in columns.values())] for key in keys]
    print(Table(["", *columns], rows).console())


def _cell(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def do_runs_clean(args) -> None:
    """Remove what can be rebuilt."""
    from ftlib.pipeline.run_admin import clean

    for run in _find_runs(args.names):
        print(f"{run.path.name}: {clean(run, args.all)} MB freed")
