"""Puts the parts together: one index, searched and asked with one set of settings."""
