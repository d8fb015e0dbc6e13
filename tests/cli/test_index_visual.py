"""`docrag index` with a page encoder: failures, another try, compaction."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.cli_support import FAST
from tests.cli.conftest import CommandLine
from tests.visual.test_vllm import Double


@pytest.fixture
def double() -> Iterator[Double]:
    double = Double()
    yield double
    double.stop()


@pytest.mark.loopback
def test_pages_that_failed_are_tried_again_when_asked_and_removed_ones_compacted_away(
    docrag: CommandLine, reports: Path, double: Double
):
    encoder = f'{{"kind": "vllm", "base_url": "{double.url}", "max_retries": 0, "batch_size": 1}}'
    visual = [*FAST, "--set", f"visual.encoder={encoder}", "--set", "visual.longest_px=64"]
    refused: list[object] = []

    def refuses_one(body: dict[str, object]) -> tuple[int, object]:
        if "messages" not in body:
            return double.embed(body)
        refused.extend([] if refused else [body])  # the first page, whenever it is sent
        return (400, {"message": "too long"}) if body in refused else double.embed(body)

    double.answer = refuses_one
    first = docrag("index", reports, "--json", *visual)
    assert first.code == 2
    assert (first.json["visual"]["pages_with_vectors"], len(first.json["visual"]["failed"])) == (3, 1)
    assert first.err.splitlines()[-1] == "docrag index --retry-failed tries these again"
    double.answer = double.embed
    assert docrag("index", reports, "--json", *visual).json["visual"]["pages_with_vectors"] == 3
    again = docrag("index", reports, "--json", "--retry-failed", *visual)
    assert (again.code, again.json["visual"]["pages_with_vectors"]) == (0, 4)

    segments = reports / ".docrag" / "segments"
    assert len([path for path in segments.iterdir() if path.is_dir()]) == 2
    shutil.rmtree(reports / "sub")
    compacted = docrag("index", reports, "--json", "--compact", *visual)
    assert (compacted.code, compacted.json["visual"]["pages_with_vectors"]) == (0, 3)
    assert len([path for path in segments.iterdir() if path.is_dir()]) == 1


@pytest.mark.parametrize("option", ["--retry-failed", "--compact"])
def test_options_of_the_visual_pass_need_a_page_encoder(docrag: CommandLine, reports: Path, option: str):
    result = docrag("index", reports, option, *FAST)
    assert result.code == 1
    assert f"{option} is about visual vectors, and no page encoder is configured" in result.err
