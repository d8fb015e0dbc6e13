"""Keep the trace of an answer beside its index, so that `docrag replay` can ask the question again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic_core import PydanticSerializationError

from docrag.errors import StorageError
from docrag.pipeline import DocRAG
from docrag.results.shown import ShownAnswer
from docrag.runs.record import TraceRecord, plain_answer
from docrag.runs.state import index_state, versions
from docrag.runs.traces import FOLDER, TraceStore
from docrag.types import Answer, Scope


def with_trace_kept(rag: DocRAG, answer: ShownAnswer, *, scope: Scope) -> ShownAnswer:
    """Keep the trace of `answer` and return it; that it could not be written becomes one of its warnings.

    Secrets in the settings are masked, and asked for by a replay.
    """
    try:
        keep_trace(rag, answer, scope=scope, config=rag.settings.model_dump(mode="json"))
    except (StorageError, PydanticSerializationError) as error:  # options of a custom part may be anything
        return answer.with_more(warnings=(f"no trace is kept: {error}",))
    return answer


def keep_trace(rag: DocRAG, answer: Answer, *, scope: Scope, config: Mapping[str, Any]) -> None:
    """Keep the trace of `answer`; `config` are the settings it was made with, secrets masked.

    Raises `docrag.errors.StorageError` when it cannot be written.
    """
    values, steps, _times = plain_answer(answer)
    docs = {evidence.hit.doc for evidence in answer.evidence}
    record = TraceRecord(
        trace_id=answer.trace.trace_id,
        question=answer.question,
        scope=scope,
        settings=config,
        index=index_state(rag.corpus, docs=docs),
        versions=versions(),
        steps=tuple(steps),
        answer=values,
        asked_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    TraceStore(rag.index_dir / FOLDER).save(record)
