"""Retrieval by what a page looks like."""
