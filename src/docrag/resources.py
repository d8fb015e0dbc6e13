"""Files that travel with docrag: `configs/` and `prompts/`, in the wheel and in a source checkout alike."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Kind = Literal["configs", "prompts"]


def folder(kind: Kind) -> Path:
    """Folder that holds the packaged files of this kind."""
    package = Path(__file__).resolve().parent
    packaged = package / "_data" / kind
    return packaged if packaged.is_dir() else package.parents[1] / kind


def names(kind: Kind, suffix: str) -> list[str]:
    """Names of the packaged files, sorted, without `suffix`."""
    return sorted(path.name.removesuffix(suffix) for path in folder(kind).glob(f"*{suffix}"))
