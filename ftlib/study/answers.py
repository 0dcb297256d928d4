"""First half of a study, on the machine with the GPU: data sets, trainings, answers, all in one work folder.

    studies-shared/datasets/<key>/dataset/   rows, once for all runs with the same data settings
    studies-shared/models/<key>/adapter/     one training, for all runs that differ in decoding and evaluation only
    studies-shared/base/<key>/               the base model's likelihoods and answers, for all runs that ask the same
    study-<name>/<run>-s<seed>/              the fine-tuned model's: answers.jsonl, train_log.jsonl, manifest.json

The parts are stage folders as in a run (`ftlib.pipeline.stage`): a manifest written last marks a part as complete, so
an interrupted study resumes, and a work folder that was copied to another machine can be scored there (see `scoring`).
`Work(folder, study, data).answer(job)`.
"""

from __future__ import annotations

import functools
import gc
import itertools
import shutil
from collections.abc import Collection
from functools import cached_property
from pathlib import Path

from ftlib.config.neutral import effective
from ftlib.config.settings import Config, flatten
from ftlib.data import near_duplicates
from ftlib.data.near_duplicates import Duplicate, compare
from ftlib.evaluation.answer_store import ANSWERS, AnswerStore, SystemInputs
from ftlib.evaluation.answers import answer_missing
from ftlib.evaluation.retention import retention_sums
from ftlib.evaluation.runner import ends_in_time, of_system, scored_bytes
from ftlib.evaluation.systems import answering, choose_rows, few_shot_for, passages_for, untuned
from ftlib.pipeline import stages
from ftlib.pipeline.stage import FORMAT, Run, Stage, StageKey
from ftlib.prompts.templates import Passages, Turns
from ftlib.retrieval.bm25_index import Index
from ftlib.runtime.console import log
from ftlib.runtime.files import fingerprint, read_json, write_json
from ftlib.study.study_file import Job, Study, StudyError, settings
from ftlib.study.study_rows import not_held_out, reworded, unused_rows
from ftlib.training.trained_rows import trained_uids

# {uid: [UTF-8 bytes of the scored part, whether it ends in time]}: written with the answers, because it needs the tokenizer
REFERENCES = "references.json"
RETENTION = "retention.json"  # [nats, bytes] of the windows of the general text
# data settings that do not change the held-out rows; with the split `near` a large data.train_size can change them
SAME_SPLITS = {"group": {"train_size", "questions"}, "random": {"train_size", "questions"}, "near": {"questions"}}
DATA_FIGURES = ("file", "sample", "splits", "fingerprint")
TRAINING_FIGURES = (
    "steps stopped_at_step best_step validation_loss examples cut_examples mean_tokens tokens tokens_per_s train_seconds "
    "trained_rows trained_epochs encode_seconds peak_gib base_mib padding_efficiency trainable_parameters precision seed "
    "device git_commit finished"
).split()


class Trained(Run):
    """A run folder whose data set is in another folder, shared with other runs."""

    def __init__(self, path: Path, data: Run):
        super().__init__(path, wait=True)
        self.data = data

    def stage(self, name: str) -> Stage:
        """Return a stage; the data set and its index come from their shared folder."""
        return self.data.stage(name) if name in ("dataset", "index") else super().stage(name)


def answers_of(folder: Path, study: Study) -> Path:
    """Return the folder of a study's answers in a work folder."""
    return folder / f"study-{study.name}"


def recorded_data(folder: Path, study: Study) -> str | None:
    """Return the data that a study's answers were generated on, so that a copy of them needs no --data; else None."""
    paths = sorted(answers_of(folder, study).glob("*/manifest.json"))
    return read_json(paths[0])["config"]["data"]["path"] if paths else None


