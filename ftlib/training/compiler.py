"""PyTorch's compiler around a training: what its cache keeps, what it hashes first, and its worker processes."""

from __future__ import annotations

import importlib.util
import threading
from concurrent.futures import Executor, Future

KEEPS_FUNCTIONS = "autograd_cache_allow_custom_autograd_functions"


def keep_traced_functions() -> None:
    """Have PyTorch's compile cache take functions with an `autograd.Function` of ours too, which it leaves out by default.

    Otherwise every training traces them again, which takes as long as the first steps. The key of an entry has the code of both
    passes, so a changed function is compiled anew.
    """
    from torch._functorch import config

    if hasattr(config, KEEPS_FUNCTIONS):  # not before PyTorch 2.8
        setattr(config, KEEPS_FUNCTIONS, True)


def hash_files(background: Executor) -> Future | None:
    """Compute in a thread what PyTorch keeps its compiled code by: the device, and half a second for Triton's files.

    That waits for the disk, and rows are encoded and the base is loaded meanwhile. The compiler is imported before, in this
    thread: two threads that import parts of one library can meet a half-made module. Return None where there are no such files.
    """
    from torch._inductor import codecache, compile_fx  # noqa: F401  (what the first compilation imports)

    system = getattr(getattr(codecache, "CacheBase", None), "get_system", None)  # no public name
    return background.submit(system) if system and importlib.util.find_spec("triton") else None


def end_workers() -> threading.Thread:
    """End the processes that compile for PyTorch, in a thread, which is returned; a later compilation starts others.

    PyTorch ends them when the program exits, and waits for them.
    """
    from torch._inductor import async_compile

    pools = list(getattr(async_compile, "_pool_set", ()))  # no public name
    if pools:
        async_compile.after_fork()  # forgets them, so that no later compilation is handed to one that ends

    def end() -> None:
        for pool in pools:
            pool.shutdown()

    thread = threading.Thread(target=end, daemon=True)
    thread.start()
    return thread
