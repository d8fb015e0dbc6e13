"""What is refused before anything is loaded; needs no extra."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from docrag.embed.visual.checkpoint import FAMILIES, find_checkpoint
from docrag.errors import ConfigError, ModelError


def safetensors(header: object, data: bytes) -> bytes:
    """A file as https://huggingface.co/docs/safetensors describes it: length of the header, header, data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


WEIGHT = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
WEIGHTS = safetensors({"__metadata__": {"format": "pt"}, "weight": WEIGHT}, b"x" * 8)


def checkpoint(folder: Path, config: dict[str, object] | None, *files: str) -> Path:
    folder.mkdir()
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    for name in files:
        (folder / name).write_bytes(WEIGHTS if name.endswith(".safetensors") else b"x" * 100)
    return folder


def find(path: Path | str, **more: object):
    return find_checkpoint(str(path), revision=None, download=False, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("architecture", sorted(FAMILIES))
def test_the_family_comes_from_the_configuration_not_from_the_name(tmp_path: Path, architecture: str):
    folder = checkpoint(tmp_path / "colpali-or-not", {"architectures": [architecture]}, "model.safetensors")
    found = find(folder)
    assert found.family == FAMILIES[architecture]
    assert found.name == "colpali-or-not"


def test_a_language_model_is_no_page_encoder_unless_told_so(tmp_path: Path):
    config = {"architectures": ["Qwen3VLForConditionalGeneration"], "model_type": "qwen3_vl"}
    folder = checkpoint(tmp_path / "colqwen2-v1.0", config, "model.safetensors")
    with pytest.raises(ModelError, match=r"Qwen3VLForConditionalGeneration.*is no page encoder.*last-token"):
        find(folder)
    assert find(folder, last_token=True).family.library == "last-token"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pth"])
def test_pickled_weights_are_refused(tmp_path: Path, name: str):
    folder = checkpoint(tmp_path / "c", {"architectures": ["ColPali"]}, name)
    with pytest.raises(ModelError, match=rf"weights are pickled \({name}\).*safetensors"):
        find(folder)


def test_a_pickled_adapter_is_refused_though_its_base_is_safe(tmp_path: Path):
    folder = checkpoint(tmp_path / "c", None, "adapter_model.bin")
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "base"}))
    checkpoint(folder / "base", {"architectures": ["ColQwen2"]}, "model.safetensors")
    (folder / "base" / "model.safetensors").rename(tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="pickled"):
        find(folder)


def test_an_adapter_takes_the_family_of_its_base(tmp_path: Path):
    folder = checkpoint(tmp_path / "c", None, "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "base"}))
    checkpoint(folder / "base", {"architectures": ["ColQwen2"]}, "model.safetensors")
    found = find(folder)
    assert found.family.model_class == "ColQwen2"
    assert found.base == (folder / "base").resolve()
    assert found.revision.count("+") == 1


@pytest.mark.parametrize(
    ("files", "message"),
    [((), "no \\*.safetensors"), (("model.safetensors",), "no config.json")],
)
def test_an_incomplete_folder_is_named(tmp_path: Path, files: tuple[str, ...], message: str):
    with pytest.raises(ModelError, match=message):
        find(checkpoint(tmp_path / "c", None, *files))


def test_a_damaged_configuration_is_named(tmp_path: Path):
    folder = checkpoint(tmp_path / "c", {}, "model.safetensors")
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match="not valid JSON"):
        find(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (WEIGHTS[:-3], rf"incomplete or damaged: {len(WEIGHTS) - 3} bytes, expected {len(WEIGHTS)}; fetch"),
        (WEIGHTS + b"x", rf"{len(WEIGHTS) + 1} bytes, expected {len(WEIGHTS)}"),
        (WEIGHTS[:20], "20 bytes that are no safetensors file"),
        (b"", "0 bytes that are no safetensors file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "are no safetensors file"),
        (safetensors({"weight": {"dtype": "F32"}}, b""), "are no safetensors file"),
        (safetensors([], b""), "are no safetensors file"),
        (safetensors(b"{", b""), "are no safetensors file"),
    ],
)
def test_weights_that_are_not_whole_are_named_before_they_are_loaded(
    tmp_path: Path, content: bytes, message: str
):
    folder = checkpoint(tmp_path / "c", {"architectures": ["ColPali"]}, "model.safetensors")
    assert find(folder).family.model_class == "ColPali"
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=rf"model\.safetensors: .*{message}"):
        find(folder)


def test_a_missing_folder_is_a_configuration_error(tmp_path: Path):
    with pytest.raises(ConfigError, match="there is no such folder"):
        find(tmp_path / "nothing")


def test_nothing_is_fetched_unless_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"not in the local cache.*download=true"):
        find("somebody/never-cached-page-encoder")
