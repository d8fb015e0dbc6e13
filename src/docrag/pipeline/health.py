"""Look at everything docrag stands on, and say what is wrong and how to mend it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from docrag.errors import DocragError
from docrag.pipeline.check import Check
from docrag.pipeline.needs import unmet
from docrag.pipeline.settings import Settings

LOW_DISK_BYTES = 2**30
"""Less free space than this is worth a word: an index takes some 50 KB a page."""

PACKAGES = (
    "pymupdf", "pypdfium2", "rapidocr", "onnxruntime", "lancedb", "pyarrow", "numpy", "pydantic",
    "tokenizers",
)  # fmt: skip


def check_all(settings: Settings, index: Path) -> list[Check]:
    """Check the installation, the models that `settings` ask for, the disk and the index.

    Models behind an endpoint are asked a few short questions, for which a vendor may charge.
    """
    from docrag.pipeline.candidate_health import check_candidates
    from docrag.pipeline.encoder_health import check_page_encoder, check_rerankers, check_text_encoder
    from docrag.pipeline.model_health import check_models
    from docrag.pipeline.vector_health import check_vectors

    missing = list(unmet(settings, environ=os.environ))
    return [
        Check(
            "docrag", "ok", f"{version('docrag')}, Python {platform.python_version()}, {platform.platform()}"
        ),
        _cpus(settings),
        *_packages(),
        check_text_encoder(settings),
        *check_page_encoder(settings),
        *check_rerankers(settings),
        *(Check(need.setting, "problem", need.missing, need.mend) for need in missing),
        _ocr(settings),
        _layout(settings),
        *check_models(settings),
        _disk(index),
        *_index(settings, index),
        *check_vectors(settings, index),
        *check_candidates(settings, index),
    ]


def _cpus(settings: Settings) -> Check:
    from docrag.devices import usable_cores

    return Check("cpu", "ok", f"{usable_cores()} usable, {settings.ingest.worker_count()} ingest workers")


def _packages() -> Iterator[Check]:
    for name in PACKAGES:
        try:
            yield Check(name, "ok", version(name))
        except PackageNotFoundError:
            yield Check(name, "problem", "not installed", f"pip install {name}")


def _ocr(settings: Settings) -> Check:
    if settings.ingest.ocr == "never":
        return Check("OCR", "note", "switched off: pages without text stay empty")
    from docrag.ingest.rapid_ocr import DETECTOR, RECOGNISER, model_folder

    mend = "pip install --force-reinstall rapidocr, or use --set ingest.ocr=never"
    try:
        folder = model_folder()
    except DocragError as error:
        return Check("OCR", "problem", str(error), mend)
    missing = [name for name in (DETECTOR, RECOGNISER) if not (folder / name).is_file()]
    if missing:
        return Check("OCR", "problem", f"{', '.join(missing)} not found in {folder}", mend)
    return Check("OCR", "ok", f"{DETECTOR}, {RECOGNISER}")


def _layout(settings: Settings) -> Check:
    if settings.ingest.layout == "fast" or settings.ingest.parser == "pdfium":
        return Check("layout", "ok", "from geometry")
    # Found without importing: PyMuPDF takes a second.
    spec = importlib.util.find_spec("pymupdf")
    folder = Path(spec.origin).parent / "layout" if spec is not None and spec.origin else None
    if folder is None or not any(folder.rglob("*.onnx")):
        mend = "pip install --force-reinstall pymupdf pymupdf-layout, or use --set ingest.layout=fast"
        return Check("layout", "problem", "PyMuPDF's layout model is not installed", mend)
    return Check("layout", "ok", "PyMuPDF's bundled model")


def _disk(index: Path) -> Check:
    place = Path(os.path.abspath(index))
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    detail = f"{free / 2**30:.1f} GiB free at {place}"
    if free < LOW_DISK_BYTES:
        return Check("disk", "problem", detail, "free some space, or put the index elsewhere with --index")
    if not os.access(place, os.W_OK):
        return Check("disk", "problem", f"{place} cannot be written", "put the index elsewhere with --index")
    return Check("disk", "ok", detail)


def _index(settings: Settings, index: Path) -> Iterator[Check]:
    from docrag.store import drafts, lock, manifest
    from docrag.store.reader import IndexReader
    from docrag.store.vector_space import FOLDER as SEGMENTS
    from docrag.store.vector_store import foreign_names

    if not manifest.exists(index):
        yield Check("index", "note", f"none at {index}", "docrag index FOLDER, or name one with --index DIR")
        return
    try:
        with IndexReader(index) as reader:
            documents = reader.documents()
            held = reader.manifest.text_encoder
            created = reader.manifest
    except DocragError as error:
        yield Check("index", "problem", str(error), "see the message")
        return
    n_pages = sum(document.n_pages_indexed for document in documents)
    encoder = held.name if held else "no text vectors"
    detail = f"{index}: {len(documents)} documents, {n_pages} pages, {encoder}, format {created.format}"
    yield Check("index", "ok", f"{detail}, made {created.created_at} by docrag {created.docrag}")
    for document in documents:
        if document.failures:
            reasons = Counter(str(failure.reason) for failure in document.failures)
            counts = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
            pages = ", ".join(str(failure.page_no) for failure in document.failures[:10])
            more = "…" if len(document.failures) > 10 else ""
            yield Check(
                "failed pages",
                "note",
                f"{document.doc}: {counts} (pages {pages}{more})",
                "docrag index FILE --force, when the file or the limits have changed",
            )
    if (held is None) != (settings.embed.kind == "none"):
        yield Check(
            "encoder of index",
            "problem",
            f"the index holds {encoder}, the configuration asks for {settings.embed.kind}",
            "use the configuration that the index was made with, or index into another folder with --index",
        )
    owner = lock.holder(index)
    if owner is not None:
        yield Check("lock", "note", f"{owner} is writing", "searching and asking work meanwhile")
    strangers = foreign_names(index)
    if strangers:
        yield Check(
            "not of the index",
            "note",
            f"{index / SEGMENTS}: {', '.join(strangers[:10])}{'…' if len(strangers) > 10 else ''}",
            "docrag leaves it alone; move it elsewhere, as it goes when the index is deleted",
        )
    n_drafts = len(drafts.read_all(index))
    if n_drafts and owner is None:
        yield Check(
            "unfinished",
            "note",
            f"{n_drafts} files were being read when a run ended",
            "docrag index continues",
        )
