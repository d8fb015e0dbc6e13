"""What a result depends on beside settings and questions: the index, the versions, the prompts."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from docrag import resources
from docrag.chat.prompts import Prompts
from docrag.store.reader import IndexReader

PACKAGES = (
    "docrag", "lancedb", "numpy", "onnxruntime", "pymupdf", "pypdfium2", "rapidocr", "langchain-core",
    "torch", "transformers",
)  # fmt: skip
"""Packages whose version can change a result; those that are not installed are left out."""


def index_state(corpus: IndexReader, *, docs: Collection[str] | None = None) -> dict[str, Any]:
    """What the index holds, as JSON values; two states with the same ``digest`` give the same results.

    ``documents`` maps names to the content's and the ingest's id; `docs` restricts it, not the digest.
    """
    ingests = corpus.ingest_ids()
    documents = {d.doc: f"{d.doc_id}/{ingests[d.doc_id]}" for d in corpus.documents()}
    encoder = corpus.manifest.text_encoder
    state: dict[str, Any] = {
        "n_documents": len(documents),
        "n_pages": sum(d.n_pages_indexed for d in corpus.documents()),
        "text_encoder": f"{encoder.name} {encoder.revision}" if encoder is not None else None,
        "n_visual_units": _n_visual_units(corpus),
    }
    state["digest"] = hashlib.sha256(json.dumps([state, documents], sort_keys=True).encode()).hexdigest()
    state["documents"] = {doc: documents[doc] for doc in documents if docs is None or doc in docs}
    return state


def _n_visual_units(corpus: IndexReader) -> int:
    """Pages and regions with visual vectors."""
    from docrag.pipeline.visual import open_vectors

    return sum(int((part.doc_indices >= 0).sum()) for part in open_vectors(corpus).view().parts)


def index_changes(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """How the index has changed, in words; nothing when results can be compared.

    `was` may name some documents only, `now` must name all of them.
    """
    if was["digest"] == now["digest"]:
        return []
    found = [
        f"{label}: {was[key]} then, {now[key]} now"
        for key, label in (
            ("n_documents", "documents"),
            ("n_pages", "pages"),
            ("text_encoder", "text encoder"),
            ("n_visual_units", "pages and regions with visual vectors"),
        )
        if was[key] != now[key]
    ]
    for doc, then in was["documents"].items():
        today = now["documents"].get(doc)
        if today is None:
            found.append(f"{doc} is not in it any more")
        elif today.partition("/")[0] != then.partition("/")[0]:
            found.append(f"{doc} has other content")
        elif today != then:
            found.append(f"{doc} was indexed again")
    return found or ["documents were indexed again"]


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def prompt_digests(prompts: Prompts) -> dict[str, str]:
    """Digest of every prompt by name."""
    return {name: prompts.get(name).digest for name in resources.names("prompts", ".md") if name != "README"}
