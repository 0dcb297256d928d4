"""What a process gets before it imports the libraries."""

import gc

from ftlib.runtime import environment


def test_new_objects_start_few_collections():
    """An eighth of the time that the libraries take to be imported went into looking for garbage that is not there."""
    before = gc.get_threshold()
    try:
        environment.collect_less_often()
        started = gc.get_stats()[0]["collections"]
        kept = [[n] for n in range(100_000)]
        assert len(kept) == 100_000 and gc.get_stats()[0]["collections"] - started <= 11
    finally:
        gc.set_threshold(*before)
