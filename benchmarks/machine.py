"What the measurements were made on and with."

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from deoldify_lite import __version__
from deoldify_lite.device import cores

LIBRARIES = ("numpy", "pillow")
# What makes networks fast on a processor, by the names that torch gives it.
INSTRUCTIONS = {"AMX": "amx_tile", "AVX512-BF16": "avx512_bf16", "AVX512": "avx512_f", "AVX2": "avx2"}


def describe() -> dict[str, Any]:
    "Processor, cores, instructions, GPU, threads, versions, and how busy the machine is with other things."
    has = getattr(torch.cpu, "get_capabilities", dict)()  # torch before 2.10 does not tell
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "processor": _processor(),
        "cores": cores(),
        "instructions": {name: has.get(key) for name, key in INSTRUCTIONS.items()},
        "gpu": gpu or ("Apple" if torch.backends.mps.is_available() else None),
        "system": platform.platform(terse=True),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "versions": {"deoldify_lite": __version__, "python": platform.python_version(), "torch": torch.__version__}
        | {name: version(name) for name in LIBRARIES},
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, None) or platform.processor() or platform.machine()


def heading(machine: dict[str, Any]) -> str:
    "The description in a few lines."
    said = {True: "{}", False: "no {}", None: "{} unknown"}
    instructions = ", ".join(said[has].format(name) for name, has in machine["instructions"].items())
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    busy = "" if machine["load"] is None else f", {machine['load']} programs at work before it began"
    return (
        f"hardware  {machine['processor']}, {machine['cores']} cores ({instructions}), GPU {machine['gpu'] or 'none'}\n"
        f"software  {versions}, {machine['system']}\n"
        f"threads   {machine['threads']} for the network{busy}"
    )
