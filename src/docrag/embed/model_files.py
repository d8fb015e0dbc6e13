"""Model files that travel inside pip packages: found without running the package, and checked."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from docrag.errors import ConfigError, MissingExtra


def packaged_file(package: str, path: str, *, sha256: str) -> Path:
    """Return the file at `path` inside an installed `package`, its sum verified; nothing is imported.

    Raises
    ------
    MissingExtra
        The package, or the file in it, is not installed.
    ConfigError
        The file is not the one that `sha256` names.
    """
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    distribution = package.replace("_", "-")
    for folder in folders:
        file = Path(folder) / path
        if file.is_file():
            with file.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
            if found != sha256:
                raise ConfigError(
                    f"{file}: sha256 is {found}, expected {sha256}; another version of {distribution} is "
                    f"installed, or the file is damaged; next: pip install --force-reinstall "
                    f"{distribution}, or set another text encoder"
                )
            return file
    raise MissingExtra(
        f'{path} of the package "{distribution}" is not installed; install it with: '
        f"pip install {distribution}, or set another text encoder"
    )
