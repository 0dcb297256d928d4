"""Second half of a study, on any CPU: from answers to numbers.

It needs the work folder's answers and data sets, and no weights. `Scorer.score(job)` computes the metrics of every row
(`rows.npz` beside the answers); `write_results(...)` writes them to `results/studies/<study>/` (see
`ftlib.study.records`), where each run is the mean of its seeds, with its difference to the study's first run. No text
of any row is written there: the rows may not be ours to publish.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from filelock import FileLock

from ftlib.config.settings import flatten
from ftlib.evaluation import embedding_similarity
from ftlib.evaluation.answer_store import ANSWERS, Record
from ftlib.evaluation.answers import baseline_records
from ftlib.evaluation.copied_runs import CopiedRun
from ftlib.evaluation.metric_table import DEFINITIONS
from ftlib.evaluation.retention import METRIC as NLL_PER_BYTE
from ftlib.evaluation.runner import likelihood_sums, of_system, reference_rows, row_values
from ftlib.evaluation.subsets import SUBSETS, passage_counts, subsets
from ftlib.evaluation.summary import forced, forces_ends, mark_forced
from ftlib.evaluation.systems import systems_of, untuned
from ftlib.runtime.console import log
from ftlib.runtime.files import fingerprint, read_json, read_jsonl, write_json
from ftlib.study import records
from ftlib.study.answers import REFERENCES, RETENTION, Work, tuned_systems
from ftlib.study.headline import CLAIMS, FILES, WITH_PASSAGES
from ftlib.study.row_scores import (
    RowValues,
    against,
    hashed,
    load,
    mean_over_seeds,
    metrics_of,
    save,
    with_plain,
)
from ftlib.study.study_file import Job, Study

ROWS, SCORED = "rows.npz", "scored.json"
SCORING = (
    3  # raise it when the files of a score change; when a metric changes meaning, raise `metric_table.DEFINITIONS`
)


def results_of(results: Path, study: Study) -> Path:
    """Return the folder of a study under `results/`."""
    return results / "studies" / study.name


def recorded(results: Path, job: Job) -> dict:
    """Return a job's line of `runs.jsonl`; {} if there is none."""
    return records.read_runs(results_of(results, job.study)).get((job.run.name, job.seed), {})


