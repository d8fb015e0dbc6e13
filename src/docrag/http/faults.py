"""What went wrong between docrag and a server, in words that say what to do next."""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from docrag.errors import ModelError
from docrag.http.client import CONNECT_TIMEOUT_S, unused_proxy, way_to
from docrag.http.options import EndpointOptions

RETRIED_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})

KEPT_DETAIL_CHARS = 300
"""Characters of a server's own words that go into a message."""

_PROXY_SAYS_NO = re.compile(r"\b(403|407)\b|auth", re.IGNORECASE)


class RequestRefused(ModelError):
    """A server answered with the HTTP status `status`, which no second try would change."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


def is_lasting(error: httpx.RequestError) -> bool:
    """Whether another try would fail in the same way: a wrong certificate, a proxy that lets nobody in."""
    return _is_certificate(error) or (
        isinstance(error, httpx.ProxyError) and _PROXY_SAYS_NO.search(str(error)) is not None
    )


def connection_problem(error: httpx.RequestError, options: EndpointOptions) -> str:
    """Say why there is no connection, or why it broke, and what to look at."""
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    way = way_to(options)
    if _is_certificate(error):
        return f"{said}; name the certificate of the authority in ca_file"
    if isinstance(error, httpx.ProxyError):
        return f"{said} ({way}); check proxy and proxy_auth"
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        if isinstance(error, httpx.ConnectTimeout):
            said = f"{type(error).__name__}: no connection within {CONNECT_TIMEOUT_S:g} s"
        hint = f" {way}" if way else ""
        if unused := unused_proxy(options):
            hint += f"; {unused} is set, and used only with proxy: environment"
        return f"{said}{hint} (is the server running, and base_url right?)"
    return f"{said}; the connection broke: look into the server's log"


def _is_certificate(error: httpx.RequestError) -> bool:
    """Whether TLS failed over a certificate; what says so lies several layers below."""
    layers: list[BaseException] = []
    below: BaseException | None = error
    while below is not None and below not in layers:
        layers.append(below)
        below = below.__cause__ or below.__context__
    return any(isinstance(layer, ssl.SSLCertVerificationError) for layer in layers)


def refusal(status: int, detail: str, *, next_step: str = "") -> str:
    """Say what an HTTP status that is no success means, and what to do; `detail` is the server's own words.

    Those of a redirect are the place it leads to, as `redirect_of` gives it. `next_step` is better advice
    than the usual.
    """
    said = f"HTTP {status} {shortened(detail)}".rstrip()
    if 300 <= status < 400:
        to = f" to {shortened(detail)}" if detail else ""
        return f"HTTP {status}, a redirect{to}, which is not followed; correct base_url"
    if next_step:
        return f"{said}; {next_step}"
    if status in (401, 403):
        return f"refuses the key ({said}); check api_key_env and the variable that it names"
    if status == 404:
        return f"not found ({said}); check model and base_url, which usually ends in /v1"
    if status == 407:
        return f"the proxy lets nobody in ({said}); check proxy and proxy_auth"
    if status == 413:
        return f"finds the request too large ({said}); lower batch_size, or raise the server's limit"
    if status == 429:
        return f"asks for fewer requests ({said}); wait, or send fewer at once"
    if status in RETRIED_STATUS:
        return f"fails ({said}); look into the server's log"
    return f"refuses the request ({said}); check model, and what the server's log says of it"


def redirect_of(headers: Mapping[str, str]) -> str:
    """Where a redirect leads, without query and credentials; empty when it does not say."""
    try:
        parts = urlsplit(headers.get("location", ""))
    except ValueError:
        return ""
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" if parts.scheme and host else parts.path


def shortened(detail: str) -> str:
    """First words of what a server said, on one line."""
    return " ".join(detail[: 4 * KEPT_DETAIL_CHARS].split())[:KEPT_DETAIL_CHARS]


def without_keys(text: str) -> str:
    """`text` with everything masked that looks like a key; some libraries put it into their messages."""
    return re.sub(r"\b(sk-|pk-|AIza|Bearer )[\w*.-]{8,}", r"\1…", text)


def retry_after_s(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for, in seconds or as a date; None without a usable one."""
    said = headers.get("retry-after", "").strip()
    if not said:
        return None
    try:
        seconds = float(said)
    except ValueError:
        try:
            when = parsedate_to_datetime(said)
        except ValueError:
            return None
        seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    return max(0.0, seconds) if math.isfinite(seconds) else None
