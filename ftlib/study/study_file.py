"""Study files: configurations and seeds, parsed and checked completely before any training.

`load_study(path)` reads STUDY.yaml, `make_jobs(study, data)` returns one `Job` a run and seed with its resolved
settings. A misspelled key in the last of thirty runs is reported before the first hour on a GPU. The keys are the
fields of `Study` and `StudyRun`; examples are in `studies/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator

from ftlib.config.schema import Count, Section, Seed
from ftlib.config.settings import Config, ConfigError, flatten, plain_yaml
from ftlib.prompts.templates import questions_of
from ftlib.runtime.errors import FtlibError

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]  # names become files


class StudyError(FtlibError, ValueError):
    """An invalid study file: the message says where, and what is allowed."""


class StudyRun(Section):
    """One configuration of a study: what it sets on top of the study's own settings, and the seeds it is trained with.

    Attributes:
        seeds: empty for the profile's `train.seed`.
        questions: the wordings in which this run's evaluation rows are asked (default: those of the study's data set).
        leaks: training rows may share a title or a description with held-out rows, which is otherwise prevented
            regardless of the run's data settings.
        expected: the expectation before the run, as sentences without figures for the report.
        lesson: what a learner takes from the result, as sentences without figures for the report.
        plain: another run of the study, whose fine-tuned model is shown beside this run's: there it is `tuned`, and this run's
            own, asked without passages, is `tuned_mix`.
    """

    name: Name
    plain: str = ""
    set: dict[str, Any] = {}
    seeds: list[Seed] = []
    questions: list[str] | None = None
    leaks: bool = False
    expected: str = ""
    lesson: str = ""

    @field_validator("questions")
    @classmethod
    def _are_known(cls, names):
        if names is not None:
            questions_of(names)
        return names


class Study(Section):
    """A study; its first run is the one that the others are compared with.

    Attributes:
        evaluate_on: the split of the unseen rows; choices are made on `validation`, `test` is for the final report; `unused`:
            one row of each group that no split has, for a confirmation.
        compared: the system that is compared with the first run's, and shown in the report.
        text_rows: rows of each split that are answered in full (default: all); the likelihood is computed for all
            `evaluation.rows`.
        expected: as in a run, for the whole study.
        set: settings of all runs. Its data settings determine the held-out rows of all runs.
    """

    name: Name
    profile: str
    evaluate_on: Literal["validation", "test", "unused"] = "validation"
    compared: Literal["tuned", "tuned_open"] = "tuned"
    text_rows: Count | None = None
    expected: str = ""
    set: dict[str, Any] = {}
    runs: Annotated[list[StudyRun], Field(min_length=1)]

    @field_validator("runs")
    @classmethod
    def _are_distinct(cls, runs):
        names = [run.name for run in runs]
        for run in runs:
            if names.count(run.name) > 1:
                raise ValueError(f"duplicate run name: {run.name}; give each run its own name")
            if len(set(run.seeds)) < len(run.seeds):
                raise ValueError(f"duplicate seeds in run {run.name}: {run.seeds}; list each seed once")
            if run.plain and (run.plain not in names or run.plain == run.name):
                raise ValueError(f"run {run.name}: plain = {run.plain}: name another run of the study")
        return runs


@dataclass(frozen=True, eq=False)
class Job:
    """One run of a study with one seed. Jobs are compared by identity."""

    study: Study
    run: StudyRun
    seed: int
    cfg: Config

    @property
    def name(self) -> str:
        """Return RUN-sSEED, the name of its files."""
        return f"{self.run.name}-s{self.seed}"


def load_study(path: Path) -> Study:
    """Read and check a study file. Raises StudyError."""
    try:
        values = plain_yaml(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise StudyError(
            f"{path}: {error.strerror}; give the path of a study file, such as studies/headline.yaml"
        ) from None
    except yaml.YAMLError as error:
        raise StudyError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise StudyError(f"{path}: not a study; it needs the keys name, profile and runs, as in studies/headline.yaml")
    try:
        return Study.model_validate(values)
    except ValidationError as error:
        raise StudyError("\n".join(f"{path}: {line}" for line in _explain(error))) from None


def _explain(error: ValidationError) -> list[str]:
    lines = []
    for item in error.errors():
        key = ".".join(map(str, item["loc"]))
        if item["type"] == "extra_forbidden":
            kind = StudyRun if item["loc"][0] == "runs" else Study
            lines.append(f"{key}: there is no such key; allowed are {', '.join(kind.model_fields)}")
        elif item["type"] == "missing":
            lines.append(f"{key} is missing")
        else:
            lines.append(f"{key} = {item['input']!r}: {item['msg'].removeprefix('Value error, ')}")
    return lines


def settings(study: Study, data: str, run: StudyRun | None = None, seed: int | None = None) -> Config:
    """Return the settings of a run with a seed, or without a run those of the study itself. Raises StudyError."""
    values = flatten(study.set) | flatten(run.set if run else {})
    where = f"study {study.name}" + (f", run {run.name}" if run else "")
    if "data.path" in values:
        raise StudyError(f"{where}: data.path cannot be set in a study; name the file with --data")
    try:
        cfg = Config.load(study.profile, env={}, **values | {"data.path": data})
        if seed is not None:
            seeds = {"train.seed": seed} | ({"generation.seed": seed} if cfg.generation.do_sample else {})
            cfg = Config.load(study.profile, env={}, **values | {"data.path": data} | seeds)
    except ConfigError as error:
        raise StudyError(f"{where}: {error}") from None
    return cfg


def make_jobs(study: Study, data: str) -> list[Job]:
    """Return every run with every seed, in the order of the file. Raises StudyError for invalid settings."""
    jobs = []
    for run in study.runs:
        for seed in run.seeds or [settings(study, data, run).train.seed]:
            jobs.append(Job(study, run, seed, settings(study, data, run, seed)))
    return jobs
