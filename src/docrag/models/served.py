"""Which models an OpenAI-compatible endpoint says it has."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, cast

import httpx

from docrag.errors import ModelError, ModelUnavailable
from docrag.models.faults import http_fault, retry_after_s, without_keys
from docrag.models.openai_compatible import headers_of
from docrag.models.options import OpenAiCompatibleOptions
from docrag.models.transport import trusted

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
        The key's variable is not set, or a certificate cannot be read.
    """
    url = f"{options.base_url}/models"
    headers = headers_of(options)
    secrets = [value for value in headers.values() if len(value) > 3]
    secrets += [value.removeprefix("Bearer ") for value in secrets]
    try:
        response = httpx.get(
            url,
            headers=headers,
            timeout=timeout_s,
            follow_redirects=False,
            trust_env=False,
            proxy=options.proxy,
            verify=trusted(options.ca_file),
        )
    except httpx.TransportError as error:
        raise ModelUnavailable(f"{url}: {type(error).__name__} {error}".rstrip()) from error
    if response.status_code in _HAS_NO_LIST:
        return None
    if response.status_code != 200:
        detail = without_keys(response.text[:2000])
        for secret in secrets:
            detail = detail.replace(secret, "…")
        wait_s = retry_after_s(dict(response.headers), now=datetime.now(UTC))
        raise http_fault(response.status_code, detail, where=url, retry_after_s=wait_s)
    try:
        entries = cast(dict[str, Any], json.loads(response.content))["data"]
        return tuple(str(entry["id"]) for entry in entries)
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{url}: got no list of models; check base_url, which usually ends in /v1"
        ) from error
