"""Rerankers: reorder the head of a fused ranking, or filter it, by looking at the pages themselves."""