class Scorer:
    """Scores the jobs of a study. What jobs share (base, baselines, the index of training texts) is computed once."""

    def __init__(self, work: Work):
        self.work, self.cosine = work, embedding_similarity.cosine(work.cfg.prompt.prefix)
        # Each by what it depends on: answers and references by the base's key, texts by the training data.
        self._base_answers: dict[str, dict] = {}
        self._base_references: dict[str, dict] = {}
        self._copied_runs: dict[str, CopiedRun] = {}
        self._shared_values: dict[tuple[str, str, str], dict] = {}

    def key(self, job: Job) -> str:
        """Return the fingerprint of a job's scores."""
        return fingerprint([SCORING, DEFINITIONS, self.work.key(job), *self.work.base_keys(job).values()])

    def score(self, job: Job) -> None:
        """Write `rows.npz`, unless it is there and of these answers. Raises StageMissing if the answers are not there."""
        folder, key = self.work.stage(job).path, self.key(job)
        stored_key, splits = load(folder / ROWS)
        has_cosine = all("cosine" in rows.values["tuned"] for rows in splits.values())
        if stored_key == key and (has_cosine or self.cosine is None):
            log.info(f"{job.name}: scored")
            return
        log.info(f"{job.name}: scoring")
        started = time.perf_counter()
        scored = {}
        for split, rows in self.work.rows(job).items():
            scored[split] = self._split(job, split, rows)
            if split == "unseen":
                positions = subsets([row["uid"] for row in rows], self.work.duplicates(job))
                scored |= {block: scored[split].at(indices) for block, indices in positions.items()}
        if retention := self._retention(job):
            scored["retention"] = retention
        write_json(folder / SCORED, {"seconds": round(time.perf_counter() - started, 2)})
        save(folder / ROWS, key, scored)

    def _split(self, job: Job, split: str, rows: list[dict]) -> RowValues:
        """Compute the row values of all systems on one split."""
        base_keys = {system: self.work.base_keys(job)[system, split] for system in untuned(job.cfg)}
        answers = _records(self.work.stage(job).path / ANSWERS, split)
        records = {system: self._base(key, system, rows) for system, key in base_keys.items()}
        tuned = tuned_systems(job.cfg)
        records |= {system: [answers[system, row["uid"]] for row in rows] for system in tuned}
        generated = rows[: sum(record.text is not None for record in records["base"])]
        values = {}
        for system in systems_of(job.cfg):
            if system in tuned:
                columns = self._values(job, generated, system, records[system])
            else:  # baselines and base model give the same answers for all jobs with these rows and this training data
                key = system, self._data_key(job), base_keys.get(system, base_keys["base"])
                if key not in self._shared_values:
                    system_records = (
                        records[system] if system in records else self._baseline(job, split, generated, system)
                    )
                    self._shared_values[key] = self._values(job, generated, system, system_records)
                columns = self._shared_values[key]
            values[system] = {name: np.asarray(column) for name, column in columns.items()}
        properties = self._references(base_keys["base"], rows)
        likelihoods = {
            system: {
                name: np.asarray(pair, dtype=float)
                for name, pair in likelihood_sums(system_records, [size for size, _ in properties]).items()
            }
            for system, system_records in records.items()
        }
        text_rows = rows[: job.study.text_rows]
        ends = [end for _, end in properties[: len(text_rows)]]
        references = reference_rows(text_rows, ends, self._copied(job), self.work.passages(job), job.cfg.prompt.prefix)
        uids = hashed([row["uid"] for row in rows])
        return RowValues(uids, values, likelihoods, {name: np.asarray(column) for name, column in references.items()})

    def _values(self, job: Job, generated: list[dict], system: str, records: list[Record]) -> dict[str, list[float]]:
        passages = of_system(system, self.work.passages(job))
        return row_values(
            generated, records[: len(generated)], self._copied(job), self.cosine, passages, job.cfg.prompt.prefix
        )

    def _retention(self, job: Job) -> RowValues | None:
        """Return nats and bytes of the windows of the general text as likelihoods; None if they were not recorded."""
        paths = {
            "base": self.work.base(self.work.base_keys(job)["base", "unseen"]).path,
            "tuned": self.work.stage(job).path,
        }
        if not all((path / RETENTION).exists() for path in paths.values()):
            return None
        sums = {system: np.asarray(read_json(path / RETENTION), dtype=float) for system, path in paths.items()}
        values = {system: {NLL_PER_BYTE: each} for system, each in sums.items()}
        return RowValues(np.arange(sums["base"].shape[1]), {system: {} for system in sums}, values)

    def _base(self, key: str, system: str, rows: list[dict]) -> list[Record]:
        if key not in self._base_answers:
            self._base_answers[key] = _records(self.work.base(key).path / ANSWERS)
        return [self._base_answers[key][system, row["uid"]] for row in rows]

    def _references(self, key: str, rows: list[dict]) -> list[tuple[int, bool]]:
        """Return the recorded properties of each reference, see `answers.REFERENCES`."""
        if key not in self._base_references:
            self._base_references[key] = read_json(self.work.base(key).path / REFERENCES)
        return [self._base_references[key][row["uid"]] for row in rows]

    def _baseline(self, job: Job, split: str, rows: list[dict], system: str) -> list[Record]:
        records = baseline_records({split: rows}, self.work.dataset(job))
        return [record for record in records if record.system == system]

    def _copied(self, job: Job) -> CopiedRun:
        key = self._data_key(job)
        if key not in self._copied_runs:
            self._copied_runs[key] = CopiedRun(self.work.dataset(job)["train"]["content"][:], job.cfg.prompt.prefix)
        return self._copied_runs[key]

    def _data_key(self, job: Job) -> str:
        return self.work.training_data(job).path.name


