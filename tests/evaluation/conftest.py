import json
from collections.abc import Callable
from pathlib import Path

import pytest

WriteDataset = Callable[..., Path]


def question(question_id: str, doc: str = "a.pdf", **changes: object) -> dict[str, object]:
    record: dict[str, object] = {
        "id": question_id,
        "doc": doc,
        "question": f"What about {question_id}?",
        "answer": "blue whale",
        "answer_format": "Str",
        "evidence_pages": [2],
        "evidence_sources": ["Table"],
        "doc_type": "Report",
    }
    return {**record, **changes}


@pytest.fixture
def write_dataset(tmp_path: Path) -> WriteDataset:
    """Write a data set of these question records (or raw lines) and return its folder."""

    def write(*records: object, docs: tuple[str, ...] = ("a.pdf", "sub/b.pdf")) -> Path:
        folder = tmp_path / "set"
        folder.mkdir(exist_ok=True)
        for doc in docs:
            path = folder / "documents" / doc
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"%PDF-1.7\n")
        lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
        (folder / "questions.jsonl").write_text("\n".join(lines), encoding="utf-8")
        return folder

    return write


@pytest.fixture
def make_question() -> Callable[..., dict[str, object]]:
    """A question record, any field changed by name."""
    return question
