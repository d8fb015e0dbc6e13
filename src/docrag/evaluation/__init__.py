"""Measure retrieval and answers on a set of questions with known answers and evidence pages.

Searching and answering arrive as callables, so a test, another library or an agent is measured alike.
"""