def _records(path: Path, split: str | None = None) -> dict[tuple[str, str], Record]:
    """Return {(system, uid): record}; of two for the same row the later one counts."""
    records = (Record(**line) for line in read_jsonl(path))
    return {(r.system, r.uid): r for r in records if split in (None, r.split)}


def write_results(work: Work, jobs: list[Job], results: Path, scorer: Scorer) -> None:
    """Write `runs.jsonl` and `metrics.csv` of the study. jobs: all of the study.

    A run that was scored elsewhere keeps its entry in `results/`.
    """
    # processes that share the work folder of a study write the same two files
    with FileLock(f"{work.folder}.lock"):
        recorded, rows = records.load(results_of(results, work.study)), {}
        for job in jobs:
            key, splits = load(work.stage(job).path / ROWS)
            if splits and key == scorer.key(job):  # otherwise they belong to other settings
                rows[job] = splits
        _update(recorded, work, beside_plain(rows))
        if recorded.runs:
            records.save(results_of(results, work.study), recorded)


def beside_plain(rows: dict[Job, dict[str, RowValues]]) -> dict[Job, dict[str, RowValues]]:
    """Add the plain run's fine-tuned model to the runs that name one (see `StudyRun.plain`), seed by seed.

    A run whose plain run has no rows of the same seed is left out: its own model would be taken for the plain one.
    """
    combined = {}
    for job, splits in rows.items():
        if not job.run.plain:
            combined[job] = splits
            continue
        plain = next((other for other in rows if other.run.name == job.run.plain and other.seed == job.seed), None)
        if plain is None:
            log.info(f"{job.name}: not recorded, run {job.run.plain} has no rows with seed {job.seed}")
            continue
        combined[job] = {
            split: with_plain(values, rows[plain][split]) for split, values in splits.items() if split in rows[plain]
        }
    return combined


def _update(recorded: records.Recorded, work: Work, rows: dict[Job, dict[str, RowValues]]) -> None:
    """Replace what is recorded of the jobs in `rows`; leave out runs that the study has no more."""
    for job, splits in rows.items():
        key = job.run.name, job.seed
        recorded.runs[key] = about(work, job, splits)
        recorded.metrics[key] = _metrics(job, splits)
        recorded.against[key] = {}
        first = next((j for j in rows if j.run is work.study.runs[0] and j.seed == job.seed), None)
        if first is not None and first is not job:
            recorded.against[key] = _against(job, splits, first, rows[first])
    add_means(recorded, work.study, rows)
    order = {run.name: index for index, run in enumerate(work.study.runs)}
    keys = sorted((key for key in recorded.runs if key[0] in order), key=lambda key: (order[key[0]], key[1]))
    recorded.runs = {key: recorded.runs[key] for key in keys}
    recorded.metrics = {key: blocks for key, blocks in recorded.metrics.items() if key[0] in order}


def about(work: Work, job: Job, splits: dict[str, RowValues]) -> dict:
    """Return a job's line of `runs.jsonl`: settings, machine and costs; no text of any row."""
    manifest, scored = work.stage(job).manifest(), read_json(work.stage(job).path / SCORED)
    config = manifest["config"]
    config["data"]["path"] = manifest["data"]["file"]  # local paths are not published
    study = work.study
    return {
        "study": study.name,
        "run": job.run.name,
        "seed": job.seed,
        "first": study.runs[0].name,
        "evaluate_on": study.evaluate_on,
        "text_rows": study.text_rows,
        "compared": study.compared,
        "set": flatten(study.set),
        "changes": changes(study, job),
        "fingerprint": manifest["fingerprint"],
        "profile": manifest["profile"],
        "config": config,
        "data": manifest["data"],
        **{key: manifest[key] for key in ("git_commit", "device", "versions", "finished", "answers_in", "training")},
        "seconds": {
            "train": manifest["training"]["train_seconds"],
            "answer": manifest["seconds"],
            "score": scored["seconds"],
        },
        "base_seconds": {key: work.base(key).manifest()["seconds"] for key in work.base_keys(job).values()},
        "rows": {
            split: {"n": split_scores.n, "text_n": split_scores.text_n, "definitions": DEFINITIONS}
            for split, split_scores in splits.items()
        },
        "passages": {split: passage_counts(rows, work.passages(job)) for split, rows in work.rows(job).items()}
        if job.cfg.with_retrieval
        else None,
        "mean_over": [job.seed],
        "against": None,
    }


