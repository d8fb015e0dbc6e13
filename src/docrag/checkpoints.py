"""A checkpoint's folder: found here, in the hub's cache or on the hub, and free of what could run code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from docrag.errors import ConfigError, ModelError
from docrag.optional import require

Weights = Literal["safetensors", "onnx"]
"""How a checkpoint holds its weights."""

_WANTED: Mapping[Weights, Sequence[str]] = {
    "safetensors": ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"),
    "onnx": ("*.json", "*.txt", "*.onnx", "onnx/*.onnx"),
}
"""All that is ever fetched: weights that are data, never pickles, and no code."""

_N_LENGTH = 8
"""Bytes at the start of a safetensors file that hold the length of its header."""

_SAMPLE_BYTES = 1 << 16
_N_SAMPLES = 32

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def find_folder(
    model: str,
    *,
    revision: str | None,
    download: bool,
    what: str,
    setting: str,
    weights: Weights = "safetensors",
) -> Path:
    """Return the folder of a checkpoint: a folder itself, or a name on the Hugging Face hub.

    `what` says in messages what the checkpoint is for, `setting` what would allow fetching it.

    Raises
    ------
    ConfigError
        A path names no folder.
    MissingExtra, ModelError
        The hub's library is not installed; the checkpoint is not in the cache, or cannot be fetched.
    """
    path = Path(model)
    if path.is_dir():
        return path.resolve()
    if path.is_absolute() or model.startswith("."):
        raise ConfigError(f"{model}: there is no such folder; name a checkpoint's folder or a hub model")
    hub = require("huggingface_hub", extra="visual", purpose=f"a {what}")
    try:
        found = hub.snapshot_download(
            model, revision=revision, local_files_only=not download, allow_patterns=list(_WANTED[weights])
        )
    except (OSError, ValueError) as error:
        hint = (
            "check its name and the connection"
            if download
            else f"give a folder, or allow fetching it with {setting}"
        )
        raise ModelError(f"{what} {model!r} is not in the local cache or not to be had: {hint}") from error
    return Path(found)


def check_weights(folder: Path, *, weights: Weights = "safetensors") -> None:
    """Raise `docrag.errors.ModelError` unless the folder holds weights of this kind, and whole ones."""
    found = sorted(folder.rglob(f"*.{weights}"))
    if found:
        for path in found if weights == "safetensors" else ():
            _check_whole(path)
        return
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        raise ModelError(
            f"{folder}: weights are pickled ({', '.join(pickles)}), and loading a pickle can run code; "
            f"convert them to {weights}, or choose a checkpoint that has them"
        )
    raise ModelError(f"{folder}: no *.{weights} in it, so the checkpoint has no weights")


def _check_whole(path: Path) -> None:
    """Raise `docrag.errors.ModelError` unless a safetensors file is as long as its header says.

    Half a download and the pointer that git leaves for a large file both look like weights by their names.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            n_header = int.from_bytes(file.read(_N_LENGTH), "little")
            if n_header > size:
                raise ValueError(f"its header would be {n_header} bytes long")
            header: Any = json.loads(file.read(n_header))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        expected = _N_LENGTH + n_header + max(ends, default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ModelError(
            f"{path}: {size} bytes that are no safetensors file ({error}); fetch the checkpoint again"
        ) from error
    if size != expected:
        raise ModelError(
            f"{path}: incomplete or damaged: {size} bytes, expected {expected}; fetch the checkpoint again"
        )


def digest_model(folder: Path) -> str:
    """Digest of a model's configuration and vocabulary by their bytes, and of samples of its weights.

    Hidden folders and what training leaves in ``checkpoint-…`` are no part of it.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        if any(part.startswith((".", "checkpoint-")) for part in place.parts) or not path.is_file():
            continue
        if path.suffix in (".safetensors", ".bin"):
            for sample in samples(path, name=place.as_posix()):
                digest.update(sample)
        elif path.suffix in (".json", ".txt", ".model"):
            digest.update(f"{place.as_posix()} {path.stat().st_size}".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def samples(path: Path, *, name: str) -> Iterator[bytes]:
    """Yield name, size and evenly spaced samples of a file, to digest: all of it would take a minute."""
    size = path.stat().st_size
    yield f"{name} {size}".encode()
    with path.open("rb") as file:
        for i in range(_N_SAMPLES):
            file.seek(max(size - _SAMPLE_BYTES, 0) * i // (_N_SAMPLES - 1))
            yield file.read(_SAMPLE_BYTES)


def read_json(path: Path) -> Mapping[str, Any]:
    """Return the object in a file, empty when there is no file."""
    try:
        body: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ModelError(f"{path}: not valid JSON ({error}); fetch the checkpoint again") from error
    return cast(Mapping[str, Any], body) if isinstance(body, dict) else {}
