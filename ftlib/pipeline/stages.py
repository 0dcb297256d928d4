"""The stages in their order: what each depends on, when it is reused, and how it is built.

What: `ensure("merged", cfg, run)` makes the stages before it if they are missing or stale, then the stage itself, and says
what it does and why. Why one table: a stage reads the folder of the stage before it and writes its own, so what depends on a
setting is decided in `SECTIONS` and `READS` and nowhere else.
How: `ftlib run` ensures the last stage; a notebook ensures the one it needs.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
from importlib import resources
from pathlib import Path

from ftlib.config.settings import Config, flatten
from ftlib.evaluation.metric_table import DEFINITIONS
from ftlib.pipeline.stage import FORMAT, STAGES, Run, Stage
from ftlib.runtime import distributed
from ftlib.runtime.files import fingerprint, large_file_fingerprint, read_jsonl, runs_root

# Which sections of the configuration a stage depends on, and which stages it reads.
SECTIONS = {
    "dataset": ("data",),
    "index": (),
    "adapter": ("model", "lora", "train"),
    "merged": ("merge",),
    "evaluation": ("generation", "evaluation"),
}
READS = {
    "dataset": (),
    "index": ("dataset",),
    "adapter": ("dataset",),
    "merged": ("adapter", "dataset"),
    "evaluation": ("dataset", "merged"),
}
MODEL_STAGES = ("adapter", "merged", "evaluation")
SHARED = ("adapter", "evaluation")  # several processes all work on these; the first one alone makes the others
WORTH_SAYING = 5  # seconds: nobody asks about a shorter wait
KEPT = {"evaluation": ("answers.jsonl", "answers.keys.json")}  # answers say themselves whether they still count


def default_run(cfg: Config) -> Path:
    return runs_root() / cfg.profile


def recorded_settings(run: Run, before: str) -> dict:
    """The settings that the stages before `before` were made with, so that `ftlib train` goes on with what was prepared."""
    recorded: dict = {}
    manifests = run.manifests()
    for name in STAGES[: STAGES.index(before)]:
        recorded |= manifests.get(name, {}).get("config", {})
    return recorded


def reads(name: str, cfg: Config) -> tuple[str, ...]:
    """The stages that a stage reads; an open-book evaluation looks rows up."""
    return (*READS[name], "index") if name == "evaluation" and cfg.evaluation.open_book else READS[name]


def wanted(name: str, cfg: Config, run: Run) -> tuple[str, dict, dict]:
    """(fingerprint, settings, {input: fingerprint}) that the stage should have; its inputs must be there."""
    config = {section: cfg.to_dict()[section] for section in SECTIONS[name]}
    if name == "dataset":
        read = {"the data file": _data_fingerprint(cfg, run.stage(name))}
    else:
        read = {source: run.stage(source).manifest()["fingerprint"] for source in reads(name, cfg)}
    counts = flatten(config)
    counts.pop("data.path", None)  # the file's content counts (see `read`), not its place
    if not counts.get("data.use_damaged"):  # off: the same rows as before the setting existed
        counts.pop("data.use_damaged", None)
    versions = [FORMAT, name] if name != "evaluation" else [FORMAT, name, DEFINITIONS]
    return fingerprint([*versions, counts, read]), config, read


def _data_fingerprint(cfg: Config, stage: Stage) -> str:
    """Of the raw file; a data set whose raw file has gone since (a Colab disk) is still good.

    Raises DataError for a file that cannot be read, before an older data set is cleared away.
    """
    from ftlib.data.dataset import data_path, on_sample
    from ftlib.data.raw_reader import check_file

    path = data_path(cfg)
    if stage.whole and stage.manifest()["config"]["data"]["path"] == cfg.data.path:
        gone = cfg.data.path == "auto" and on_sample(cfg) and not stage.manifest()["sample"]
        if gone or not os.path.exists(path):
            return stage.manifest()["read"]["the data file"]
    check_file(path, cfg.data.use_damaged)
    return _hash_of(path, path.stat().st_size, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _hash_of(path: Path, size: int, changed: int) -> str:
    """`large_file_fingerprint`, once a process for a file that stays as it is: the real one has 890 MB, unpacked 1.9 GB."""
    return large_file_fingerprint(path)


def ensure(name: str, cfg: Config, run: Run, also: tuple[str, ...] = ()) -> Stage:
    """Make a stage and those before it unless they are whole and match `cfg`; says what is reused, what is built and why.

    also: stages before it that it does not need, but that are wanted too.
    """
    before = [each for each in STAGES[: STAGES.index(name)] if each in also or _needs(name, each, cfg)]
    if name in MODEL_STAGES and any(_to_build(each, cfg, run) for each in (*before, name)):
        _check(name, cfg, run)
    for each in before:
        ensure_one(each, cfg, run)
        if each == "dataset" and name == "evaluation":
            _check_rows(cfg, run)
    return ensure_one(name, cfg, run)


def _to_build(name: str, cfg: Config, run: Run) -> bool:
    """Return True if a stage is missing or stale, as far as that can be known before the stages before it are built."""
    stage = run.stage(name)
    if not stage.whole or not all(run.stage(each).whole for each in reads(name, cfg)):
        return True
    return _why_stale(stage, cfg, run) is not None


def _check(name: str, cfg: Config, run: Run) -> None:
    """Refuse what the machine, the model and the settings reveal before any work is done; see `preflight`."""
    from ftlib.models.loading import check_model, precision
    from ftlib.pipeline.preflight import check_run

    check_run(cfg, run.path, merges=name != "adapter")
    check_model(cfg)
    precision(cfg)


def _check_rows(cfg: Config, run: Run) -> None:
    """Refuse an evaluation of more rows than there are before the training, not after it. Raises ConfigError."""
    from ftlib.evaluation.systems import row_counts

    row_counts(cfg, run.stage("dataset").manifest()["splits"])


def _needs(name: str, other: str, cfg: Config) -> bool:
    """True if a stage reads another, directly or through one between them."""
    return any(source == other or _needs(source, other, cfg) for source in reads(name, cfg))


def ensure_one(name: str, cfg: Config, run: Run) -> Stage:
    """`ensure` for one stage alone, whose inputs are there."""
    stage = run.stage(name)
    if distributed.world() > 1:
        return _ensure_together(stage, cfg, run)
    if stage.replaced or _why_stale(stage, cfg, run) is not None:
        with stage.lock():
            _settle(stage, cfg, run)
            reason = _why_stale(stage, cfg, run)  # again: who held the lock may just have made it
            if reason is not None:
                _build(stage, cfg, run, reason)
                return stage
    stage.sound()
    print(f"{name}: reused, made {stage.manifest()['finished']}", flush=True)
    return stage


def _ensure_together(stage: Stage, cfg: Config, run: Run) -> Stage:
    """The same with several processes: the first one decides, holds the lock and writes; SHARED stages are built by all.

    A process that fails ends, and the launcher ends the others.
    """
    with contextlib.ExitStack() as held:
        if distributed.first():
            held.enter_context(stage.lock())
            _settle(stage, cfg, run)
        reason = distributed.agree(_why_stale(stage, cfg, run) if distributed.first() else None)
        if reason is not None and distributed.first():
            _build(stage, cfg, run, reason)
        elif reason is not None and stage.name in SHARED:
            BUILDERS[stage.name](cfg, run, stage.path)
        elif reason is None and distributed.first():
            stage.sound()
            print(f"{stage.name}: reused, made {stage.manifest()['finished']}", flush=True)
        distributed.wait()
    return stage


def _why_stale(stage: Stage, cfg: Config, run: Run) -> str | None:
    return stage.why_stale(*wanted(stage.name, cfg, run))


def _settle(stage: Stage, cfg: Config, run: Run) -> None:
    if stage.replaced and stage.settle(wanted(stage.name, cfg, run)[0]):
        print(f"{stage.name}: brought back, what was to replace it did not get done", flush=True)


def _build(stage: Stage, cfg: Config, run: Run, reason: str) -> None:
    key, config, read = wanted(stage.name, cfg, run)
    doing = "going on" if stage.can_resume(key) else "building"
    print(f"{stage.name}: {doing} ({reason}){expected(stage.name, cfg.profile)}", flush=True)
    with stage.writing(key, config, read, cfg.profile, KEPT.get(stage.name, ())) as result:
        result |= BUILDERS[stage.name](cfg, run, stage.path)


def expected(name: str, profile: str) -> str:
    """Words for how long a stage took on the sample when the course was recorded; '' if it was not, or within seconds."""
    known = json.loads((resources.files("ftlib.config.profiles") / "times.json").read_text(encoding="utf-8"))
    found = known.get(profile, {}).get(name)
    if found is None or found["seconds"] < WORTH_SAYING:
        return ""
    return f"; on the sample it took {found['seconds']:.0f} s on {found['device']}"


def load_dataset(run: Run):
    """The data set of a run as a Hugging Face DatasetDict. Raises StageMissing."""
    from datasets import load_from_disk

    return load_from_disk(str(run.stage("dataset").sound()))


def _prepare(cfg: Config, run: Run, folder: Path) -> dict:
    from ftlib.data.dataset import prepare

    funnel = prepare(cfg, folder)
    for note in funnel["notes"]:
        print(f"  note: {note}", flush=True)
    lost = ", ".join(f"{count} {step}" for step, count in funnel["dropped"].items())
    print(
        f"  {funnel['rows_in']} rows in, {funnel['kept']} kept (lost: {lost or 'none'}); splits {funnel['splits']}",
        flush=True,
    )
    for kind, found in funnel["malformed"].items():
        print(f"  {found['count']} malformed lines: {kind}, first at lines {found['first_lines']}", flush=True)
    return {
        key: funnel[key] for key in ("file", "sample", "rows_in", "kept", "groups", "splits", "notes", "rows_per_s")
    }


def _index(cfg: Config, run: Run, folder: Path) -> dict:
    from ftlib.retrieval.threshold import build_index, describe

    made = build_index(cfg, load_dataset(run), folder)
    print(f"  {describe(made)}", flush=True)
    return made


def _train(cfg: Config, run: Run, folder: Path) -> dict:
    from ftlib.reporting.plots import loss_plot
    from ftlib.training.fine_tuning import train

    result = train(cfg, load_dataset(run), folder, run.stage("dataset").path / "encoded")
    if distributed.first():
        loss_plot(read_jsonl(folder / "train_log.jsonl"), folder / "loss.png")
    return result


def _merge(cfg: Config, run: Run, folder: Path) -> dict:
    from ftlib.merging import describe, merge

    proof = merge(cfg, load_dataset(run), run.stage("adapter").path, folder)
    print("  " + describe(proof).replace("\n", "\n  "), flush=True)
    return {"proof": proof}


def _evaluate(cfg: Config, run: Run, folder: Path) -> dict:
    from ftlib.evaluation.runner import evaluate
    from ftlib.reporting.html_report import write_files
    from ftlib.retrieval.bm25_index import Index
    from ftlib.training.trained_rows import trained_uids

    manifests = run.manifests()
    data, adapter = manifests["dataset"], manifests["adapter"]
    about = {
        "model": cfg.model.name,
        "profile": cfg.profile,
        "file": data["file"],
        "sample": data["sample"],
        "train_rows": data["splits"]["train"],
        "trained_rows": adapter["trained_rows"],
        "trained_epochs": adapter["trained_epochs"],
        "steps": adapter["stopped_at_step"],
        "examples_per_step": adapter["config"]["train"]["examples_per_step"],
        "train_seconds": adapter["train_seconds"],
        "device": adapter["device"],
        "git_commit": adapter["git_commit"],
    }
    fingerprints = data["fingerprint"], manifests["merged"]["fingerprint"]
    dataset, trained = load_dataset(run), trained_uids(run.stage("adapter").sound())
    index = Index.open(dataset, run.stage("index").path) if cfg.evaluation.open_book else None
    found = evaluate(cfg, dataset, run.stage("merged").path, folder, *fingerprints, about, trained, index)
    if found is None:  # of several processes, the first one scores
        return {}
    write_files(folder, *found)
    return {"rows": {split: found.metrics[split]["n"] for split in ("unseen", "seen") if split in found.metrics}}


BUILDERS = {"dataset": _prepare, "index": _index, "adapter": _train, "merged": _merge, "evaluation": _evaluate}
