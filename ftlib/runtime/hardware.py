"""Detect this machine's device, precision and memory.

Precision is decided by compute capability, not by `torch.cuda.is_bf16_supported()`, which returns True on a Tesla T4, where
bfloat16 is emulated and slow (pytorch#148322). Torch is imported inside the functions, so that `ftlib --help` stays fast.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

from ftlib.runtime.errors import FtlibError
from ftlib.runtime.language import tr


def cuda_capability() -> tuple[int, int] | None:
    """Return (major, minor) of the first visible CUDA GPU, or None."""
    import torch

    return torch.cuda.get_device_capability(0) if torch.cuda.is_available() else None


def device() -> str:
    """Return 'cuda:0' (under a launcher, this process's GPU) or 'cpu'.

    An Apple GPU (MPS) is not used: bitsandbytes 0.50 trains on NF4 weights there (its README: macOS 14 or later), but nothing of
    ftlib was tested on one.
    """
    import torch

    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"


def device_name() -> str:
    """Return the GPU's name, or the CPU's with its core count.

    Torch (1 s, 200 MB) is imported only if the driver lists a GPU.
    """
    if "torch" in sys.modules or _count_gpus():
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name(0)
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
            if line.startswith("model name")
        ]
        name = names[0] if names else name
    return f"{name}, {usable_cores()} cores"


def describe_device() -> str:
    """Return `device_name` for a reader, in the reader's language."""
    name, _, cores = device_name().rpartition(", ")
    if cores != f"{usable_cores()} cores":
        return device_name()
    return tr("{name}, {cores} cores", name=name, cores=usable_cores())


def usable_cores() -> int:
    """Return the number of cores that this process may use (fewer than the machine's in some containers)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def compute_dtype() -> tuple[str, str]:
    """Return the fastest compute dtype ('bfloat16', 'float16' or 'float32') and the reason."""
    capability = cuda_capability()
    if capability is None:
        flags = _cpu_flags()
        if "avx512_bf16" in flags or "amx_bf16" in flags:
            return "bfloat16", "this CPU has bfloat16 instructions"
        return "float32", "this CPU has no bfloat16 instructions, where 16-bit arithmetic is slower than 32-bit"
    sm = f"compute capability {capability[0]}.{capability[1]}"
    if capability >= (8, 0):
        return "bfloat16", f"{sm} has bfloat16 in hardware"
    return "float16", f"{sm} has no bfloat16 in hardware"


def _cpu_flags() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines() if cpuinfo.exists() else []
    return next((line for line in lines if line.startswith("flags")), "")


def gpu_cap_gib() -> float | None:
    """Return FTLIB_GPU_MEMORY_GIB, the GPU memory limit in GiB; None if unset. Raises FtlibError."""
    text = os.environ.get("FTLIB_GPU_MEMORY_GIB")
    if not text:
        return None
    try:
        cap = float(text)
    except ValueError:
        cap = 0.0
    if not 0 < cap < float("inf"):
        raise FtlibError(f"FTLIB_GPU_MEMORY_GIB={text}: write a number of GiB above 0, for example 14, or unset it")
    return cap


def limit_gpu_memory() -> None:
    """Limit torch to FTLIB_GPU_MEMORY_GIB, if set: to emulate a smaller GPU, or to share one.

    Call it before models are loaded. CUDA's context (some hundred MB) is not counted by torch and comes on top.
    """
    import torch

    cap = gpu_cap_gib()
    if cap is not None and torch.cuda.is_available():
        gpu = torch.device(device())
        total = torch.cuda.get_device_properties(gpu).total_memory / 2**30
        torch.cuda.set_per_process_memory_fraction(min(cap / total, 1.0), gpu)


def be_deterministic() -> bool:
    """Select deterministic kernels if FTLIB_DETERMINISTIC=1, and return whether it is set.

    Without effect on a CPU, where the same seed gives the same weights anyway. On a GPU the deterministic kernels are slower
    (results/deterministic.json). Call it before the first matmul on the GPU. Source: PyTorch notes, Reproducibility.

    Raises:
        FtlibError: the variable is neither 0 nor 1.
    """
    import torch

    text = os.environ.get("FTLIB_DETERMINISTIC", "0")
    if text not in ("0", "1"):
        raise FtlibError(f"FTLIB_DETERMINISTIC={text}: write 1 to get the same bits in every run, or unset it")
    if text == "1":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS requires it in deterministic mode
        torch.use_deterministic_algorithms(True)
    return text == "1"


def free_gpu_gib() -> float:
    """Return the memory in GiB that this process can still allocate on the first CUDA GPU; 0 without one."""
    import torch

    if not torch.cuda.is_available():
        return 0.0
    free, cap = torch.cuda.mem_get_info(0)[0] / 2**30, gpu_cap_gib()
    return free if cap is None else min(free, cap - torch.cuda.memory_reserved(0) / 2**30)


def memory_gib() -> float:
    """Return the memory for training in GiB: the GPU's (or its limit), else the machine's."""
    import psutil
    import torch

    if not torch.cuda.is_available():
        return psutil.virtual_memory().total / 2**30
    total = torch.cuda.get_device_properties(torch.device(device())).total_memory / 2**30
    return min(total, gpu_cap_gib() or total)


def free_memory() -> str:
    """Describe the free memory of the machine and of its GPU in one line."""
    import psutil

    memory = psutil.virtual_memory()
    ram = {"free": memory.available / 2**30, "total": memory.total / 2**30}
    if gpu := free_gpu_gib():
        return tr("memory: {free:.1f} of {total:.1f} GiB free; GPU: {gpu:.1f} GiB free", gpu=gpu, **ram)
    return tr("memory: {free:.1f} of {total:.1f} GiB free", **ram)


def use_one_gpu() -> str | None:
    """Hide all GPUs but the first unless a launcher is used; return a note on what was done, or None.

    With two visible GPUs (Kaggle) the Trainer wraps the model in nn.DataParallel, which breaks 4-bit weights and packing.
    Call it before torch initializes CUDA.
    """
    if "LOCAL_RANK" in os.environ:
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = len(visible.split(",")) if visible is not None else _count_gpus()
    if count < 2:
        return None
    first = (visible or "0").split(",")[0]
    os.environ["CUDA_VISIBLE_DEVICES"] = first
    return tr(
        "{count} GPUs are visible and no launcher was used: GPU {first} is used, the others are hidden",
        count=count,
        first=first,
    )


def _count_gpus() -> int:
    """Count GPUs with nvidia-smi, without initializing CUDA in this process; 0 if the tool is absent."""
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return 0  # no driver: no GPU to hide
    return sum(line.startswith("GPU ") for line in listed.splitlines())


def peak_memory_mb() -> dict[str, float]:
    """Return this process's peak memory in MB: 'ram', and 'gpu' if there is one (since `forget_peak`).

    The GPU figure is what PyTorch's allocator reserved, CUDA graphs included: memory that no other process can use.
    """
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        memory = psutil.Process().memory_info()
        peak = {"ram": round(getattr(memory, "peak_wset", memory.rss) / 2**20, 1)}
    else:
        scale = 2**20 if sys.platform == "darwin" else 2**10  # macOS reports bytes, Linux kilobytes
        peak = {"ram": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale, 1)}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        peak["gpu"] = round(torch.cuda.max_memory_reserved() / 2**20, 1)
    return peak


def peak_gib() -> float:
    """Return the peak memory in GiB: of the GPU since `forget_peak`; without a GPU, of this process."""
    peak = peak_memory_mb()
    return round(peak.get("gpu", peak["ram"]) / 2**10, 2)


def forget_peak() -> None:
    """Reset the GPU's peak-memory counter, so that a dry run does not count."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
