"""The index on disk: LanceDB tables, the commit protocol, and reading one committed state."""
