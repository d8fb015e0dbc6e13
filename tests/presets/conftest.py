"""One collection for all presets, indexed once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.presets.collection import write_collection
from tests.presets.opened import INGEST, SINGLE_VECTOR, open_preset
from tests.presets.page_server import PageServer
from tests.presets.scripts import rules

from docrag import DocRAG
from docrag.pipeline.settings import Settings

Opened = Callable[..., DocRAG]


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both PDFs, indexed with the text encoder that presets use by default."""
    folder = write_collection(tmp_path_factory.mktemp("presets") / "ferries")
    with DocRAG.open(folder, settings=Settings.model_validate({"ingest": INGEST})) as rag:
        rag.index()
    return folder


@pytest.fixture
def opened(collection: Path, tmp_path: Path) -> Iterator[Opened]:
    """Open a preset over a copy of the collection, where the model finds the answer under `evidence_id`."""
    made: list[DocRAG] = []
    servers: list[PageServer] = []

    def by_preset(preset: str, *, evidence_id: str = "E1") -> DocRAG:
        folder = shutil.copytree(collection, tmp_path / "ferries", dirs_exist_ok=True)
        servers.append(PageServer(single=preset in SINGLE_VECTOR))
        rag = open_preset(preset, folder, encoder_url=servers[-1].url, rules=rules(evidence_id))
        made.append(rag)
        return rag

    yield by_preset
    for rag in made:
        rag.close()
    for server in servers:
        server.close()
