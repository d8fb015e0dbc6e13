"""Runs of a whole file of settings and questions into a folder, kept traces, and replays of either."""
