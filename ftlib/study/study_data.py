"""A study's rows: what each of its runs trains on, and what all of them are asked.

    studies-shared/datasets/<key>/dataset/   rows, once for all runs with the same data settings

Held-out rows are the study's own, whatever a run changes about its training rows. `StudyData(folder, study, data).rows(job)`.
"""

from __future__ import annotations

import itertools
from functools import cached_property
from pathlib import Path

from ftlib.config.neutral import effective
from ftlib.config.settings import Config, flatten
from ftlib.data import near_duplicates
from ftlib.data.near_duplicates import Duplicate, compare
from ftlib.evaluation.systems import choose_rows
from ftlib.pipeline import stages
from ftlib.pipeline.stage import FORMAT, Run, Stage, StageKey
from ftlib.runtime.console import log
from ftlib.runtime.files import fingerprint
from ftlib.study.study_file import Job, Study, StudyError, settings
from ftlib.study.study_rows import not_held_out, reworded, unused_rows

# data settings that do not change the held-out rows; with the split `near` a large data.train_size can change them
SAME_SPLITS = {"group": {"train_size", "questions"}, "random": {"train_size", "questions"}, "near": {"questions"}}


class StudyData:
    """The data sets of a study in a work folder; `data` as in `data.path`. Raises what the stages raise."""

    def __init__(self, folder: Path, study: Study, data: str):
        self.study, self.shared = study, folder / "studies-shared"
        self.cfg = settings(study, data)
        self._said: set[str] = set()
        self._datasets: dict[str, Run] = {}  # data sets that were checked, so that each is checked and logged once
        self._rows: dict[Job, dict[str, list[dict]]] = {}

    @cached_property
    def own_data(self) -> Run:
        """Return the study's own data set: its validation and test rows are those of all runs."""
        return self._prepared(self.cfg)

    def training_data(self, job: Job) -> Run:
        """Return the data set of a job: training rows by the run's settings, held-out rows by the study's.

        Otherwise a run with other cleaning steps would be evaluated on other rows, and might train on held-out ones.
        """
        if data_settings(job.cfg) == data_settings(self.cfg) and not job.run.leaks:
            return self.own_data
        source = self._prepared(self._source_settings(job))
        key = fingerprint(
            [
                FORMAT,
                key_of(self.own_data),
                key_of(source),
                job.cfg.data.train_size,
                job.run.leaks,
                data_settings(self.cfg),
            ]
        )
        if key not in self._datasets:
            run = Run(self.shared / "datasets" / key, wait=True)
            self._compose(run.stage("dataset"), key, source, job)
            self._datasets[key] = run
        return self._datasets[key]

    def _source_settings(self, job: Job) -> Config:
        """Return the settings of the rows that a job's training rows are taken from.

        The run's own where they leave the splits unchanged; otherwise settings that load all rows, without the study's
        held-out rows.
        """
        study_settings, run_settings = data_settings(self.cfg), data_settings(job.cfg)
        if (
            not job.run.leaks
            and {key for key in study_settings | run_settings if study_settings.get(key) != run_settings.get(key)}
            <= SAME_SPLITS[self.cfg.data.split]
        ):
            return job.cfg
        rows = self.own_data.stage("dataset").manifest()["rows_in"]
        everything = {"train_size": rows, "test_size": 1, "validation_size": 1}
        if job.cfg.data.split == "near":  # near-duplicates of the held-out rows are removed afterwards
            everything |= {"split": "group"}
        return Config.load(job.cfg.profile, inherited=data_sections(job.cfg, everything), env={})

    def _prepared(self, cfg: Config) -> Run:
        key = fingerprint([cfg.data.path, data_settings(cfg)])  # the content of the file is checked by `ensure`
        if key not in self._datasets:
            run = Run(self.shared / "datasets" / key, wait=True)
            stages.ensure("dataset", cfg, run)
            self._datasets[key] = run
        return self._datasets[key]

    def _compose(self, stage: Stage, key: str, source: Run, job: Job) -> None:
        from datasets import DatasetDict, disable_progress_bars

        disable_progress_bars()
        config = data_sections(job.cfg)
        if stage.stale_reason(StageKey(key, config, {})) is None:
            return
        with stage.lock(), stage.writing(StageKey(key, config, {}), job.cfg.profile) as result:
            study_data, rows = stages.load_dataset(self.own_data), stages.load_dataset(source)["train"]
            held_out = [row for split in ("validation", "test") for row in study_data[split]]
            allowed = not_held_out(rows, held_out, self.cfg, job.run.leaks)
            row_indices = list(itertools.islice(allowed, job.cfg.data.train_size))
            if not row_indices:
                raise StudyError(
                    f"run {job.run.name}: no training rows left beyond the held-out rows; use a larger data file"
                )
            composed = DatasetDict(
                {"train": rows.select(row_indices), "validation": study_data["validation"], "test": study_data["test"]}
            )
            composed.save_to_disk(str(stage.path))
            near_duplicates.write(stage.path, composed)
            manifest = self.own_data.stage("dataset").manifest()
            result |= {name: manifest[name] for name in ("file", "sample")}
            result["splits"] = {split: len(split_rows) for split, split_rows in composed.items()}
        log.info(f"{job.run.name}: {len(row_indices)} training rows of its own; the held-out rows are the study's")

    def dataset(self, job: Job):
        """Return the rows that a job trains on and is asked, as a DatasetDict."""
        return stages.load_dataset(self.training_data(job))

    def duplicates(self, job: Job) -> dict[str, Duplicate]:
        """Return how close each unseen row of a job is to its training rows."""
        run, dataset = self.training_data(job), self.dataset(job)
        if job.study.evaluate_on != "unused":
            return near_duplicates.read(run.stage("dataset").path, dataset)
        columns = {name: [row[name] for row in self.unused] for name in ("title", "content")}
        return dict(zip([row["uid"] for row in self.unused], compare(columns, dataset["train"]), strict=True))

    @cached_property
    def unused(self) -> list[dict]:
        """Return one row of each group that has no row in any split: rows that no choice was made on.

        Groups are those of the study's split, over all usable rows of the file. They do not depend on any result.
        """
        used = stages.load_dataset(self.own_data)
        taken = {(row["title"], row["content"]) for split in used.values() for row in split}
        rows_in = self.own_data.stage("dataset").manifest()["rows_in"]
        sizes = {"train_size": rows_in, "test_size": 1, "validation_size": 1, "split": "group"}
        everything = Config.load(self.cfg.profile, inherited=data_sections(self.cfg, sizes), env={})
        splits = stages.load_dataset(self._prepared(everything))
        rows = [row for name in ("train", "validation", "test") for row in splits[name]]
        return unused_rows(rows, taken, near=self.cfg.data.split == "near")

    def rows(self, job: Job) -> dict[str, list[dict]]:
        """Return {'unseen': ..., 'seen': ...}: the rows that a job is asked, with the questions that it is asked."""
        if job not in self._rows:
            self._rows[job] = self._choose_rows(job)
        return self._rows[job]

    def _choose_rows(self, job: Job) -> dict[str, list[dict]]:
        dataset = self.dataset(job)
        if job.study.evaluate_on == "unused":
            from datasets import Dataset

            dataset = {**dataset, "unused": Dataset.from_list(self.unused)}
        rows, notes = choose_rows(job.cfg, dataset, dataset["train"]["uid"], job.study.evaluate_on)
        for note in set(notes) - self._said:
            log.info(f"  note: {note}")
        self._said |= set(notes)
        names = job.run.questions
        if names is None:
            return rows
        return {
            split: [reworded(row, job.cfg.data.seed, names, job.cfg.prompt.template) for row in split_rows]
            for split, split_rows in rows.items()
        }


def data_sections(cfg: Config, changes: dict | None = None) -> dict:
    """Return the sections of a configuration that determine a data set. changes: of settings of `data`."""
    sections = {name: cfg.to_dict()[name] for name in stages.SECTIONS["dataset"]}
    return sections | {"data": sections["data"] | (changes or {})}


def data_settings(cfg: Config) -> dict:
    """Return the settings that determine a data set, apart from the file."""
    flat = effective(flatten(data_sections(cfg)))
    return {key.removeprefix("data."): value for key, value in flat.items() if key != "data.path"}


def key_of(run: Run) -> str:
    """Return the fingerprint of a run's data set."""
    return run.stage("dataset").manifest()["fingerprint"]
