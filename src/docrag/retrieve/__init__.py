"""Retrieval: from a question to ranked pages or regions, every step explained."""
