"""The one way in which clients are made: verified, without redirects, through a named proxy or none."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from docrag.errors import ConfigError
from docrag.http.options import ENVIRONMENT, EndpointOptions

CONNECT_TIMEOUT_S = 10.0
"""For a connection alone, so that a host that does not respond is tried again within the time of a call."""

_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For plain HTTP, which needs no certificates: loading them takes a tenth of a second."""


def make_client(options: EndpointOptions, *, headers: Mapping[str, str]) -> httpx.AsyncClient:
    """Return a client for one server; nothing is sent yet.

    Only connecting has a time limit: who sends a request knows how long it may take. Raises
    `docrag.errors.ConfigError` when the proxy or the file of certificates cannot be used.
    """
    is_secure = options.base_url.startswith("https:")
    from_environment = options.proxy == ENVIRONMENT
    try:
        return httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S),
            follow_redirects=False,
            trust_env=from_environment,  # proxies alone: `verify` says which certificates
            proxy=None if from_environment else _proxy(options),
            verify=trusted(options.ca_file) if is_secure else _NOBODY,
        )
    except ImportError:
        raise ConfigError(
            f"{options.base_url}: a SOCKS proxy needs one package more; install it with:"
            ' pip install "httpx[socks]"'
        ) from None
    except (ValueError, httpx.InvalidURL):  # what is said may hold a password
        source = "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY or NO_PROXY" if from_environment else "proxy"
        raise ConfigError(
            f"{options.base_url}: {source} cannot be used; expected a URL such as http://proxy.example:3128"
        ) from None


def trusted(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that trusts the usual authorities, and those in a file."""
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"ca_file {ca_file}: cannot be read as certificates: {error}") from error
    return context


def _proxy(options: EndpointOptions) -> httpx.Proxy | None:
    if options.proxy is None:
        return None
    user, _, password = (options.proxy_auth.get_secret_value() if options.proxy_auth else "").partition(":")
    return httpx.Proxy(
        options.proxy,
        auth=(user, password) if user or password else None,
        ssl_context=trusted(options.ca_file) if options.proxy.startswith("https:") else None,
    )


def way_to(options: EndpointOptions) -> str:
    """Say through which proxy a server is asked, without its credentials; empty for none."""
    if options.proxy is None:
        return ""
    if options.proxy != ENVIRONMENT:
        return f"through the proxy {options.proxy}"
    return "through the proxy of the environment, if it names one for this host"


def unused_proxy(options: EndpointOptions) -> str:
    """Name a proxy variable that might have been meant for a server on another machine; empty for none."""
    if options.proxy is not None or urlsplit(options.base_url).hostname in ("127.0.0.1", "::1", "localhost"):
        return ""
    scheme = options.base_url.partition(":")[0]
    names = (f"{scheme}_proxy", "all_proxy")
    return next((name for low in names for name in (low, low.upper()) if os.environ.get(name)), "")
