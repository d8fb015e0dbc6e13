"""A checkpoint of a page encoder: found, examined and identified, before anything of it is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from docrag.checkpoints import check_weights, find_folder, read_json, samples
from docrag.errors import ModelError

Library = Literal["transformers", "colpali-engine", "sentence-transformers", "last-token"]


@dataclass(frozen=True, slots=True)
class Family:
    """Which library loads a checkpoint, by which classes (empty where the library finds them itself)."""

    library: Library
    model_class: str = ""
    processor_class: str = ""


def _engine(name: str, processor: str) -> tuple[str, Family]:
    return name, Family("colpali-engine", name, processor)


FAMILIES: Mapping[str, Family] = dict(
    [
        ("ColPaliForRetrieval", Family("transformers", "ColPaliForRetrieval", "ColPaliProcessor")),
        ("ColQwen2ForRetrieval", Family("transformers", "ColQwen2ForRetrieval", "ColQwen2Processor")),
        (
            "ColModernVBertForRetrieval",
            Family("transformers", "ColModernVBertForRetrieval", "ColModernVBertProcessor"),
        ),
        _engine("ColPali", "ColPaliProcessor"),
        _engine("ColQwen2", "ColQwen2Processor"),
        _engine("ColQwen2_5", "ColQwen2_5_Processor"),
        _engine("ColQwen3", "ColQwen3Processor"),
        _engine("ColQwen3_5", "ColQwen3_5Processor"),
        _engine("ColIdefics3", "ColIdefics3Processor"),
        _engine("ColModernVBert", "ColModernVBertProcessor"),
        _engine("ColGemma3", "ColGemmaProcessor3"),
        # BiPaliProcessor differs in how it scores, and loses its parts under transformers 5.
        _engine("BiPali", "ColPaliProcessor"),
        _engine("BiPaliProj", "ColPaliProcessor"),
        _engine("BiQwen2", "BiQwen2Processor"),
        _engine("BiQwen2_5", "BiQwen2_5_Processor"),
        _engine("BiQwen3", "BiQwen3Processor"),
        _engine("BiQwen3_5", "BiQwen3_5Processor"),
        _engine("BiIdefics3", "BiIdefics3Processor"),
        _engine("BiModernVBert", "BiModernVBertProcessor"),
        _engine("BiGemma3", "BiGemmaProcessor3"),
    ]
)
"""By the first entry of ``architectures`` in a checkpoint's ``config.json``."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint on disk.

    Attributes
    ----------
    name
        What was asked for, without the folders above it.
    revision
        The hub's commit; of a plain folder, a digest of configuration and weights.
    processor
        Digest of the files that turn images and texts into model input.
    base
        The checkpoint that a LoRA adapter changes.
    """

    name: str
    folder: Path
    family: Family
    revision: str
    processor: str
    base: Path | None = None


def find_checkpoint(
    model: str, *, revision: str | None, download: bool, last_token: bool = False
) -> Checkpoint:
    """Find a checkpoint in a folder or the local cache, or fetch it when `download` allows that.

    Raises `ModelError` when there is none, when it is no page encoder, and when its weights are pickles.
    """
    folder = _locate(model, revision, download)
    adapter = read_json(folder / "adapter_config.json")
    base: Path | None = None
    if adapter:
        named = str(adapter.get("base_model_name_or_path") or "")
        if not named:
            raise ModelError(f"{folder}: a LoRA adapter that names no base model in adapter_config.json")
        nearby = folder / named
        base = nearby if nearby.is_dir() else _locate(named, adapter.get("revision"), download)
    for place in filter(None, (folder, base)):
        check_weights(place)
        for pickled in sorted(place.glob("*/pytorch_model.bin")):  # a part of a sentence-transformers model
            check_weights(pickled.parent)
    family = _family(base or folder, last_token=last_token)
    commit = folder.name if folder.parent.name == "snapshots" else ""
    revision_parts = [commit or _digest_weights(folder)]
    if base is not None:
        revision_parts.append(base.name if base.parent.name == "snapshots" else _digest_weights(base))
    return Checkpoint(
        name=Path(model).name if Path(model).is_dir() else model,
        folder=folder,
        family=family,
        revision="+".join(revision_parts),
        processor=_digest_processor(folder, family),
        base=base,
    )


def _locate(model: str, revision: str | None, download: bool) -> Path:
    return find_folder(
        model,
        revision=revision,
        download=download,
        what="page encoder",
        setting="visual.encoder.download=true",
    )


def _family(folder: Path, *, last_token: bool) -> Family:
    if (folder / "modules.json").is_file():
        return Family("sentence-transformers")
    if last_token:
        return Family("last-token")
    config = read_json(folder / "config.json")
    if not config:
        raise ModelError(f"{folder}: no config.json, so this is no checkpoint")
    named: Any = config.get("architectures") or ["none"]
    family = FAMILIES.get(str(named[0]))
    if family is None:
        raise ModelError(
            f"{folder}: architecture {named[0]!r} (model type {config.get('model_type')!r}) is no page "
            f"encoder that docrag knows; expected one of {', '.join(FAMILIES)}, a sentence-transformers "
            'model, or a vision-language model with pooling: "last-token"'
        )
    return family


def _digest_weights(folder: Path) -> str:
    """Digest of config and of samples of the weights."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.json")):
        if path.name in ("config.json", "adapter_config.json"):
            digest.update(path.read_bytes())
    for path in sorted(folder.rglob("*.safetensors")):
        for sample in samples(path, name=path.relative_to(folder).as_posix()):
            digest.update(sample)
    return digest.hexdigest()[:16]


def _digest_processor(folder: Path, family: Family) -> str:
    """Digest of everything but weights and model configuration."""
    digest = hashlib.sha256(f"{family.library} {family.processor_class}".encode())
    for path in _processor_files(folder):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _processor_files(folder: Path) -> Iterable[Path]:
    skipped = ("config.json", "adapter_config.json", "generation_config.json", "model.safetensors.index.json")
    found = [path for pattern in ("*.json", "*.txt", "*.model", "*.jinja") for path in folder.glob(pattern)]
    return sorted(path for path in found if path.name not in skipped)