class Work:
    """A study's work folder; `data` as in `data.path`. Raises what the stages raise."""

    def __init__(self, folder: Path, study: Study, data: str):
        self.folder, self.study, self.shared = answers_of(folder, study), study, folder / "studies-shared"
        self.cfg = settings(study, data)
        self._said: set[str] = set()
        self._passages: dict[str, dict[str, Passages]] = {}
        self._indexes: dict[Path, Stage] = {}
        self._datasets: dict[str, Run] = {}  # data sets that were checked, so that each is checked and logged once
        self._rows: dict[Job, dict[str, list[dict]]] = {}

    # data sets

    @cached_property
    def own_data(self) -> Run:
        """Return the study's own data set: its validation and test rows are those of all runs."""
        return self._prepared(self.cfg)

    def training_data(self, job: Job) -> Run:
        """Return the data set of a job: training rows by the run's settings, held-out rows by the study's.

        Otherwise a run with other cleaning steps would be evaluated on other rows, and might train on held-out ones.
        """
        if _data_settings(job.cfg) == _data_settings(self.cfg) and not job.run.leaks:
            return self.own_data
        source = self._prepared(self._source_settings(job))
        key = fingerprint(
            [
                FORMAT,
                _key_of(self.own_data),
                _key_of(source),
                job.cfg.data.train_size,
                job.run.leaks,
                _data_settings(self.cfg),
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
        study_settings, run_settings = _data_settings(self.cfg), _data_settings(job.cfg)
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
        return Config.load(job.cfg.profile, inherited=_data_sections(job.cfg, everything), env={})

    def _prepared(self, cfg: Config) -> Run:
        key = fingerprint([cfg.data.path, _data_settings(cfg)])  # the content of the file is checked by `ensure`
        if key not in self._datasets:
            run = Run(self.shared / "datasets" / key, wait=True)
            stages.ensure("dataset", cfg, run)
            self._datasets[key] = run
        return self._datasets[key]

    def _compose(self, stage: Stage, key: str, source: Run, job: Job) -> None:
        from datasets import DatasetDict, disable_progress_bars

        disable_progress_bars()
        config = _data_sections(job.cfg)
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
        everything = Config.load(self.cfg.profile, inherited=_data_sections(self.cfg, sizes), env={})
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

    def _check_seen(self, job: Job, trained: Collection[str] | None = None) -> None:
        """Refuse 'seen' rows that were not trained on: before training by its length, after it by the rows in its steps.

        All seeds and runs are asked the same rows, so each must have trained on all of them. Raises StudyError.
        """
        t, count = job.cfg.train, job.cfg.evaluation.seen_rows
        rows = len(self.dataset(job)["train"])
        enough = t.max_steps * t.examples_per_step >= 0.95 * rows if t.max_steps else t.epochs >= 1
        missed = 0 if trained is None else len({row["uid"] for row in self.rows(job).get("seen", [])} - set(trained))
        if count and (not enough or missed):
            reason = f"{missed} of them were not trained on" if missed else "the training is shorter than an epoch"
            raise StudyError(f"{job.name}: evaluation.seen_rows = {count}, and {reason}; set it to 0, or train longer")

    # fingerprints of the parts; independent of the machine, so that a copied folder stays valid

    def trained(self, job: Job) -> Trained:
        """Return the run folder of a job's training."""
        data = self.training_data(job)
        if job.cfg.train.context_rows:
            self.index(job)  # its fingerprint is part of the key
        return Trained(self.shared / "models" / stages.stage_key("adapter", job.cfg, data).fingerprint, data)

    def key(self, job: Job) -> str:
        """Return the fingerprint of a job's answers: training, merge, decoding, rows."""
        merge, trained = job.cfg.merge, self.trained(job).path.name
        # with one possible base, `onto` changes nothing
        has_one_base = merge.onto == "base" or job.cfg.model.quantization == "none"
        dtype = merge.dtype if has_one_base else [merge.dtype, merge.onto]
        context = [part for system in tuned_systems(job.cfg) for part in self._context(job, system)]
        return fingerprint([FORMAT, trained, dtype, *_asking(job), self.rows(job), *context])

    def base_keys(self, job: Job) -> dict[tuple[str, str], str]:
        """Return {(system, split): fingerprint} of the base model's answers."""
        rows, model = self.rows(job), job.cfg.model.name
        return {
            (system, split): fingerprint(
                [
                    *[FORMAT, model, *_asking(job), split, split_rows, self._few_shot(job, system)],
                    *self._context(job, system),
                ]
            )
            for system in untuned(job.cfg)
            for split, split_rows in rows.items()
        }

    def index(self, job: Job) -> Stage:
        """Return the index of the rows that a job trains on; it is built if it is missing."""
        run = self.training_data(job)
        if run.path not in self._indexes:
            key = stages.stage_key("index", job.cfg, run)
            self._indexes[run.path] = stages.bring_up_to_date("index", key, job.cfg, run)
        return self._indexes[run.path]

    def passages(self, job: Job) -> dict[str, Passages]:
        """Return {uid: passages} of a job's prompts with retrieval; {} without."""
        if not job.cfg.with_retrieval:
            return {}
        rows = self.rows(job)
        key = fingerprint([_key_of(self.training_data(job)), job.cfg.open_rows, rows])
        if key not in self._passages:
            index = Index.open(self.dataset(job), self.index(job).path)
            self._passages[key] = passages_for(job.cfg, index, rows)
        return self._passages[key]

    def _context(self, job: Job, system: str) -> list:
        """Return what the passages of a system's prompts depend on: [] for a system without retrieval."""
        if not system.endswith("_open"):
            return []
        t = job.cfg.train
        return [_key_of(self.training_data(job)), job.cfg.open_rows, t.context_tokens, t.context_order]

    def _few_shot(self, job: Job, system: str) -> Turns:
        return few_shot_for(system, stages.load_dataset(self.own_data), self.rows(job))

    def base(self, key: str) -> Stage:
        """Return the stage of the base model's answers."""
        return Stage(self.shared / "base" / key, wait=True)

    def stage(self, job: Job) -> Stage:
        """Return the stage of the fine-tuned model's answers."""
        return Stage(self.folder / job.name)

    def is_answered(self, job: Job) -> bool:
        """Return True if this folder holds the answers of base and fine-tuned model to all that the job asks."""
        return self._tuned_answered(job) and all(self.base(key).complete for key in self.base_keys(job).values())

    def _tuned_answered(self, job: Job) -> bool:
        stage = self.stage(job)
        return stage.complete and stage.manifest()["fingerprint"] == self.key(job)

    # the work

    def answer(self, job: Job) -> None:
        """Train (or resume a training) and let both models answer; complete parts are reused."""
        if self.is_answered(job):
            log.info(f"{job.name}: answered, {self.stage(job).manifest()['finished']}")
            return
        self._check_seen(job)
        for (system, split), key in self.base_keys(job).items():
            self._answer_base(job, system, split, self.base(key), key)
        if self._tuned_answered(job):
            return
        stage, trained, key = self.stage(job), self.trained(job), self.key(job)
        passages = self.passages(job)
        adapter_key = stages.stage_key("adapter", job.cfg, trained)
        adapter = stages.bring_up_to_date("adapter", adapter_key, job.cfg, trained)
        free()
        self._check_seen(job, trained_uids(adapter.path))
        read_keys = {"adapter": trained.path.name, "dataset": _key_of(trained)}
        stage_key = StageKey(key, job.cfg.to_dict(), read_keys)
        with stage.writing(stage_key, job.cfg.profile, stages.KEPT["evaluation"]) as result:
            from ftlib.merging import merged_in_memory

            inputs = [
                SystemInputs(
                    system, self.rows(job), passages=of_system(system, passages), generated=job.study.text_rows
                )
                for system in tuned_systems(job.cfg)
            ]
            dtype = self._ask(job, inputs, stage, key, functools.partial(merged_in_memory, job.cfg, adapter.path))
            shutil.copy(adapter.path / "train_log.jsonl", stage.path)
            manifest = adapter.manifest()
            data = trained.stage("dataset").manifest()
            result |= {
                "answers_in": dtype,
                "data": {name: data[name] for name in DATA_FIGURES},
                "training": {name: manifest[name] for name in TRAINING_FIGURES if name in manifest},
            }

    def _answer_base(self, job: Job, system: str, split: str, stage: Stage, key: str) -> None:
        from ftlib.models.base_models import fetch
        from ftlib.models.loading import load_plain, load_tokenizer

        rows = self.rows(job)[split]
        with stage.lock():  # another process of the same study may be generating it
            if stage.complete:
                return
            with stage.writing(StageKey(key, {}, {}), job.cfg.profile, stages.KEPT["evaluation"]) as result:
                load = functools.partial(load_plain, fetch(job.cfg.model.name))
                inputs = SystemInputs(
                    system,
                    {split: rows},
                    self._few_shot(job, system),
                    of_system(system, self.passages(job)),
                    job.study.text_rows,
                )
                result["answers_in"] = self._ask(job, [inputs], stage, key, load)
                tokenizer = load_tokenizer(job.cfg.model.name)
                references = zip(
                    scored_bytes(tokenizer, job.cfg, rows), ends_in_time(tokenizer, job.cfg, rows), strict=True
                )
                write_json(
                    stage.path / REFERENCES, {row["uid"]: each for row, each in zip(rows, references, strict=True)}
                )

    def _ask(self, job: Job, systems: list[SystemInputs], stage: Stage, key: str, load) -> str:
        """Store the answers of one model in the stage's answers.jsonl; return the dtype that it answered in.

        systems: those in which this model answers. It also scores the text of `evaluation.retention`.
        """
        from ftlib.models.loading import load_tokenizer
        from ftlib.runtime import hardware

        dtype, _ = hardware.compute_dtype()
        model = functools.cache(functools.partial(load, dtype))
        store = AnswerStore.open(stage.path, {inputs.system: fingerprint([key, dtype]) for inputs in systems})
        for inputs in systems:
            answer_missing(store, inputs, job.cfg, model)
        if not (stage.path / RETENTION).exists():
            write_json(stage.path / RETENTION, retention_sums(model(), load_tokenizer(job.cfg.model.name)))
        if not (stage.path / ANSWERS).exists():
            raise StudyError(f"{job.name}: no rows to answer; set evaluation.rows to 1 or more")
        return dtype


def free() -> None:
    """Release a model and the layers that were compiled for it (torch keeps only a few).

    Otherwise the peak memory of the next training would include this one's leftovers, and its layers might not be
    compiled.
    """
    import torch

    torch.compiler.reset()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def tuned_systems(cfg: Config) -> tuple[str, ...]:
    """Return the systems in which the fine-tuned model answers."""
    return tuple(system for system in answering(cfg) if system not in untuned(cfg))


def _data_sections(cfg: Config, changes: dict | None = None) -> dict:
    """Return the sections of a configuration that determine a data set. changes: of settings of `data`."""
    sections = {name: cfg.to_dict()[name] for name in stages.SECTIONS["dataset"]}
    return sections | {"data": sections["data"] | (changes or {})}


def _data_settings(cfg: Config) -> dict:
    """Return the settings that determine a data set, apart from the file."""
    flat = effective(flatten(_data_sections(cfg)))
    return {key.removeprefix("data."): value for key, value in flat.items() if key != "data.path"}


def _key_of(run: Run) -> str:
    return run.stage("dataset").manifest()["fingerprint"]


def _asking(job: Job) -> list:
    """Return the settings by which rows are asked and their references scored."""
    return [job.cfg.generation.deciding(), job.cfg.train.max_length, job.study.text_rows]
