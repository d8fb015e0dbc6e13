"""Page encoders whose libraries are not installed."""

from __future__ import annotations

import sys

import pytest

from docrag.embed.visual.build import build_page_embedder
from docrag.embed.visual.options import LocalVisualOptions
from docrag.errors import MissingExtra


@pytest.mark.parametrize("module", ["torch", "transformers"])
def test_a_missing_library_comes_before_a_missing_checkpoint(module: str, monkeypatch: pytest.MonkeyPatch):
    for name in ("torch", "transformers"):
        monkeypatch.setitem(sys.modules, name, sys.modules["math"] if name != module else None)
    with pytest.raises(MissingExtra, match=rf'"{module}".*pip install "docrag\[visual\]"'):
        build_page_embedder(LocalVisualOptions(model="somebody/never-cached-page-encoder"))
