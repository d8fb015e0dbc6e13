"""Write settings as a YAML file that ``--config`` reads: what was fitted, and whatever is not a default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    secrets: list[str] = []
    values = _without_secrets(whole.model_dump(), whole.model_dump(mode="json"), "", secrets)
    written = _differences(values, Settings().model_dump(mode="json"))
    retrieval = written.pop("retrieval", {})
    retrieval |= {name: values["retrieval"][name] for name in FITTED}
    lines = [HEADER, *(f"# {line}".rstrip() for line in comments)]
    if secrets:
        lines.append(f"# Secrets are not written; set them yourself: {', '.join(secrets)}")
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


def _without_secrets(value: Any, shown: Any, at: str, secrets: list[str]) -> Any:  # noqa: ANN401 - a tree
    """`shown`, the JSON form of `value`, without its secrets; their names are added to `secrets`."""
    if isinstance(value, Mapping):
        found: dict[str, Any] = {}
        for key, inner in cast("Mapping[str, Any]", value).items():
            name = f"{at}.{key}" if at else key
            if isinstance(inner, SecretStr):
                secrets.append(name)
            else:
                found[key] = _without_secrets(inner, shown[key], name, secrets)
        return found
    if isinstance(value, list | tuple):
        items = enumerate(cast("Sequence[Any]", value))
        return [_without_secrets(inner, shown[i], f"{at}[{i}]", secrets) for i, inner in items]
    return shown


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
