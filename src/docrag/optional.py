"""Import a module of an optional extra, or say exactly what to install."""

from __future__ import annotations

import importlib
from types import ModuleType

from docrag.errors import MissingExtra


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import `module`; raise `MissingExtra` with the pip line when it is not installed.

    A module that is installed but fails to import for another reason raises its own error: a broken
    installation must not look like a missing one.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(error.name + ".")):
            raise
        raise MissingExtra(
            f'{purpose} needs the module "{error.name}"; install it with: pip install "docrag[{extra}]"'
        ) from error
