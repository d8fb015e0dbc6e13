"""docrag inside other frameworks; each package imports its framework, and nothing imports them unasked."""
