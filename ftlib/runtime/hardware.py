"""What this machine can do: device, compute capability, precision, memory. Every answer comes with its reason in words.

Why by compute capability: `torch.cuda.is_bf16_supported()` says True on a Tesla T4, where bfloat16 is emulated and slow
(pytorch#148322). Torch is imported inside the functions, so that asking for help on the command line stays quick.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

from ftlib.runtime.errors import FtlibError


def cuda_capability() -> tuple[int, int] | None:
    """(major, minor) of the first visible CUDA GPU, or None."""
    import torch

    return torch.cuda.get_device_capability(0) if torch.cuda.is_available() else None


def device() -> str:
    """'cuda:0' (with a launcher, this process's own GPU) or 'cpu'. Not Apple's MPS: bitsandbytes' NF4 does not train there."""
    import torch

    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"


def device_name() -> str:
    """The GPU's name, or the CPU's with its core count. Torch (a second, 200 MB) is asked only where there may be a GPU."""
    if "torch" in sys.modules or _count_gpus():
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name(0)
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        name = names[0] if names else name
    return f"{name}, {usable_cores()} cores"


def usable_cores() -> int:
    """Cores this process may run on (a container may have fewer than the machine)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def compute_dtype() -> tuple[str, str]:
    """The 16-bit type this machine computes fast in ('bfloat16', 'float16' or 'float32'), with the reason."""
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
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line for line in lines if line.startswith("flags")), "")


def gpu_cap_gib() -> float | None:
    """FTLIB_GPU_MEMORY_GIB: how much of the GPU this process may take; None where it is unset. Raises FtlibError."""
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
    """Hold torch to FTLIB_GPU_MEMORY_GIB, if it is set: a smaller GPU is tried out, or one is shared with others.

    Models are loaded after it. CUDA's own context (some hundred MB) is not counted by torch and comes on top.
    """
    import torch

    cap = gpu_cap_gib()
    if cap is not None and torch.cuda.is_available():
        place = torch.device(device())
        total = torch.cuda.get_device_properties(place).total_memory / 2**30
        torch.cuda.set_per_process_memory_fraction(min(cap / total, 1.0), place)


def be_deterministic() -> bool:
    """With FTLIB_DETERMINISTIC=1, choose kernels that give the same bits in every run, or refuse; returns whether it is set.

    On a CPU nothing changes: the same seed gives the same weights anyway. On a GPU kernels that add in any order are slower to
    replace (results/deterministic.json says by how much). Must run before the first product on the GPU. Raises FtlibError.
    Source: Reproducibility, PyTorch notes.
    """
    import torch

    text = os.environ.get("FTLIB_DETERMINISTIC", "0")
    if text not in ("0", "1"):
        raise FtlibError(f"FTLIB_DETERMINISTIC={text}: write 1 to get the same bits in every run, or unset it")
    if text == "1":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else cuBLAS refuses: its own choice may differ
        torch.use_deterministic_algorithms(True)
    return text == "1"


def free_gpu_gib() -> float:
    """Memory of the first CUDA GPU that this process can still take, in GiB; 0 without one."""
    import torch

    if not torch.cuda.is_available():
        return 0.0
    free, cap = torch.cuda.mem_get_info(0)[0] / 2**30, gpu_cap_gib()
    return free if cap is None else min(free, cap - torch.cuda.memory_reserved(0) / 2**30)


def memory_gib() -> float:
    """All the memory that training can have, in GiB: the GPU's (or the cap on it), without a GPU the machine's."""
    import psutil
    import torch

    if not torch.cuda.is_available():
        return psutil.virtual_memory().total / 2**30
    total = torch.cuda.get_device_properties(torch.device(device())).total_memory / 2**30
    return min(total, gpu_cap_gib() or total)


def free_memory() -> str:
    """Free memory of the machine, and of its GPU if it has one, in words."""
    import psutil

    memory = psutil.virtual_memory()
    text = f"memory: {memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"
    free = free_gpu_gib()
    return f"{text}; GPU: {free:.1f} GiB free" if free else text


def use_one_gpu() -> str | None:
    """Hide all GPUs but the first unless a launcher started us; returns what was done, in words, or None.

    Two visible GPUs (Kaggle) make the Trainer wrap the model in nn.DataParallel, which breaks 4-bit weights and packing.
    Must run before torch touches CUDA.
    """
    if "LOCAL_RANK" in os.environ:
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = len(visible.split(",")) if visible is not None else _count_gpus()
    if count < 2:
        return None
    first = (visible or "0").split(",")[0]
    os.environ["CUDA_VISIBLE_DEVICES"] = first
    return f"{count} GPUs are visible and no launcher was used: GPU {first} is used, the others are left alone"


def _count_gpus() -> int:
    """GPUs according to the driver's tool, without waking CUDA up in this process; 0 where the tool is absent."""
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return 0  # no driver: no GPU to hide
    return sum(line.startswith("GPU ") for line in listed.splitlines())


def peak_memory_mb() -> dict[str, float]:
    """Highest memory use of this process so far, in MB: 'ram', and 'gpu' where there is one (since `forget_peak`).

    Of the GPU: what PyTorch held for this process, its recorded steps included, since that is what no other can have.
    """
    if sys.platform == "win32":
        import psutil

        peak = {"ram": round(psutil.Process().memory_info().peak_wset / 2**20, 1)}
    else:
        import resource

        scale = 2**20 if sys.platform == "darwin" else 2**10  # macOS reports bytes, Linux kilobytes
        peak = {"ram": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale, 1)}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        peak["gpu"] = round(torch.cuda.max_memory_reserved() / 2**20, 1)
    return peak


def peak_gib() -> float:
    """Highest memory use, in GiB: on the GPU since `forget_peak`, without a GPU in this process so far."""
    peak = peak_memory_mb()
    return round(peak.get("gpu", peak["ram"]) / 2**10, 2)


def forget_peak() -> None:
    """Begin a new measurement of the GPU's peak, so that what was only tried does not count."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
