"""The models that a server says it has, in the form that OpenAI gave the list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from docrag.http.json_server import JsonServer, shape_of


def list_models(
    server: JsonServer,
    path: str,
    *,
    within_s: float | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Mapping[str, Mapping[str, Any]]:
    """What the server says of its models, by their ids, in its order; raises as `JsonServer.ask`."""
    answer = server.ask("GET", path, within_s=within_s, cancelled=cancelled)
    try:
        entries = cast("list[Mapping[str, Any]]", answer["data"])
        return {str(entry["id"]): entry for entry in entries}
    except (KeyError, TypeError):
        raise server.error(
            f"{path}: got no list of models, but {shape_of(answer)}; expected data with an id each;"
            " check base_url"
        ) from None


def find_model(
    server: JsonServer,
    wanted: str | None,
    *,
    setting: str,
    within_s: float | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Mapping[str, Any]:
    """What a vLLM server says of the model `wanted`, or of its only one; raises as `JsonServer.ask`.

    `setting` is what names the model in the configuration.
    """
    entries = list_models(server, "/v1/models", within_s=within_s, cancelled=cancelled)
    if wanted is None and len(entries) == 1:
        return next(iter(entries.values()))
    if wanted is None or wanted not in entries:
        raise server.error(
            f"the server has the models {sorted(entries)}, asked for {wanted or 'its only one'};"
            f" set {setting}"
        )
    return entries[wanted]
