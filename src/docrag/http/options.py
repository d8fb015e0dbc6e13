"""What the configuration may say about every server that is asked over HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from docrag.options import Options

ENVIRONMENT = "environment"
"""The value of `EndpointOptions.proxy` that leaves proxies to the variables of the environment."""

_HTTP = re.compile(r"https?://[^/\s?#]+[^\s?#]*")
_PROXY = re.compile(r"(https?|socks5h?)://[^/\s?#]+/?")


class EndpointOptions(Options):
    """Where a server is, what proves who asks, and the way there.

    A key goes only where it is named: by `api_key_env`, the name of a variable, or by `api_key`, which may be
    ``${VARIABLE}``. No proxy is used unless `proxy` says so, whatever the environment holds: servers on this
    machine and in the house are never asked through one by accident. Certificates are always verified, and
    redirects never followed.
    """

    base_url: str = Field(
        default="http://127.0.0.1:8000/v1", description="where the endpoint is, usually with /v1 at its end"
    )
    api_key_env: str | None = Field(default=None, description="variable that holds the key")
    api_key: SecretStr | None = Field(
        default=None, description="the key itself; api_key_env names a variable instead"
    )
    headers: Mapping[str, SecretStr] = Field(
        default_factory=dict[str, SecretStr], description="sent along, such as a gateway's own key"
    )
    proxy: str | None = Field(
        default=None,
        description="such as http://proxy.example:3128; environment takes it from HTTP_PROXY, HTTPS_PROXY,"
        " ALL_PROXY and NO_PROXY; null uses none, whatever these say",
    )
    proxy_auth: SecretStr | None = Field(
        default=None, description="user:password for the proxy that `proxy` names by its URL"
    )
    ca_file: Path | None = Field(default=None, description="certificates to trust besides the usual ones")

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        if not _HTTP.fullmatch(url) or not _has_usable_host(url):
            got = f"got {url!r}, " if "@" not in url else ""  # a password may stand before it
            raise ValueError(f"{got}expected a URL such as http://127.0.0.1:8000/v1")
        if "@" in url.split("/")[2]:
            raise ValueError("the URL holds a user name or password; give the key as api_key_env or api_key")
        return url.rstrip("/")

    @field_validator("proxy")
    @classmethod
    def _is_proxy(cls, proxy: str | None) -> str | None:
        if proxy is None or proxy == ENVIRONMENT:
            return proxy
        # None of these messages repeats the value: it may hold a password.
        if "@" in proxy:
            raise ValueError("the URL holds a user name or password; give them as proxy_auth, a secret")
        if not _PROXY.fullmatch(proxy) or not _has_usable_host(proxy):
            raise ValueError(f"expected a URL such as http://proxy.example:3128, or {ENVIRONMENT}")
        return proxy.rstrip("/")

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.api_key is not None and self.api_key_env is not None:
            raise ValueError("api_key and api_key_env are both given; keep one")
        if self.proxy_auth is not None and self.proxy in (None, ENVIRONMENT):
            raise ValueError("proxy_auth is given, but proxy names no URL of a proxy")
        return self


class VllmServerOptions(EndpointOptions):
    """A vLLM server, whose own paths do not begin with ``/v1``."""

    base_url: str = Field(default="http://127.0.0.1:8000", description="where the server is, without /v1")
    model: str | None = Field(default=None, description="None takes the one model that the server has")

    @field_validator("base_url")
    @classmethod
    def _is_root(cls, url: str) -> str:
        return url.removesuffix("/v1")


def _has_usable_host(url: str) -> bool:
    """Whether host and port can be told, and looked up: ``http://a..b`` and ``http://a:b`` cannot."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")  # refuses parts of a name that are empty or too long
        return bool(host) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
