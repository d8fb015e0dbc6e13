"""A checkpoint's folder: found here, in the hub's cache or on the hub, and free of what could run code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
    """Raise `docrag.errors.ModelError` unless the folder holds weights of this kind."""
    if any(folder.rglob(f"*.{weights}")):
        return
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        raise ModelError(
            f"{folder}: weights are pickled ({', '.join(pickles)}), and loading a pickle can run code; "
            f"convert them to {weights}, or choose a checkpoint that has them"
        )
    raise ModelError(f"{folder}: no *.{weights} in it, so the checkpoint has no weights")


def read_json(path: Path) -> Mapping[str, Any]:
    """Return the object in a file, empty when there is no file."""
    try:
        body: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ModelError(f"{path}: not valid JSON ({error}); fetch the checkpoint again") from error
    return cast(Mapping[str, Any], body) if isinstance(body, dict) else {}
