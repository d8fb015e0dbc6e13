"""Proxies, keys and certificates: where requests go, what they carry, and what never gets into a message."""

from __future__ import annotations

import base64
import json
import logging
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.http.clients import CLIENTS, answer, failing
from tests.models.fault_server import Exchange, FaultServer, fault_server

from docrag.errors import ConfigError, ModelError, ModelUnavailable
from docrag.http.client import make_client, unused_proxy
from docrag.http.options import EndpointOptions
from docrag.http.secrets import headers_of

pytestmark = pytest.mark.loopback

SECRET = "canary-pass-7431"
AWAY = "http://model.invalid/v1"
"""No name look-up is allowed here: only a proxy can be asked for it."""

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as server:
        server.reset(answer)
        yield server


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from an environment that names none."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def proxy_of(server: FaultServer, *, auth: str = "") -> str:
    host = server.url.removesuffix("/v1").removeprefix("http://")
    return f"http://{auth}@{host}" if auth else f"http://{host}"


@pytest.mark.parametrize("name", CLIENTS)
class TestProxies:
    def test_those_of_the_environment_are_left_alone(
        self, server: FaultServer, name: str, monkeypatch: pytest.MonkeyPatch
    ):
        for variable in VARIABLES[:3]:
            monkeypatch.setenv(variable, "http://127.0.0.1:9")
            monkeypatch.setenv(variable.lower(), "http://127.0.0.1:9")
        CLIENTS[name].use(CLIENTS[name].make(server.url))
        assert server.headers

    def test_those_of_the_environment_are_taken_where_that_is_said(
        self, server: FaultServer, name: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("http_proxy", proxy_of(server, auth=f"me:{SECRET}"))
        CLIENTS[name].use(CLIENTS[name].make(AWAY, proxy="environment"))
        assert {headers["host"] for headers in server.headers} == {"model.invalid"}
        assert {headers["proxy-authorization"] for headers in server.headers} == {basic(f"me:{SECRET}")}

    def test_no_proxy_names_hosts_that_are_asked_directly(
        self, server: FaultServer, name: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv("no_proxy", "10.0.0.1,127.0.0.1")
        CLIENTS[name].use(CLIENTS[name].make(server.url, proxy="environment"))
        assert server.headers

    def test_one_that_is_named_is_used_with_its_password(self, server: FaultServer, name: str):
        options = CLIENTS[name].make(AWAY, proxy=proxy_of(server), proxy_auth=f"me:{SECRET}:with:colons")
        CLIENTS[name].use(options)
        assert {headers["host"] for headers in server.headers} == {"model.invalid"}
        found = {headers["proxy-authorization"] for headers in server.headers}
        assert found == {basic(f"me:{SECRET}:with:colons")}

    @pytest.mark.parametrize("from_environment", [False, True])
    def test_one_that_lets_nobody_in_is_an_error_without_the_password(
        self,
        server: FaultServer,
        name: str,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        from_environment: bool,
    ):
        server.reset(lambda exchange: exchange.send(407, f"who is me:{SECRET}?".encode()))
        monkeypatch.setenv("http_proxy", proxy_of(server, auth=f"me:{SECRET}"))
        way = (
            {"proxy": "environment"}
            if from_environment
            else {"proxy": proxy_of(server), "proxy_auth": f"me:{SECRET}"}
        )
        options = CLIENTS[name].make(AWAY, **way)
        with caplog.at_level(logging.DEBUG), pytest.raises(ModelError, match="HTTP 407") as caught:
            CLIENTS[name].use(options)
        assert not isinstance(caught.value, ModelUnavailable)
        assert "check proxy and proxy_auth" in str(caught.value)
        assert len(server.bodies) == 1
        shown = [str(caught.value), repr(caught.value.__cause__), repr(options), str(options), caplog.text]
        assert not [text for text in shown if SECRET in text]

    def test_one_that_opens_no_tunnel_is_an_error_without_the_password(self, server: FaultServer, name: str):
        way = {"proxy": proxy_of(server), "proxy_auth": f"me:{SECRET}"}
        options = CLIENTS[name].make(AWAY.replace("http:", "https:"), **way, **CLIENTS[name].once)
        for status, is_lasting in ((407, True), (502, False)):
            server.reset(lambda exchange, status=status: exchange.send(status, f"me:{SECRET}".encode()))
            with pytest.raises(ModelError, match=rf"ProxyError: {status} .*proxy_auth") as caught:
                CLIENTS[name].use(options)
            assert isinstance(caught.value, ModelUnavailable) != is_lasting
            assert "through the proxy http://127.0.0.1" in str(caught.value)
            assert SECRET not in str(caught.value)

    def test_one_that_is_not_there_is_named(self, name: str):
        options = CLIENTS[name].make(AWAY, proxy="http://127.0.0.1:9", **CLIENTS[name].once)
        with pytest.raises(ModelUnavailable, match=r"through the proxy http://127\.0\.0\.1:9"):
            CLIENTS[name].use(options)

    @pytest.mark.parametrize(
        "value", [f"ftp://me:{SECRET}@h", f"http://me:{SECRET}@h:no", f"socks5://{SECRET}"]
    )
    def test_a_variable_that_cannot_be_used_is_an_error_without_what_it_holds(
        self, name: str, monkeypatch: pytest.MonkeyPatch, value: str
    ):
        monkeypatch.setenv("all_proxy", value)
        with pytest.raises(ConfigError, match=r"expected a URL such as|SOCKS") as caught:
            CLIENTS[name].use(CLIENTS[name].make(AWAY, proxy="environment"))
        assert SECRET not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


def test_a_proxy_variable_that_was_perhaps_meant_is_pointed_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    away, here = "https://127.0.0.2:9/v1", "https://127.0.0.1:9/v1"

    def pointed(url: str, **more: str) -> str:
        return unused_proxy(EndpointOptions(base_url=url, **more))  # type: ignore[arg-type]

    assert pointed(away) == "HTTPS_PROXY"
    assert pointed(here) == ""
    assert pointed(away.replace("https:", "http:")) == ""
    assert pointed(away, proxy="environment") == ""
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:9")
    assert pointed(away.replace("https:", "http:")) == "all_proxy"


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", CLIENTS)
class TestKeys:
    def test_one_goes_only_where_it_is_named(
        self, server: FaultServer, name: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("OPENAI_API_KEY", SECRET)
        monkeypatch.setenv("MY_KEY", SECRET)
        CLIENTS[name].use(CLIENTS[name].make(server.url))
        assert SECRET not in json.dumps(server.headers)
        server.reset(answer)
        CLIENTS[name].use(CLIENTS[name].make(server.url, api_key_env="MY_KEY", headers={"x-team": "papers"}))
        assert {headers["authorization"] for headers in server.headers} == {f"Bearer {SECRET}"}
        assert {headers["x-team"] for headers in server.headers} == {"papers"}

    def test_a_variable_that_is_not_set_is_an_error(
        self, server: FaultServer, name: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.delenv("MY_KEY", raising=False)
        with pytest.raises(ConfigError, match=r"127\.0\.0\.1.*MY_KEY, which is not set; export MY_KEY=…"):
            CLIENTS[name].use(CLIENTS[name].make(server.url, api_key_env="MY_KEY"))
        assert server.headers == []

    def test_none_stands_in_a_message(self, server: FaultServer, name: str, caplog: pytest.LogCaptureFixture):
        def repeat(exchange: Exchange) -> None:
            exchange.send(401, {"error": f"not allowed: {SECRET} and {SECRET}-2"})

        server.reset(failing(repeat, name=name))
        options = CLIENTS[name].make(server.url, api_key=SECRET, headers={"x-gateway": f"{SECRET}-2"})
        with (
            caplog.at_level(logging.DEBUG),
            pytest.raises(ModelError, match="not allowed: … and …") as caught,
        ):
            CLIENTS[name].use(options)
        shown = [str(caught.value), repr(options), caplog.text]
        assert not [text for text in shown if SECRET in text]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"api_key": f"{SECRET}\n"}, "a line break"),
        ({"api_key": f"{SECRET} x"}, "a blank"),
        ({"api_key": f"{SECRET}é"}, "outside ASCII"),
        ({"headers": {"x-team": f"{SECRET}\r\nhost: other"}}, "the header x-team holds a line break"),
    ],
)
def test_what_cannot_be_sent_is_refused_without_showing_it(options: dict[str, object], said: str):
    with pytest.raises(ConfigError, match=said) as caught:
        headers_of(EndpointOptions(**options))  # type: ignore[arg-type]
    assert SECRET not in str(caught.value)


