"""Write settings as a YAML file that ``--config`` reads: what was fitted, and whatever is not a default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import SecretStr

from docrag.errors import StorageError, UsageError
from docrag.pipeline.settings import Settings
from docrag.retrieve.options import RetrievalOptions

HEADER = "# Fitted by docrag eval --tune"
"""First line of every file; a file that begins otherwise is never written over."""

FITTED = ("fusion", "reference_weight", "cascade_weight", "neighbour_weight", "cutoff")
"""Settings of ``retrieval`` that are always written, be they defaults or not."""

_DISCRIMINATOR = "kind"


def config_text(settings: Settings, fitted: RetrievalOptions, *, comments: Sequence[str]) -> str:
    """YAML of `settings` with `fitted` for its retrieval, under comments.

    Secrets are left out; a comment names them.
    """
    import yaml

    whole = settings.model_copy(update={"retrieval": fitted})
    secrets = [path for path, value in _leaves(whole.model_dump(), ()) if isinstance(value, SecretStr)]
    values = whole.model_dump(mode="json")
    for path in secrets:
        _remove(values, path)
    written = _differences(values, Settings().model_dump(mode="json"))
    retrieval = written.pop("retrieval", {})
    retrieval |= {name: values["retrieval"][name] for name in FITTED}
    lines = [HEADER, *(f"# {line}".rstrip() for line in comments)]
    if secrets:
        names = ", ".join(".".join(path) for path in secrets)
        lines.append(f"# Secrets are not written; set them as ${{VARIABLE}} or in the environment: {names}")
    order = {name: retrieval[name] for name in RetrievalOptions.model_fields if name in retrieval}
    body = yaml.safe_dump(written | {"retrieval": order}, sort_keys=False, allow_unicode=True)
    return "\n".join(lines) + "\n" + body


def check_writable(path: Path) -> None:
    """Raise UsageError when `path` holds something that was not fitted, or its folder is missing."""
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}; make it, or name another file")
    if not path.exists():
        return
    try:
        with path.open(encoding="utf-8") as file:
            is_ours = file.readline().rstrip("\n") == HEADER
    except (OSError, UnicodeDecodeError):
        is_ours = False
    if not is_ours:
        raise UsageError(f"{path}: exists and was not written by --tune; name another file with --out-config")


def write_config(path: Path, text: str) -> None:
    """Write the file; raise StorageError when it cannot be written."""
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror or error}") from error


def _leaves(tree: Mapping[str, Any], at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(cast("Mapping[str, Any]", value), (*at, key))
        else:
            yield (*at, key), value


def _remove(tree: dict[str, Any], path: Sequence[str]) -> None:
    for key in path[:-1]:
        tree = tree[key]
    del tree[path[-1]]


def _differences(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What `values` say other than `defaults`; options of a kind are written whole."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        default = defaults.get(key)
        if value == default:
            continue
        if isinstance(value, Mapping) and isinstance(default, Mapping) and _DISCRIMINATOR not in value:
            found[key] = _differences(cast("Mapping[str, Any]", value), cast("Mapping[str, Any]", default))
        else:
            found[key] = value
    return found
