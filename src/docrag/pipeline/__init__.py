"""Puts the parts together: one index, searched and asked with one set of settings."""

from docrag.pipeline.docrag import DocRAG
from docrag.pipeline.settings import Settings

__all__ = ["DocRAG", "Settings"]
