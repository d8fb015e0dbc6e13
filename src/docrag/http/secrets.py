"""Keys and passwords of servers: read where they are named, sent where they belong, shown nowhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from urllib.parse import unquote
from urllib.request import getproxies

from docrag.errors import ConfigError
from docrag.http.options import ENVIRONMENT, EndpointOptions

_LEAST_SECRET_CHARS = 4
"""Shorter ones are no secrets, and masking them would make messages unreadable."""


def headers_of(options: EndpointOptions) -> dict[str, str]:
    """Headers that every request carries: the configured ones, and the key, which is read now.

    Raises `docrag.errors.ConfigError` when the key's variable is not set, or a value cannot be sent.
    """
    headers = {name: value.get_secret_value() for name, value in options.headers.items()}
    for name, value in headers.items():
        if any(not (" " <= c <= "~") for c in value):
            raise ConfigError(
                f"{options.base_url}: the header {name} holds a line break or a character outside ASCII"
            )
    key = _key(options)
    if any(not ("!" <= c <= "~") for c in key):
        raise ConfigError(
            f"{options.base_url}: the key holds a blank, a line break or a character outside ASCII;"
            f" check {options.api_key_env or 'api_key'}"
        )
    if key:
        headers["authorization"] = f"Bearer {key}"
    return headers


def _key(options: EndpointOptions) -> str:
    if options.api_key is not None:
        return options.api_key.get_secret_value()
    if options.api_key_env is None:
        return ""
    key = os.environ.get(options.api_key_env, "")
    if not key:
        raise ConfigError(
            f"{options.base_url}: the key is read from {options.api_key_env}, which is not set;"
            f" export {options.api_key_env}=…"
        )
    return key


def has_key(options: EndpointOptions) -> bool:
    """Whether the key is there, where one is named."""
    return options.api_key_env is None or bool(os.environ.get(options.api_key_env))


def mask_of(options: EndpointOptions, headers: Mapping[str, str]) -> Callable[[str], str]:
    """Return what makes a text printable: keys, values of headers and passwords of proxies become "…"."""
    secrets = [*headers.values(), *(value.removeprefix("Bearer ") for value in headers.values())]
    if options.proxy_auth is not None:
        pair = options.proxy_auth.get_secret_value()
        secrets += [pair, pair.partition(":")[2]]
    if options.proxy == ENVIRONMENT:
        secrets += _passwords(getproxies())
    wanted = sorted({secret for secret in secrets if len(secret) >= _LEAST_SECRET_CHARS}, key=len)

    def mask(text: str) -> str:
        for secret in reversed(wanted):  # the longest first: others may be parts of it
            text = text.replace(secret, "…")
        return text

    return mask


def _passwords(proxies: Mapping[str, str]) -> list[str]:
    """Credentials in the URLs of proxies, as they stand there and as they are sent."""
    found: list[str] = []
    for url in proxies.values():
        pair, at, _ = url.partition("://")[2].rpartition("@")
        if at:
            password = pair.partition(":")[2]
            found += [pair, password, unquote(password)]
    return found