# ── certificates ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody trusts, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("makes a certificate with openssl")
    folder = tmp_path_factory.mktemp("tls")
    file, key = folder / "own.pem", folder / "own.key"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=here",
            "-addext", "subjectAltName=IP:127.0.0.1",
            "-addext", "keyUsage=critical,digitalSignature,keyCertSign",
            "-keyout", key, "-out", file,
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return file, key


@pytest.fixture(scope="module")
def secure_url(certificate: tuple[Path, Path]) -> Iterator[str]:
    """A server whose certificate is its own; it lists one model, and embeds."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send({"data": [{"id": "tiny"}]})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            path = self.path.rpartition("/")[2]
            replies = {
                "embeddings": {"data": [{"index": 0, "embedding": [3.0, 4.0]}]},
                "pooling": {"data": [{"data": [[3.0, 4.0]]}]},
                "score": {"data": [{"index": 0, "score": 0.5}]},
                "completions": {
                    "choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"}}]
                },
            }
            self._send(replies[path])

        def _send(self, values: object) -> None:
            data = json.dumps(values).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing of clients that do not trust this."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    before = os.environ.get("DOCRAG_TEST_SOCKETS")
    os.environ["DOCRAG_TEST_SOCKETS"] = "loopback"  # fixtures of a module come before marks
    try:
        server = Server(("127.0.0.1", 0), Handler)
    finally:
        if before is None:
            del os.environ["DOCRAG_TEST_SOCKETS"]
        else:
            os.environ["DOCRAG_TEST_SOCKETS"] = before
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("name", CLIENTS)
def test_a_certificate_is_verified_and_may_be_named(
    secure_url: str, certificate: tuple[Path, Path], name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))  # not asked
    with pytest.raises(ModelError, match=r"127\.0\.0\.1.*CERTIFICATE_VERIFY_FAILED.*in ca_file") as caught:
        CLIENTS[name].use(CLIENTS[name].make(secure_url))
    assert not isinstance(caught.value, ModelUnavailable)  # no second try would help
    CLIENTS[name].use(CLIENTS[name].make(secure_url, ca_file=certificate[0]))


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_file_without_certificates_is_named(tmp_path: Path, name: str, text: str | None):
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=r"ca\.pem: cannot be read as certificates"):
        CLIENTS[name].use(CLIENTS[name].make("https://127.0.0.1/v1", ca_file=file))


def test_plain_http_needs_no_certificates():
    client = make_client(EndpointOptions(base_url="http://127.0.0.1:9/v1"), headers={})
    assert client.trust_env is False
    assert client.follow_redirects is False
