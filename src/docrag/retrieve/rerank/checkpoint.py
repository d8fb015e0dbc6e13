"""A reranker's checkpoint on disk: found, and checked before anything of it is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from docrag.checkpoints import Weights, check_weights, find_folder

SAFELY: Mapping[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""For every ``from_pretrained``: nothing is fetched behind a check, and no code of a repository runs."""


def find_checkpoint(
    model: str,
    *,
    revision: str | None = None,
    download: bool = False,
    weights: Weights = "safetensors",
) -> Path:
    """Return the folder of a checkpoint: `model` itself, or a hub model in the local cache.

    `download` allows fetching it. Raises as `docrag.checkpoints.find_folder` and `check_weights`.
    """
    folder = find_folder(
        model,
        revision=revision,
        download=download,
        what="reranker",
        setting="download: true",
        weights=weights,
    )
    check_weights(folder, weights=weights)
    return folder


def identity_of(folder: Path) -> str:
    """Name and digest of a checkpoint: configuration by its bytes, weights by name, size and time."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode())
        if path.suffix in (".safetensors", ".onnx"):
            status = path.stat()
            digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
        elif path.suffix in (".json", ".jinja", ".txt", ".model"):
            digest.update(path.read_bytes())
    return f"{folder.name}|{digest.hexdigest()[:16]}"


Shaped = TypeVar("Shaped", bound=Mapping[str, Any])


def equal_batches(inputs: Sequence[Shaped], *, batch_size: int) -> Iterator[list[int]]:
    """Positions of inputs that share all their shapes, at most `batch_size` together, in input order.

    So nothing is padded, and a neighbour cannot change a score.
    """
    by_shape: dict[tuple[Any, ...], list[int]] = {}
    for position, one in enumerate(inputs):
        shape = tuple(sorted((name, tuple(value.shape)) for name, value in one.items()))
        by_shape.setdefault(shape, []).append(position)
    for positions in by_shape.values():
        for start in range(0, len(positions), batch_size):
            yield positions[start : start + batch_size]
