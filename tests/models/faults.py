"""Twenty-five ways for an endpoint to fail, as behaviours of the server double.

The 500, 502 and 503 are one of the twenty-five, the refused connection is a server that is not there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from tests.models.fault_server import Behaviour, Exchange, chunk, say, whole


def status(code: int, message: str, **headers: str) -> Behaviour:
    return lambda exchange: exchange.send(code, {"error": {"message": message}}, **headers)


def slow_header(exchange: Exchange) -> None:
    exchange.drip(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200)


def slow_body(exchange: Exchange) -> None:
    exchange.open_stream()
    exchange.event(chunk({"content": "{"}))
    exchange.drip(b": wait\n\n")


def empty_choices(exchange: Exchange) -> None:
    exchange.send(200, {"model": "served", "choices": []})


def html_page(exchange: Exchange) -> None:
    page = b"<!doctype html><html><title>Sign in</title><body>hotel network</body></html>"
    exchange.send(200, page, content_type="text/html")


def tool_calls_without_end(exchange: Exchange) -> None:
    exchange.open_stream()
    for i in range(500):
        function = {"name": "search", "arguments": "{}"}
        call = {"index": i, "id": f"c{i}", "type": "function", "function": function}
        exchange.event(chunk({"content": None, "tool_calls": [call]}))
    exchange.event(chunk({}, finish_reason="tool_calls"))
    exchange.event(b"[DONE]")


def refusal(exchange: Exchange) -> None:
    exchange.open_stream()
    exchange.event(chunk({"refusal": "I cannot help with that."}))
    exchange.event(chunk({}, finish_reason="content_filter"))
    exchange.event(b"[DONE]")


def faults(
    good: str, *, unknown_tool: str, wrong_types: str, megabyte: str, everything: str
) -> Mapping[str, Behaviour]:
    """Return every fault by name; the arguments are replies as the caller's format has them.

    `good` follows the format and holds an é; it is what the milder faults damage.
    """
    data = json.dumps(chunk({"content": good.replace("é", "@")}, finish_reason="stop")).encode()

    def image_refused(exchange: Exchange) -> None:
        if "image_url" in json.dumps(exchange.body):
            exchange.send(400, {"error": {"message": "tiny is not a multimodal model"}})
        else:
            exchange.stream(good)

    def cut_mid_token(exchange: Exchange) -> None:
        exchange.open_stream()
        exchange.event(chunk({"content": good[: len(good) // 2]}))
        exchange.raw(b'data: {"choices": [{"delta": {"con')
        exchange.drop()

    def no_done(exchange: Exchange) -> None:
        exchange.open_stream()
        exchange.event(chunk({"content": good}))

    def duplicate_chunks(exchange: Exchange) -> None:
        exchange.open_stream()
        for start in range(0, len(good), 7):
            for _ in range(2):
                exchange.event(chunk({"content": good[start : start + 7]}))
        for _ in range(2):
            exchange.event(chunk({}, finish_reason="stop"))
        for _ in range(2):
            exchange.event(b"[DONE]")

    def invalid_utf8(exchange: Exchange) -> None:
        exchange.open_stream()
        exchange.event(data.replace(b"@", b"\xe9"))  # é in Latin-1
        exchange.event(b"[DONE]")

    return {
        "slow header": slow_header,
        "slow body": slow_body,
        "429 with Retry-After": status(429, "slow down", retry_after="30"),
        "500": status(500, "oops"),
        "502": status(502, "bad gateway"),
        "503": status(503, "overloaded"),
        "context overflow": status(400, "This model's maximum context length is 4096 tokens"),
        "401": status(401, "bad key"),
        "unknown model": status(404, "The model `tiny` does not exist."),
        "image refused": image_refused,
        "empty choices": empty_choices,
        "null content": lambda exchange: exchange.send(200, whole(None)),
        "broken JSON": say(good[: len(good) * 2 // 3]),
        "unknown tool": say(unknown_tool),
        "wrong types": say(wrong_types),
        "1 MB argument": lambda exchange: exchange.stream(megabyte, n_chars=10**4),
        "stream cut mid-token": cut_mid_token,
        "no [DONE]": no_done,
        "duplicate chunks": duplicate_chunks,
        "invalid UTF-8": invalid_utf8,
        "HTML page": html_page,
        "endless tool calls": tool_calls_without_end,
        "refusal": refusal,
        "wrong language": say("我无法回答这个问题。"),
        "empty answer": say(""),
        "citation of everything": say(everything),
    }
