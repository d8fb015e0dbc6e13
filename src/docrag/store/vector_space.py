"""What the multi-vectors of an index are: encoder, processor, storage type and pooling."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docrag.errors import EncoderMismatch, IndexFormatError
from docrag.late_interaction.multivectors import VectorType
from docrag.protocols import EncoderIdentity
from docrag.store.durable import write_atomically

FOLDER = "segments"
FILE_NAME = "space.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """The identity of a set of multi-vectors; vectors of different spaces cannot be compared.

    `processor` digests how images and texts become model input, `image` says how pages were rendered,
    `pool_factor` is the one of hierarchical token pooling, 1 for none.
    """

    encoder: EncoderIdentity
    processor: str
    image: str
    vector_type: VectorType
    pool_factor: int


def read_space(index: Path) -> VectorSpace | None:
    """The space of an index's multi-vectors, None when it has none."""
    path = index / FOLDER / FILE_NAME
    try:
        body: Any = json.loads(path.read_bytes())
        if body["format"] > FORMAT:
            raise IndexFormatError(
                f"{path}: format {body['format']}; this docrag reads up to {FORMAT}. Upgrade docrag"
            )
        encoder = EncoderIdentity(**body["space"].pop("encoder"))
        return VectorSpace(encoder=encoder, **body["space"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise IndexFormatError(
            f"{path}: damaged ({error}); delete {index / FOLDER} and run docrag index again: "
            "only the visual vectors are made anew"
        ) from error


def write_space(index: Path, space: VectorSpace) -> None:
    """Write the space of an index that had none."""
    (index / FOLDER).mkdir(parents=True, exist_ok=True)
    body = {"format": FORMAT, "space": dataclasses.asdict(space)}
    write_atomically(index / FOLDER / FILE_NAME, json.dumps(body, indent=1).encode() + b"\n")


def read_candidates(index: Path) -> dict[str, Any]:
    """Settings of the candidate stages that an index was prepared for, by name."""
    try:
        body: Any = json.loads((index / FOLDER / FILE_NAME).read_bytes())
        return dict(body.get("candidates", {}))
    except (FileNotFoundError, NotADirectoryError):
        return {}


def record_candidates(index: Path, name: str, settings: Mapping[str, Any]) -> None:
    """Note the settings of a candidate stage, seeds among them, beside the space of the vectors."""
    held = read_candidates(index)
    if held.get(name) == settings:
        return
    path = index / FOLDER / FILE_NAME
    body: Any = json.loads(path.read_bytes())
    body["candidates"] = held | {name: dict(settings)}
    write_atomically(path, json.dumps(body, indent=1).encode() + b"\n")


def check_space(index: Path, held: VectorSpace, wanted: VectorSpace) -> None:
    """Raise `EncoderMismatch` unless both are the same, naming what differs."""
    parts = [(part.name, getattr(held, part.name), getattr(wanted, part.name)) for part in _fields(held)]
    parts += [
        (f"encoder {part.name}", getattr(held.encoder, part.name), getattr(wanted.encoder, part.name))
        for part in _fields(held.encoder)
    ]
    different = [
        f"{name}: index {mine!r}, configured {theirs!r}"
        for name, mine, theirs in parts
        if mine != theirs and name != "encoder"
    ]
    if different:
        raise EncoderMismatch(
            f"{index}: its visual vectors were made differently ({'; '.join(different)}). Configure the "
            f"same, or delete {index / FOLDER} and run docrag index with the new configuration"
        )


def _fields(value: VectorSpace | EncoderIdentity) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(value)
