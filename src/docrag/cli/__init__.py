"""The command line: one module per command, each thin over the Python interface."""
