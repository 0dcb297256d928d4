"""First half of a study, on the machine with the GPU: trainings and answers, in one work folder.

    studies-shared/datasets/<key>/dataset/   rows, see `study_data`
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
import shutil
from collections.abc import Collection
from pathlib import Path

from ftlib.config.settings import Config
from ftlib.evaluation.answer_store import ANSWERS, AnswerStore, SystemInputs
from ftlib.evaluation.answers import answer_missing
from ftlib.evaluation.retention import retention_sums
from ftlib.evaluation.runner import ends_in_time, of_system, scored_bytes
from ftlib.evaluation.systems import answering, few_shot_for, passages_for, untuned
from ftlib.pipeline import stages
from ftlib.pipeline.stage import FORMAT, Run, Stage, StageKey
from ftlib.prompts.templates import Passages, Turns
from ftlib.retrieval.bm25_index import Index
from ftlib.runtime.console import log
from ftlib.runtime.files import fingerprint, read_json, write_json
from ftlib.study.study_data import StudyData, key_of
from ftlib.study.study_file import Job, Study, StudyError
from ftlib.training.trained_rows import trained_uids

# {uid: [UTF-8 bytes of the scored part, whether it ends in time]}: written with the answers, because it needs the tokenizer
REFERENCES = "references.json"
RETENTION = "retention.json"  # [nats, bytes] of the windows of the general text
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


class Work(StudyData):
    """A study's work folder; `data` as in `data.path`. Raises what the stages raise."""

    def __init__(self, folder: Path, study: Study, data: str):
        super().__init__(folder, study, data)
        self.folder = answers_of(folder, study)
        self._passages: dict[str, dict[str, Passages]] = {}
        self._indexes: dict[Path, Stage] = {}

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
        key = fingerprint([key_of(self.training_data(job)), job.cfg.open_rows, rows])
        if key not in self._passages:
            index = Index.open(self.dataset(job), self.index(job).path)
            self._passages[key] = passages_for(job.cfg, index, rows)
        return self._passages[key]

    def _context(self, job: Job, system: str) -> list:
        """Return what the passages of a system's prompts depend on: [] for a system without retrieval."""
        if not system.endswith("_open"):
            return []
        t = job.cfg.train
        return [key_of(self.training_data(job)), job.cfg.open_rows, t.context_tokens, t.context_order]

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
        read_keys = {"adapter": trained.path.name, "dataset": key_of(trained)}
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


def _asking(job: Job) -> list:
    """Return the settings by which rows are asked and their references scored."""
    return [job.cfg.generation.deciding(), job.cfg.train.max_length, job.study.text_rows]
