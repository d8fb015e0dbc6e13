"""From options to a page encoder."""

from __future__ import annotations

from docrag.embed.visual.checkpoint import Checkpoint, find_checkpoint
from docrag.embed.visual.options import LocalVisualOptions, VisualEncoderOptions, VllmVisualOptions
from docrag.optional import require
from docrag.protocols import PageEmbedder


def build_page_embedder(options: VisualEncoderOptions) -> PageEmbedder:
    """Load the page encoder that `options` describe.

    Raises
    ------
    MissingExtra
        The libraries of the checkpoint are not installed.
    ModelError
        There is no such checkpoint, it is no page encoder, or it cannot be loaded safely.
    """
    match options:
        case VllmVisualOptions():
            from docrag.embed.visual.vllm import VllmPageEmbedder

            return VllmPageEmbedder(options)
        case LocalVisualOptions():
            return _local(options)


def find_configured(options: LocalVisualOptions, *, download: bool) -> Checkpoint:
    """Return the checkpoint that is configured, without loading it; raises as `find_checkpoint` does."""
    return find_checkpoint(
        options.model,
        revision=options.revision,
        download=download,
        last_token=options.pooling == "last-token",
    )


def _local(options: LocalVisualOptions) -> PageEmbedder:
    for module in ("torch", "transformers"):  # before a checkpoint is looked for that could not be used
        require(module, extra="visual", purpose=f"the page encoder {options.model}")
    checkpoint = find_configured(options, download=options.download)
    match checkpoint.family.library:
        case "last-token":
            from docrag.embed.visual.last_token import LastTokenPageEmbedder

            return LastTokenPageEmbedder(options, checkpoint)
        case "sentence-transformers":
            from docrag.embed.visual.sentence_images import SentenceImagesEmbedder

            return SentenceImagesEmbedder(options, checkpoint)
        case "transformers" | "colpali-engine":
            from docrag.embed.visual.local import LocalPageEmbedder

            return LocalPageEmbedder(options, checkpoint)
