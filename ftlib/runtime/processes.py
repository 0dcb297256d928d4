"""Spread work over the cores of the machine."""

from __future__ import annotations

import functools
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from tqdm import tqdm

from ftlib.runtime import hardware

# What the server of the worker processes imports once; they are its copies. Modules without torch, which takes seconds to import.
PRELOADED = [
    "ftlib.prompts.parallel_encoding",
    "ftlib.evaluation.copied_runs",
    "rouge_score.rouge_scorer",
    "sacrebleu.metrics.chrf",
]
# And with cores to spare: what `in_another` calls, so that this process need not import matplotlib.
PRELOADED_EARLY = [*PRELOADED, "ftlib.pipeline.stages", "ftlib.reporting.html_report"]


# no plain fork: this process may hold a GPU and threads
METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
SERVER_CORES = 4  # from which on the server is started before it is needed; with fewer it takes time from this process


def start_server(preloaded: list[str] = PRELOADED) -> None:
    """Start the server of the worker processes, so that it imports modules while this process does other things."""
    if METHOD == "forkserver":
        from multiprocessing import forkserver  # not on Windows

        multiprocessing.set_forkserver_preload(preloaded)
        forkserver.ensure_running()


def start_server_early() -> None:
    """Start the server now if there are cores to spare."""
    if hardware.usable_cores() >= SERVER_CORES:
        start_server(PRELOADED_EARLY)


def in_another(work: Callable, *arguments) -> None:
    """Call `work(*arguments)` in a worker process if there are cores to spare, else here; return when it is done.

    It is for what imports libraries that this process has no other use for.
    """
    if hardware.usable_cores() < SERVER_CORES:
        work(*arguments)
        return
    start_server()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(METHOD)) as pool:
        pool.submit(work, *arguments).result()


def in_processes(
    work: Callable[[list], list], items: list, share: int, least: int = 2, chunks: int = 1, progress: str | None = None
) -> list:
    """Compute `work(items)`, split over the cores if there are many of both.

    Args:
        work: takes items and returns a result for each; it can be pickled.
        items: in any order.
        share: items that a process should have at least: starting one costs as much as `share` items.
        least: processes from which on starting them saves time; with fewer, `work` is called here.
        chunks: calls of `work` per process; more of them balance the load and let the progress bar move.
        progress: label of a progress bar, None for no bar.

    Returns:
        The results in the order of `items`.
    """
    count = min(hardware.usable_cores(), len(items) // share)
    pieces = max(count, 1) * chunks
    parts = [items[start::pieces] for start in range(pieces)]  # every part has short and long items
    results: list = [None] * len(items)
    with tqdm(total=len(items), desc=progress, unit=" rows", disable=None if progress else True) as bar:

        def collect(values_of_parts) -> None:
            for start, values in enumerate(values_of_parts):
                results[start::pieces] = values
                bar.update(len(values))

        if count < least:
            collect(map(work, parts))
            return results
        start_server()
        pickled = pickle.dumps(work)  # once, and not for every part: a tokenizer takes a twentieth of a second
        with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context(METHOD)) as pool:
            collect(pool.map(functools.partial(_call, pickled), parts))
    return results


def _call(pickled: bytes, items: list) -> list:
    """Call a pickled function; this runs in a worker process."""
    return pickle.loads(pickled)(items)  # noqa: S301  # bytes of this program