def changes(study: Study, job: Job) -> dict:
    """Return what a run sets beyond the study, by dotted key."""
    extra = {"questions": job.run.questions, "leaks": job.run.leaks or None}
    return flatten(job.run.set) | {key: value for key, value in extra.items() if value is not None}


def add_means(recorded: records.Recorded, study: Study, rows: dict[Job, dict[str, RowValues]]) -> None:
    """Add each run's mean over its seeds, row by row, and its paired difference to the first run on the seeds of both.

    Runs without rows here stay as they are recorded.
    """
    of_run = {run.name: {job: splits for job, splits in rows.items() if job.run is run} for run in study.runs}
    first = of_run[study.runs[0].name]
    for name, run_rows in of_run.items():
        if not run_rows:
            continue
        job, compared, key = next(iter(run_rows)), None, (name, None)
        recorded.metrics[key] = _metrics(job, _mean(list(run_rows.values())))
        recorded.against[key] = {}
        if first and run_rows is not first:
            seeds = {j.seed for j in run_rows} & {j.seed for j in first}
            a, b = ([s for j, s in each.items() if j.seed in seeds or not seeds] for each in (run_rows, first))
            changes_by_split = recorded.against[key] = _against(job, _mean(a), next(iter(first)), _mean(b))
            compared = {
                split: {name: block[name] for name in ("n", "text_n")} for split, block in changes_by_split.items()
            }
            compared = {"seeds": sorted(seeds), "rows": compared}
        for line in (line for (run, _), line in recorded.runs.items() if run == name):
            line |= {"mean_over": [j.seed for j in run_rows], "against": compared}


def _metrics(job: Job, splits: dict[str, RowValues]) -> dict:
    metrics = metrics_of(splits, job.cfg.evaluation.bootstrap)
    for name, split in metrics.items():
        mark_forced(split, job.cfg.generation.model_dump())
        if name in SUBSETS:
            _shorten(split, job.study.name in FILES)
    return metrics


def _shorten(block: dict, with_differences: bool) -> None:
    """Keep what is shown of a block by similarity: main metrics, and differences of a headline's claims only."""
    pairs = {"-".join(pair) for pair in CLAIMS} if with_differences else set()
    block["differences"] = {pair: change for pair, change in block["differences"].items() if pair in pairs}
    for values in (*block["systems"].values(), *block["differences"].values(), block["reference"]):
        for name in [name for name in values if name not in (*WITH_PASSAGES, "stops", "rep4")]:
            del values[name]


def _against(job: Job, splits: dict[str, RowValues], first: Job, of_first: dict[str, RowValues]) -> dict:
    whole = {name: values for name, values in splits.items() if name not in SUBSETS}
    changes = against(whole, of_first, job.cfg.evaluation.bootstrap, job.study.compared)
    _mark_forced(changes, job, first)
    return changes


def _mark_forced(changes_by_split: dict, *jobs: Job) -> None:
    """Mark the difference in `stops` where the decoding of one of both runs forces the end."""
    if any(forces_ends(job.cfg.generation.model_dump()) for job in jobs):
        for changes in changes_by_split.values():
            forced(changes)


def _mean(seeds: list[dict[str, RowValues]]) -> dict[str, RowValues]:
    return {split: mean_over_seeds([each[split] for each in seeds]) for split in seeds[0]}
