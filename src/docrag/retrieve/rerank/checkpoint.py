"""A reranker's checkpoint on disk: found, and checked before anything of it is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeVar

from docrag.errors import ConfigError, ModelError
from docrag.optional import require

DType = Literal["auto", "float32", "bfloat16", "float16"]

SAFELY: Mapping[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""For every ``from_pretrained``: nothing is fetched behind a check, and no code of a repository runs."""

_WANTED = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")
_WANTED_ONNX = ("*.json", "*.txt", "*.onnx", "onnx/*.onnx")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def find_checkpoint(
    model: str,
    *,
    revision: str | None = None,
    download: bool = False,
    weights: Literal["safetensors", "onnx"] = "safetensors",
) -> Path:
    """Return the folder of a checkpoint: `model` itself, or a hub model in the local cache.

    `download` allows fetching it. Raises `docrag.errors.ConfigError` for a folder that is not there, and
    `docrag.errors.ModelError` for a model that is not to be had or whose weights are pickles.
    """
    folder = Path(model)
    if not folder.is_dir():
        if folder.is_absolute() or model.startswith("."):
            raise ConfigError(f"{model}: there is no such folder; name a reranker's folder or a hub model")
        hub = require("huggingface_hub", extra="visual", purpose="a reranker from the Hugging Face hub")
        wanted = _WANTED if weights == "safetensors" else _WANTED_ONNX
        try:
            folder = Path(
                hub.snapshot_download(
                    model, revision=revision, local_files_only=not download, allow_patterns=list(wanted)
                )
            )
        except (OSError, ValueError) as error:
            hint = "check its name and the connection" if download else "give a folder, or set download: true"
            raise ModelError(
                f"reranker {model!r} is not in the local cache or not to be had: {hint}"
            ) from error
    if not any(folder.rglob(f"*.{weights}")):
        pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
        found = f", only pickled ones ({', '.join(pickles)}), which can run code" if pickles else ""
        raise ModelError(f"{folder}: there are no *.{weights} weights in it{found}; convert the checkpoint")
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
