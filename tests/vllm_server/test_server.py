"""What a real server answers, without docrag in between: what the other tests here rest on."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import httpx
import pytest
from PIL import Image
from tests.vllm_server.server import VllmServer

pytestmark = pytest.mark.loopback


def complete(server: VllmServer, **more: Any) -> dict[str, Any]:
    body = {"model": server.model, "max_tokens": 8, "temperature": 0, **more}
    response = httpx.post(f"{server.base_url}/chat/completions", json=body, timeout=120)
    assert response.status_code == 200, response.text
    return response.json()


def picture_message(colour: str) -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.new("RGB", (120, 90), colour).save(buffer, "PNG")
    url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return {
        "role": "user",
        "content": [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": url}}],
    }


def test_the_server_names_its_model(vllm_chat_server: VllmServer):
    body = httpx.get(f"{vllm_chat_server.base_url}/models", timeout=60).json()
    assert [entry["id"] for entry in body["data"]] == [vllm_chat_server.model]


def test_an_image_costs_tokens_and_changes_the_answer(vllm_chat_server: VllmServer):
    text = complete(vllm_chat_server, messages=[{"role": "user", "content": "What?"}])
    red, blue = (complete(vllm_chat_server, messages=[picture_message(c)]) for c in ("red", "blue"))
    assert red["usage"]["prompt_tokens"] > text["usage"]["prompt_tokens"] + 4
    assert red["usage"]["completion_tokens"] == 8
    assert red["choices"][0]["message"]["content"] != blue["choices"][0]["message"]["content"]


def test_a_schema_is_kept_although_the_model_says_noise(vllm_chat_server: VllmServer):
    schema = {
        "type": "object",
        "properties": {
            "answer": {"enum": ["yes", "no"]},
            "page": {"type": "integer", "minimum": 1, "maximum": 9},
        },
        "required": ["answer", "page"],
        "additionalProperties": False,
    }
    body = complete(
        vllm_chat_server,
        max_tokens=512,
        messages=[picture_message("red")],
        response_format={"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}},
    )
    answer = json.loads(body["choices"][0]["message"]["content"])
    assert set(answer) == {"answer", "page"}
    assert answer["answer"] in ("yes", "no")
    assert answer["page"] in range(1, 10)


def test_a_stream_says_what_the_whole_answer_says(vllm_chat_server: VllmServer):
    messages = [picture_message("red")]
    whole = complete(vllm_chat_server, messages=messages)
    with httpx.stream(
        "POST",
        f"{vllm_chat_server.base_url}/chat/completions",
        json={
            "model": vllm_chat_server.model, "max_tokens": 8, "temperature": 0, "messages": messages,
            "stream": True, "stream_options": {"include_usage": True},
        },
        timeout=120,
    ) as response:  # fmt: skip
        lines = [line for line in response.iter_lines() if line]
    assert lines.pop() == "data: [DONE]"
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    deltas = [choice["delta"].get("content") or "" for event in events for choice in event["choices"]]
    assert "".join(deltas) == whole["choices"][0]["message"]["content"]
    assert events[-1]["usage"] == {
        key: whole["usage"][key] for key in ("prompt_tokens", "total_tokens", "completion_tokens")
    }
