"""Spread work over the cores of the machine."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from tqdm import tqdm

from ftlib.runtime import hardware


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
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        context = multiprocessing.get_context(method)  # no plain fork: this process may hold a GPU and threads
        if method == "forkserver":
            context.set_forkserver_preload([getattr(work, "func", work).__module__])
        with ProcessPoolExecutor(count, mp_context=context) as pool:
            collect(pool.map(work, parts))
    return results
