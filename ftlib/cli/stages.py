"""`ftlib run` and the commands of its stages: prepare, train, merge, evaluate; and `ftlib config`."""

from __future__ import annotations

from ftlib.cli.common import add_command, overrides_of, resolve
from ftlib.runtime.errors import FtlibError


def add(subparsers, common) -> None:
    """Add the commands to the parser."""
    run = add_command(
        subparsers, "run", "prepare, train, merge, evaluate and report; reuses what is up to date", do_run, [common]
    )
    add_command(
        subparsers, "prepare", "raw rows to a cleaned, deduplicated, split data set", do_stage, [common]
    ).set_defaults(stage="dataset")
    train = add_command(
        subparsers, "train", "fine-tune an adapter; resumes from the last checkpoint", do_stage, [common]
    )
    train.set_defaults(stage="adapter")
    for command in (run, train):
        command.add_argument(
            "--auto-batch",
            action="store_true",
            help="if memory runs out during training, resume from the last checkpoint with a smaller micro-batch",
        )
    add_command(
        subparsers, "merge", "adapter and base to one 16-bit model, with proof", do_stage, [common]
    ).set_defaults(stage="merged")
    evaluate = add_command(
        subparsers, "evaluate", "base, fine-tuned model and baselines side by side, with intervals", do_stage, [common]
    )
    evaluate.set_defaults(stage="evaluation")
    evaluate.add_argument("--rows", type=int, metavar="K", help="a quick look at K test rows, with its interval")
    evaluate.add_argument(
        "--open-book", action="store_true", help="both models also with similar training rows in the prompt"
    )
    add_command(
        subparsers, "config", "print the resolved configuration and where each value comes from", do_config, [common]
    )


def do_run(args) -> None:
    """Run all stages."""
    cfg, run = resolve(args, None)
    _build("evaluation", cfg, run, also=("index",))


def do_stage(args) -> None:
    """Run the stages up to one."""
    cfg, run = resolve(args, args.stage)
    _build(args.stage, cfg, run)


def _build(name: str, cfg, run, also: tuple[str, ...] = ()) -> None:
    """Bring a stage up to date; of an evaluation, print tables and findings."""
    from ftlib.pipeline.stages import ensure
    from ftlib.runtime.files import read_json

    stage = ensure(name, cfg, run, also)
    if name == "evaluation":
        from ftlib.reporting.sentences import findings
        from ftlib.reporting.tables import table

        metrics = read_json(stage.path / "metrics.json")
        for split in ("unseen", "seen"):
            if split in metrics:
                print("\n" + table(metrics, split))
        print("\n" + "\n".join(findings(metrics)))
        print(f"\nreport: {stage.path / 'report.html'}")


def do_config(args) -> None:
    """Print the resolved configuration."""
    from ftlib.config.settings import Config, render
    from ftlib.models.loading import precision

    cfg = Config.load(args.profile, **overrides_of(args))
    try:
        reasons = precision(cfg).reasons
    except FtlibError as error:  # the settings are valid, but the automatic ones cannot be resolved on this machine
        reasons = {
            key: f"decided on the training machine (here: {error})" for key in ("model.dtype", "model.quantization")
        }
    print(render(cfg, reasons))
