"""The stages in their order: what each depends on, when it is reused, and how it is built.

`ensure("merged", cfg, run)` brings a stage and those it reads up to date. A stage reads the folders of the stages
before it and writes its own; its dependencies are defined in `SECTIONS` and `READS` only.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
from importlib import resources
from pathlib import Path
from statistics import fmean

from ftlib.config.neutral import effective
from ftlib.config.settings import Config, flatten
from ftlib.evaluation.metric_table import DEFINITIONS
from ftlib.pipeline.stage import FORMAT, STAGES, Run, Stage, StageKey
from ftlib.prompts.templates import PREFIX
from ftlib.runtime import distributed, processes, timeline
from ftlib.runtime.console import log
from ftlib.runtime.environment import importing, short_turns
from ftlib.runtime.files import fingerprint, large_file_fingerprint, read_jsonl, runs_root
from ftlib.runtime.language import using

# Which sections of the configuration a stage depends on, and which stages it reads.
SECTIONS = {
    "dataset": ("data", "prompt"),
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
SHARED = ("adapter", "evaluation")  # built by all processes; rank 0 builds the others
MIN_EXPECTED = 5  # seconds; shorter stages print no estimate
KEPT = {"evaluation": ("answers.jsonl", "answers.keys.json", "retention.json")}  # they carry their own fingerprints


def default_run(cfg: Config) -> Path:
    """Return the run folder of a profile: `runs/<profile>`."""
    return runs_root() / cfg.profile


def recorded_settings(run: Run, before: str) -> dict:
    """Return the settings of the stages before `before`, so that `ftlib train` keeps those of the prepared data."""
    recorded: dict = {}
    manifests = run.manifests()
    for name in STAGES[: STAGES.index(before)]:
        recorded |= manifests.get(name, {}).get("config", {})
    return recorded


def inputs_of(name: str, cfg: Config) -> tuple[str, ...]:
    """Return the stages that a stage reads; training and evaluation with passages in the prompts read the index too."""
    searches = {"adapter": cfg.train.context_rows > 0, "evaluation": cfg.with_retrieval}
    return (*READS[name], "index") if searches.get(name) else READS[name]


def stage_key(name: str, cfg: Config, run: Run) -> StageKey:
    """Compute what a stage must match to be reused. Its inputs must be complete."""
    config = {section: cfg.to_dict()[section] for section in SECTIONS[name]}
    if name == "dataset":
        inputs = {"the data file": _data_fingerprint(cfg, run.stage(name))}
    else:
        inputs = {each: run.stage(each).manifest()["fingerprint"] for each in inputs_of(name, cfg)}
    settings = flatten(config)
    settings.pop("data.path", None)  # the file's content matters (see `inputs`), not its path
    versions: list = [FORMAT, name] if name != "evaluation" else [FORMAT, name, DEFINITIONS]
    if name == "evaluation" and cfg.with_retrieval:
        versions += [cfg.open_rows, cfg.train.context_tokens, cfg.train.context_order]
    return StageKey(fingerprint([*versions, effective(settings), inputs]), config, inputs)


def _data_fingerprint(cfg: Config, stage: Stage) -> str:
    """Return the fingerprint of the raw file. A data set whose raw file has gone since (a Colab disk) stays valid.

    Raises DataError for a file that cannot be read, before an older data set is cleared away.
    """
    from ftlib.data.columns import Columns
    from ftlib.data.file_search import data_path, on_sample, present_path
    from ftlib.data.raw_reader import check_file

    path = data_path(cfg)
    if stage.complete and stage.manifest()["config"]["data"]["path"] == cfg.data.path:
        gone = cfg.data.path == "auto" and on_sample(cfg) and not stage.manifest()["sample"]
        if gone or not os.path.exists(path):
            return stage.manifest()["read"]["the data file"]
    path = present_path(cfg)
    check_file(path, cfg.data.use_damaged, Columns.of(cfg))
    return _hash_of(path, path.stat().st_size, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _hash_of(path: Path, size: int, modified_ns: int) -> str:
    """Hash a file once a process as long as it is unchanged: the real one has 890 MB, unpacked 1.9 GB."""
    return large_file_fingerprint(path)


def ensure(name: str, cfg: Config, run: Run, also: tuple[str, ...] = ()) -> Stage:
    """Bring a stage and the stages it reads up to date; print what is reused, what is built and why.

    Args:
        also: earlier stages to build although the stage does not read them.

    Raises:
        ConfigError, ModelError: what the machine, the model and the settings reveal, before any stage is built.
    """
    checked = name not in MODEL_STAGES
    needed = [each for each in STAGES[: STAGES.index(name)] if each in also or _depends(name, each, cfg)]
    for each in [*needed, name]:
        key = stage_key(each, cfg, run)
        stale = distributed.agree(run.stage(each).stale_reason(key) if distributed.first() else None)
        if stale and not checked:
            _check(name, cfg, run)
            checked = True
        stage = bring_up_to_date(each, key, cfg, run)
        if each == "dataset" and name == "evaluation":
            from ftlib.evaluation.systems import row_counts

            row_counts(cfg, stage.manifest()["splits"])  # refuses too many rows before the training, not after it
    return stage


def _check(name: str, cfg: Config, run: Run) -> None:
    """Refuse what the machine, the model and the settings reveal before any work is done; see `preflight`."""
    processes.start_server_early()
    with importing():
        from ftlib.models.loading import check_model, precision
        from ftlib.pipeline.preflight import check_run

    check_run(cfg, run.path, merges=name != "adapter")
    check_model(cfg)
    precision(cfg)


def _depends(name: str, other: str, cfg: Config) -> bool:
    """Return True if a stage reads another, directly or through one between them."""
    return any(each == other or _depends(each, other, cfg) for each in inputs_of(name, cfg))


def bring_up_to_date(name: str, key: StageKey, cfg: Config, run: Run) -> Stage:
    """Reuse or build one stage whose inputs are complete. key: see `stage_key`.

    With several processes rank 0 decides, holds the lock and writes; the stages of SHARED are built by all of them. If
    one process fails, the launcher terminates the others.
    """
    stage = run.stage(name)
    with contextlib.ExitStack() as held:
        held.enter_context(short_turns())
        if distributed.first() and (stage.has_backup or stage.stale_reason(key) is not None):
            held.enter_context(stage.lock())
            if stage.has_backup and stage.restore(key.fingerprint):
                log.info(f"{name}: restored the previous result (the rebuild did not finish)")
        # checked again under the lock: another process may have built the stage
        stale = distributed.agree(stage.stale_reason(key) if distributed.first() else None)
        if stale is None and distributed.first():
            stage.verified()
            log.info(f"{name}: up to date (built {stage.manifest()['finished']})")
        elif stale is not None and distributed.first():
            _build(stage, key, stale, cfg, run)
        elif stale is not None and name in SHARED:
            BUILDERS[name](cfg, run, stage.path)
        distributed.wait()
    return stage


def _build(stage: Stage, key: StageKey, stale: str, cfg: Config, run: Run) -> None:
    state = "resuming" if stage.can_resume(key.fingerprint) else "building"
    log.info(f"{stage.name}: {state} ({stale}){expected(stage.name, cfg.profile)}")
    with stage.writing(key, cfg.profile, KEPT.get(stage.name, ())) as result:
        result |= BUILDERS[stage.name](cfg, run, stage.path)
        result["phases"] = timeline.take()


def expected(name: str, profile: str) -> str:
    """Return a note on how long a stage took on the sample when the course was recorded; '' for a few seconds."""
    times = json.loads((resources.files("ftlib.config.profiles") / "times.json").read_text(encoding="utf-8"))
    entry = times.get(profile, {}).get(name)
    if entry is None or entry["seconds"] < MIN_EXPECTED:
        return ""
    return f"; on the sample it took {entry['seconds']:.0f} s on {entry['device']}"


def load_dataset(run: Run):
    """Return the data set of a run as a Hugging Face DatasetDict. Raises StageMissing."""
    from datasets import load_from_disk

    return load_from_disk(str(run.stage("dataset").verified()))


def _prepare(cfg: Config, run: Run, folder: Path) -> dict:
    from ftlib.data.dataset import prepare

    funnel = prepare(cfg, folder)
    for note in funnel["notes"]:
        log.info(f"  note: {note}")
    dropped = ", ".join(f"{count} {step}" for step, count in funnel["dropped"].items())
    log.info(
        f"  {funnel['rows_in']} rows in, {funnel['kept']} kept (lost: {dropped or 'none'}); splits {funnel['splits']}"
    )
    log.info(f"  {left_out(funnel)}")
    for kind, malformed in funnel["malformed"].items():
        log.info(f"  {malformed['count']} malformed lines: {kind}, first at lines {malformed['first_lines']}")
    keys = ("file", "sample", "rows_in", "kept", "groups", "splits", "left_out", "notes", "rows_per_s")
    return {key: funnel[key] for key in keys}


def left_out(funnel: dict) -> str:
    """Return one line that accounts for the usable rows that are in no split."""
    counts, near = funnel["left_out"], funnel["near_duplicates"]
    joined = f"; near-duplicates join {near['rows']} rows to {near['groups']} groups" if near["rows"] else ""
    return (
        f"left out: {counts['held_out_groups']} rows in the groups of validation and test rows, "
        f"{counts['not_needed']} not needed{joined}"
    )


def _index(cfg: Config, run: Run, folder: Path) -> dict:
    from ftlib.retrieval.threshold import build_index, describe

    manifest = build_index(cfg, load_dataset(run), folder)
    log.info(f"  {describe(manifest)}")
    return manifest


def _train(cfg: Config, run: Run, folder: Path) -> dict:
    with timeline.phase("imports"), importing():
        from ftlib.training.fine_tuning import train

    dataset, cached = load_dataset(run), run.stage("dataset").path
    passages = _passages(cfg, dataset, run.stage("index").path, cached / "passages") if cfg.train.context_rows else {}
    score = functools.partial(rouge_l, prefix=cfg.prompt.prefix)
    result = train(cfg, dataset, folder, cached / "encoded", passages, score)
    if distributed.first():
        processes.in_another(_draw_loss, folder / "train_log.jsonl", folder / "loss.png")
    return result


def _passages(cfg: Config, dataset, index: Path, cache: Path) -> dict:
    """Choose the passages of the prompts; only such a training imports the search."""
    with timeline.phase("imports"), importing():
        from ftlib.retrieval.passages import training_passages

    return training_passages(cfg, dataset, index, cache)


@using("en")  # a file of the run, the same in every language
def _draw_loss(log: Path, picture: Path) -> None:
    from ftlib.reporting.plots import loss_plot

    loss_plot(read_jsonl(log), picture)


def rouge_l(answers: list[str], references: list[str], prefix: str = PREFIX) -> dict[str, float]:
    """Compute the mean ROUGE-L of samples during training, which imports no metric itself."""
    from ftlib.evaluation.row_metrics import Rouge, compute_rows

    return {"rougeL": fmean(compute_rows([Rouge(prefix)], answers, references)["rougeL"])}


def _merge(cfg: Config, run: Run, folder: Path) -> dict:
    from ftlib.merging import describe, merge

    proof = merge(cfg, load_dataset(run), run.stage("adapter").path, folder)
    log.info("  " + describe(proof).replace("\n", "\n  "))
    return {"proof": proof}


def _evaluate(cfg: Config, run: Run, folder: Path) -> dict:
    with timeline.phase("imports"), importing():
        from ftlib.data import near_duplicates
        from ftlib.evaluation.runner import Inputs, evaluate
        from ftlib.retrieval.bm25_index import Index
        from ftlib.training.trained_rows import trained_uids

    manifests = run.manifests()
    data, adapter = manifests["dataset"], manifests["adapter"]
    run_settings = {
        "model": cfg.model.name,
        "profile": cfg.profile,
        "file": data["file"],
        "sample": data["sample"],
        "prefix": cfg.prompt.prefix,
        "train_rows": data["splits"]["train"],
        "trained_rows": adapter["trained_rows"],
        "trained_epochs": adapter["trained_epochs"],
        "steps": adapter["stopped_at_step"],
        "examples_per_step": adapter["config"]["train"]["examples_per_step"],
        "train_seconds": adapter["train_seconds"],
        "device": adapter["device"],
        "git_commit": adapter["git_commit"],
    }
    dataset = load_dataset(run)
    index = Index.open(dataset, run.stage("index").path) if cfg.with_retrieval else None
    inputs = Inputs(
        dataset,
        run.stage("merged").path,
        data["fingerprint"],
        manifests["merged"]["fingerprint"],
        trained_uids(run.stage("adapter").verified()),
        index,
        near_duplicates.read(run.stage("dataset").path, dataset),
    )
    results = evaluate(cfg, inputs, folder, run_settings)
    if results is None:  # only rank 0 scores
        return {}
    with timeline.phase("report"):
        processes.in_another(_write_report, folder, *results)
    return {"rows": {split: results.metrics[split]["n"] for split in ("unseen", "seen") if split in results.metrics}}


def _write_report(folder: Path, *results) -> None:
    from ftlib.reporting.html_report import write_files

    write_files(folder, *results)


BUILDERS = {"dataset": _prepare, "index": _index, "adapter": _train, "merged": _merge, "evaluation": _evaluate}
