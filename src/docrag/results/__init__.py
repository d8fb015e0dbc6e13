"""What `docrag.DocRAG` hands out: results that show themselves in a notebook and convert to other forms."""

from docrag.results.shown import ShownAnswer, ShownCitation, ShownHit, ShownSearch

__all__ = ["ShownAnswer", "ShownCitation", "ShownHit", "ShownSearch"]
