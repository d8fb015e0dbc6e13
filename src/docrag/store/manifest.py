"""`manifest.json`: what an index is, who wrote it, and which vectors it holds."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from docrag.errors import EncoderMismatch, IndexFormatError, IndexMissing
from docrag.protocols import EncoderIdentity
from docrag.store.durable import write_atomically

FORMAT = 1
"""Version of the layout on disk; raised whenever an older docrag could misread what this one writes."""

FILE_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The identity of an index.

    `tidy_at` maps a table to the version that `IndexWriter.finish` left behind: a table that still stands
    there has a complete full-text index and no rows but those of documents and of `kept_drafts`. `fulltext`
    are the tokenizer settings of that index. `leftovers_since_s` is the time (seconds since 1970) of that
    tidying, None once the files of the versions before it are deleted too.
    """

    format: int
    docrag: str
    created_at: str
    text_encoder: EncoderIdentity | None
    fulltext: Mapping[str, Any]
    tidy_at: Mapping[str, int] = field(default_factory=dict[str, int])
    kept_drafts: tuple[str, ...] = ()
    leftovers_since_s: float | None = None

    @classmethod
    def new(cls, text_encoder: EncoderIdentity | None, fulltext: Mapping[str, Any]) -> Manifest:
        """Return the manifest of an index that is created now."""
        created_at = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(FORMAT, version("docrag"), created_at, text_encoder, dict(fulltext))


def exists(index: Path) -> bool:
    """Whether there is an index in this folder."""
    return (index / FILE_NAME).is_file()


def read(index: Path) -> Manifest:
    """Read the manifest of an index.

    Raises `IndexMissing` when there is none and `IndexFormatError` when it is damaged or newer than this
    docrag; nothing is changed on disk.
    """
    path = index / FILE_NAME
    try:
        body: Any = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise IndexMissing(
            f"{index}: no index here; create it with: docrag index FOLDER --index {index}"
        ) from None
    except ValueError as error:
        raise IndexFormatError(
            f"{path}: not valid JSON ({error}); restore it from a backup, or remove {index} and index again"
        ) from error
    found = body.get("format") if isinstance(body, dict) else None
    if not isinstance(found, int):
        raise IndexFormatError(f"{path}: no format version in it; remove {index} and index again")
    if found > FORMAT:
        raise IndexFormatError(
            f"{index}: format {found}, written by docrag {body.get('docrag')}; this docrag reads up to "
            f"format {FORMAT}. The index was not touched: upgrade docrag, or use another folder with --index"
        )
    try:
        encoder = body["text_encoder"]
        return Manifest(
            format=found,
            docrag=body["docrag"],
            created_at=body["created_at"],
            text_encoder=EncoderIdentity(**encoder) if encoder is not None else None,
            fulltext=body["fulltext"],
            tidy_at=body["tidy_at"],
            kept_drafts=tuple(body.get("kept_drafts", ())),
            leftovers_since_s=body.get("leftovers_since_s"),
        )
    except (KeyError, TypeError) as error:
        raise IndexFormatError(
            f"{path}: missing or unexpected entry ({error}); remove {index} and index again"
        ) from error


def write(index: Path, manifest: Manifest) -> None:
    """Replace the manifest atomically and durably."""
    body = dataclasses.asdict(manifest)
    write_atomically(index / FILE_NAME, json.dumps(body, indent=1).encode() + b"\n")


def check_encoder(index: Path, manifest: Manifest, wanted: EncoderIdentity | None) -> None:
    """Raise `EncoderMismatch` unless the index holds vectors of exactly the encoder `wanted` (None: none)."""
    held = manifest.text_encoder
    if held == wanted:
        return
    if held is None or wanted is None:
        difference = f"index: {_name(held)}; configured: {_name(wanted)}"
    else:
        difference = "; ".join(
            f"{part.name}: index {getattr(held, part.name)!r}, configured {getattr(wanted, part.name)!r}"
            for part in dataclasses.fields(EncoderIdentity)
            if getattr(held, part.name) != getattr(wanted, part.name)
        )
    raise EncoderMismatch(
        f"{index}: the index was made with another text encoder ({difference}). Configure the encoder of the "
        f"index, or build a new index with: docrag index FOLDER --index NEW_DIR"
    )


def _name(encoder: EncoderIdentity | None) -> str:
    return "no text encoder" if encoder is None else f"{encoder.name} revision {encoder.revision}"
