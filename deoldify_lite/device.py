"""Where and how precisely to compute: the one place that chooses device and precision."""

import ctypes
import os
import platform
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import torch

from .errors import Unavailable, UsageError

# Options of glibc's malloc.h; bytes.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
COMMAND_MALLOC = {M_TRIM_THRESHOLD: 2**30, M_MMAP_THRESHOLD: 2**30}
SERVER_MALLOC = {M_TRIM_THRESHOLD: 2**28, M_MMAP_THRESHOLD: 2**25, M_ARENA_MAX: 2}
_tuned = False
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class DeviceUnavailable(Unavailable, RuntimeError):
    "The device or precision that was asked for does not exist on this machine."


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """`auto` means CUDA, else Apple's GPU, else the CPU.

    Raises:
        DeviceUnavailable: a device was named that this machine does not have.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DeviceUnavailable(f"device {str(name)!r} is not available here; use --device auto or cpu") from error
    return device


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 arithmetic is faster than float32 on `device`.

    On a CPU that takes AMX, or AVX512-BF16 on an AMD processor (Zen 4 and later): with Intel's AVX512-BF16 convolutions
    run at half the speed of float32 (docs/speed.md). Elsewhere bfloat16 is emulated and several times slower.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type == "cpu":
        has_amx, has_avx512_bf16 = (
            getattr(torch.cpu, probe, bool)() for probe in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
        )
        return has_amx or (has_avx512_bf16 and is_amd())
    return False


def is_amd() -> bool:
    "Whether the processor is AMD's, as Linux and Windows say it; False elsewhere."
    try:
        with Path("/proc/cpuinfo").open() as file:
            about = file.read(1000)  # the vendor is in the second line
    except OSError:
        about = platform.processor()
    return "AuthenticAMD" in about


def pick_precision(device: torch.device, name: str = "auto") -> torch.dtype:
    """The dtype of convolutions and matrix products: `auto` means bfloat16 where it is fast, else float32.

    Raises:
        ValueError: `name` is not auto, float32, bfloat16 or float16.
    """
    if name == "auto":
        return torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
    if name not in PRECISIONS:
        raise UsageError(f"precision {name!r} is unknown; use auto, {', '.join(PRECISIONS)}")
    return PRECISIONS[name]


def about_precision(device: torch.device, name: str = "auto") -> str:
    "Why `pick_precision` takes what it takes, in words."
    if name != "auto":
        return "as asked for"
    if has_fast_bfloat16(device):
        return "which is fast here"
    lack = ", which has neither AMX nor AMD's AVX512-BF16" if device.type == "cpu" else ""
    return f"bfloat16 would not be faster on this {device.type}{lack}"


def tune_allocator(server: bool = False) -> None:
    """Set what glibc does with freed memory. The first call in a process decides; other C libraries are left alone.

    By default glibc returns large pieces to the system at once, and every layer of a network asks for some: clearing
    their pages anew each time took an eighth of `lite`'s time and a quarter of `deep`'s (benchmarks/run.py, render
    factor 35). So a command keeps up to 1 GiB for what it asks for next.

    A server stays when its work is done, and by default each of its threads would keep the most that it ever had. It
    keeps up to 256 MiB for the layers of networks, in two arenas, and returns the larger pieces, which are photos.
    """
    global _tuned
    if _tuned or not sys.platform.startswith("linux"):
        return
    _tuned = True
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        for option, value in (SERVER_MALLOC if server else COMMAND_MALLOC).items():
            mallopt(option, value)


def cores() -> int:
    "How many this process may use, which may be fewer than the machine has."
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_in_use(device: torch.device) -> dict[str, float]:
    "Memory in MB that the process holds now, and the most that it ever held on a CUDA device."
    import psutil

    used = {"memory/process_mb": psutil.Process().memory_info().rss / 1e6}
    if device.type == "cuda":
        used["memory/cuda_peak_mb"] = torch.cuda.max_memory_allocated(device) / 1e6
    return used


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager:
    "Run the network in `dtype` with float32 master weights; does nothing for float32."
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)
