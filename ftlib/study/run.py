"""`ftlib study run`: all runs and seeds of a study in one process; failures are reported at the end, the others continue.

One process, because loading torch and the rows takes as long as a short training. Two halves, because scoring needs no
GPU: `--no-score` trains and answers; the same command on a copied work folder scores. `ftlib study run
studies/headline.yaml --data trn.json.gz`
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from ftlib.runtime import distributed, hardware
from ftlib.runtime.console import log
from ftlib.runtime.errors import FtlibError
from ftlib.runtime.files import runs_root
from ftlib.study.answers import Work, free, recorded_data
from ftlib.study.scoring import Scorer, recorded, results_of, write_results
from ftlib.study.study_file import Job, StudyError, load_study, make_jobs


def run_study(
    path: Path,
    results: Path,
    data: str | None = None,
    folder: Path | None = None,
    only: list[str] | None = None,
    train: bool = True,
    score: bool = True,
) -> int:
    """Run a study and return how many runs failed.

    folder: the work folder (default: where runs are); studies in one folder share data sets and models. only: names of the
    runs to do, RUN or RUN-sSEED. train, score: either half can be left out.
    """
    if distributed.world() > 1:
        raise StudyError("a study runs in one process; split its runs with --only, one GPU each (CUDA_VISIBLE_DEVICES)")
    gpu_note = hardware.use_one_gpu()
    if gpu_note:
        log.info(gpu_note)
    study = load_study(path)
    folder = folder or runs_root()
    data = data or recorded_data(folder, study)
    if data is None:
        raise StudyError(
            f"{study.name}: no answers in {folder} yet; name the rows with --data PATH, or --data sample (synthetic)"
        )
    jobs, work, failed = make_jobs(study, data), Work(folder, study, data), {}
    selected = [job for job in jobs if not only or {job.run.name, job.name} & set(only)]
    unknown = set(only or []) - {name for job in jobs for name in (job.run.name, job.name)}
    if unknown:
        names = ", ".join(run.name for run in study.runs)
        raise StudyError(
            f"--only {', '.join(sorted(unknown))}: no such run; the study has {names}, each also with a seed ({jobs[0].name})"
        )
    _ = work.own_data  # a file that cannot be read stops the study, not each of its runs
    if train:
        for job_number, job in enumerate(selected, 1):
            log.info(f"== {job.name} ({job_number} of {len(selected)})")
            _attempt(failed, job, lambda job=job: _answer(work, job, results))
    if score:
        scorer = Scorer(work)
        for job in selected:
            if job not in failed:
                _attempt(failed, job, lambda job=job: _score(work, scorer, job))
        write_results(work, jobs, results, scorer)
        log.info(f"results: {results_of(results, study)}")
    for job, error in failed.items():
        print(f"FAILED {job.name}: {error}", file=sys.stderr)
    return len(failed)


def _answer(work: Work, job: Job, results: Path) -> None:
    if not work.stage(job).complete and recorded(results, job).get("fingerprint") == work.key(job):
        log.info(f"{job.name}: recorded in {results_of(results, job.study)} already")
        return
    work.answer(job)


def _score(work: Work, scorer: Scorer, job: Job) -> None:
    if work.is_answered(job):
        scorer.score(job)
    else:
        log.info(f"{job.name}: not scored, its answers are not in {work.folder}")


def _attempt(failed: dict[Job, str], job: Job, act: Callable[[], None]) -> None:
    """Run one part and keep its failure from stopping the others."""
    try:
        act()
    except Exception as error:
        if not isinstance(error, FtlibError):
            traceback.print_exc()
        failed[job] = f"{type(error).__name__}: {error}"
    finally:
        free()
