"""Whether the visual vectors of an index are whole, and those that the configuration asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from docrag.embed.visual.options import LocalVisualOptions
from docrag.errors import DocragError, EncoderMismatch
from docrag.pipeline.check import Check
from docrag.pipeline.settings import Settings
from docrag.pipeline.visual_options import VisualOptions
from docrag.store.vector_space import VectorSpace

MEND = "docrag index FOLDER with the same configuration"


def check_vectors(settings: Settings, index: Path) -> Iterator[Check]:
    """Say how many pages have vectors, and of which kind; compare that with the configuration.

    Nothing where no page encoder is configured, or the index is not there or has none. No model is loaded, so
    of an encoder behind a server only what is stored of its vectors is compared.
    """
    from docrag.store import manifest

    options = settings.visual
    if options is None or not manifest.exists(index):
        return
    try:
        yield from _checks(options, index)
    except EncoderMismatch as error:
        yield Check("visual vectors", "problem", str(error), "see the message")
    except DocragError:  # a damaged segment or index: said of the candidates and of the index
        return


def _checks(options: VisualOptions, index: Path) -> Iterator[Check]:
    from docrag.pipeline.visual import open_vectors
    from docrag.retrieve.visual.retriever import coverage
    from docrag.store.reader import IndexReader
    from docrag.store.vector_space import check_space

    with IndexReader(index) as corpus:
        vectors = open_vectors(corpus)
        held = vectors.space
        if held is None:
            return
        check_space(index, held, _wanted(options, held))
        n_with, n_pages = coverage(vectors.view(), corpus)
        n_failed = len(vectors.failures())
    pooled = f", pooled by {held.pool_factor}" if held.pool_factor > 1 else ""
    detail = f"{n_with} of {n_pages} pages, {held.vector_type}{pooled}, by {held.encoder.name}"
    if n_failed:
        units = "page or region" if n_failed == 1 else "pages or regions"
        detail += f"; {n_failed} {units} could not be encoded"
        yield Check("visual vectors", "note", detail, f"{MEND} and --retry-failed")
    elif n_with < n_pages and "page" in options.units:
        yield Check("visual vectors", "note", detail, MEND)
    else:
        yield Check("visual vectors", "ok", detail)


def _wanted(options: VisualOptions, held: VectorSpace) -> VectorSpace:
    """The space that is configured, as far as it is known without loading a model."""
    from docrag.embed.visual.build import find_configured
    from docrag.pipeline.visual import image_of

    wanted = replace(
        held,
        image=image_of(options),
        vector_type=options.vectors,
        pool_factor=options.pool_factor,
    )
    encoder = options.encoder
    if not isinstance(encoder, LocalVisualOptions):
        return wanted
    try:
        found = find_configured(encoder, download=False)
    except DocragError:  # said of the page encoder
        return wanted
    identity = replace(held.encoder, name=found.name, revision=found.revision)
    return replace(wanted, encoder=identity, processor=found.processor)
