"""Presets over a real index, with a page encoder behind a loopback server and a scripted model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from docrag import DocRAG, resources
from docrag.pipeline.settings import Settings

INGEST = {"layout": "fast", "ocr": "never", "n_workers": 1}
SINGLE_VECTOR = ("dse", "unidoc-joint")
"""Presets whose encoder gives one vector for a page."""


def tree_of(preset: str) -> dict[str, Any]:
    """The preset's values, as they stand in its file."""
    return yaml.safe_load((resources.folder("configs") / f"{preset}.yaml").read_text("utf-8"))


def settings_of(preset: str, *, encoder_url: str, rules: list[dict[str, str]]) -> Settings:
    """The preset with another encoder and another model; of what makes the system, nothing is changed."""
    tree = tree_of(preset)
    tree["ingest"] = {**tree.get("ingest", {}), **INGEST}
    if "visual" in tree:
        tree["visual"] |= {"encoder": {"kind": "vllm", "base_url": encoder_url}, "longest_px": 64}
        if "backend" in tree["visual"]:
            tree["visual"] |= {"backend": "numpy", "device": "cpu"}
    if "models" in tree:
        tree["models"] = {"default": {"kind": "scripted", "rules": rules}}
    return Settings.model_validate(tree)


def open_preset(preset: str, folder: Path, *, encoder_url: str, rules: list[dict[str, str]]) -> DocRAG:
    """Open an indexed folder by a preset and add the visual vectors it asks for."""
    rag = DocRAG.open(folder, settings=settings_of(preset, encoder_url=encoder_url, rules=rules))
    if rag.settings.visual is not None:
        rag.index_visual()
    return rag
