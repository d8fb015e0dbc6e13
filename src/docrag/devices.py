"""Device and number type of a model, and the number of its threads, by what the machine has."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any, Literal

from docrag.errors import ConfigError

DType = Literal["auto", "float32", "bfloat16", "float16"]


def usable_cores() -> int:
    """Cores this process may use, which a container or `taskset` can make fewer than the machine's."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def choose_device(torch: ModuleType, wanted: str) -> str:
    """Return `wanted`, or for "auto" the first of CUDA, MPS and the CPU that is there."""
    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError) as error:
        first_line = str(error).splitlines()[0]
        raise ConfigError(f"device {wanted!r} is not to be had ({first_line}); use device: auto") from error
    return wanted


def choose_dtype(torch: ModuleType, wanted: DType, device: str) -> Any:  # noqa: ANN401 (torch is optional)
    """Return the torch dtype: for "auto" bfloat16 on a GPU that computes in it, else float32."""
    if wanted != "auto":
        return getattr(torch, wanted)
    is_fast = device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if is_fast else torch.float32
