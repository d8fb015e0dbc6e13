"""Every error docrag raises on purpose, under one root.

A message says what failed, on which file and page, what was found, what was expected, and the next step.
``exit_code`` is what the command line returns when the error ends a command.
"""

from __future__ import annotations


class DocragError(Exception):
    """Root of docrag's errors."""

    exit_code = 3


class UsageError(DocragError):
    """The call itself is wrong: a path that is missing, an option that does not exist, a bad page range."""

    exit_code = 1


class ConfigError(DocragError):
    """A configuration is malformed, names something unknown, or contradicts itself."""

    exit_code = 1


class MissingExtra(ConfigError):
    """A part was asked for whose optional dependency is not installed; the message holds the pip line."""


class IngestError(DocragError):
    """A file or page could not be read. `reason` is one of the codes of `docrag.types.Reason`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type[IngestError], tuple[str, str]]:
        """Keep `reason` when the error crosses a process boundary."""
        return type(self), (self.reason, str(self))


class IndexMissing(DocragError):
    """There is no index where one was expected."""


class IndexFormatError(DocragError):
    """The index was written by a newer version, or its files contradict its manifest."""


class EncoderMismatch(IndexFormatError):
    """The index holds vectors of another encoder than the one configured."""


class IndexLocked(DocragError):
    """Another process writes to the index; the message names it."""


class StorageError(DocragError):
    """The disk is full or refused a read or write; the last committed state is intact."""


class StorageRefused(StorageError):
    """The system does not let this process read or write the index: permissions, a read-only file system."""


class ModelError(DocragError):
    """A model or its endpoint failed, or answered with something that cannot be used."""


class ModelUnavailable(ModelError):
    """A model's endpoint cannot be reached or keeps failing: asking it for the next thing is no use."""


class ModelFormatError(ModelError):
    """A reply does not follow the format that was asked for; the message says how, for asking again."""


class ContextOverflow(ModelError):
    """A prompt does not fit into the model's context."""


class Cancelled(DocragError):
    """Somebody called the run off; nothing of it goes on."""

    exit_code = 130


class BudgetExceeded(DocragError):
    """A run reached its limit of rounds, calls, tokens, images or seconds."""
