"""Talking to the servers of models: one way to make a client, to wait for it, and to say what went wrong."""
