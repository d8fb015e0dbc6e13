"""A loopback server that embeds pages and questions by colour, as a vLLM server's ``/pooling`` would."""

from __future__ import annotations

import base64
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image
from tests.visual.colours import ColourEmbedder


class PageServer:
    """Multi-vectors of 8 by 8 patches; with `single`, one vector for each page, as DSE's encoders give."""

    def __init__(self, *, single: bool = False) -> None:
        self._single = single
        self._colours = ColourEmbedder()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send({"data": [{"id": "colours", "root": "colours"}]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                vectors = server.embed(body)
                self._send({"data": [{"index": 0, "object": "pooling", "data": vectors.tolist()}]})

            def _send(self, values: Any) -> None:
                data = json.dumps(values).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def embed(self, body: dict[str, Any]) -> np.ndarray:
        """Vectors of one request."""
        if "input" in body:
            vectors = self._colours.embed_queries([body["input"]])[0].vectors
        else:
            url = body["messages"][0]["content"][0]["image_url"]["url"]
            image = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB")
            vectors = self._colours.embed_images([np.asarray(image)])[0].vectors
        if self._single:
            mean = vectors.mean(axis=0, keepdims=True)
            return mean / np.linalg.norm(mean)
        return vectors

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
