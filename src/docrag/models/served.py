"""Which models an OpenAI-compatible endpoint says it has."""

from __future__ import annotations

from docrag.http.faults import RequestRefused
from docrag.http.json_server import JsonServer
from docrag.http.model_list import list_models
from docrag.models.options import OpenAiCompatibleOptions

_HAS_NO_LIST = frozenset({404, 405, 501})


def served_models(options: OpenAiCompatibleOptions, *, timeout_s: float) -> tuple[str, ...] | None:
    """Ids of the models under ``GET {base_url}/models``, in the server's order; None when it keeps no list.

    Raises
    ------
    ModelUnavailable
        It cannot be reached, or is overloaded.
    ModelError
        It refuses the key, or answers with something else than a list.
    ConfigError
        The key's variable is not set, or a proxy or certificate cannot be used.
    """
    server = JsonServer(options, where=options.base_url, timeout_s=timeout_s, max_retries=0)
    try:
        return tuple(list_models(server, "/models"))
    except RequestRefused as refused:
        if refused.status in _HAS_NO_LIST:
            return None
        raise
    finally:
        server.close()
