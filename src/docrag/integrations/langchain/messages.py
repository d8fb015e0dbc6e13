"""Answers as LangChain messages: one text block, with a standard citation annotation for every place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.content import Citation as CitationBlock
from langchain_core.messages.content import create_citation, create_text_block

from docrag.report.shapes import citation_values, hit_values
from docrag.results import ShownAnswer
from docrag.types import Answer, Citation


def answer_message(answer: Answer) -> AIMessage:
    """The answer's text with its citations.

    An annotation's ``start_index`` and ``end_index`` are offsets in the answer: of the sentence that the
    citation supports, or of the whole text where the answerer writes no sentences. ``title`` is the document,
    ``url`` the page of its file, ``cited_text`` the quote; ``extras`` hold ``doc_id``, ``page`` (1-based),
    ``page_label``, ``boxes`` (points, origin top left), ``page_size``, ``region_id`` (of a region),
    ``score``, ``support``, ``n`` and ``evidence_id``. What else is known about the answer is in
    ``response_metadata["docrag"]``.
    """
    places = {evidence.evidence_id: evidence for evidence in answer.evidence}
    files = answer.files if isinstance(answer, ShownAnswer) else None
    annotations: list[Any] = []
    for citation in answer.citations:
        values = citation_values(citation)
        extras = {
            name: values[name]
            for name in ("doc_id", "page", "page_label", "boxes", "page_size", "support", "n", "evidence_id")
        }
        evidence = places.get(citation.evidence_id)
        if evidence is not None:
            found = hit_values(evidence.hit)
            extras |= {"region_id": (found["region"] or {}).get("id"), "score": found["score"]}
        url = files.uri(citation.doc_id, citation.page_no) if files is not None else None
        annotations += [_annotation(citation, span, extras, url) for span in spans(answer, citation.n)]
    usage = answer.usage
    return AIMessage(
        content=[dict(create_text_block(answer.text, id=answer.trace.trace_id, annotations=annotations))],
        response_metadata={
            "docrag": {
                "abstained": answer.abstained,
                "reason": answer.reason,
                "confidence": answer.confidence,
                "is_partial": answer.is_partial,
                "warnings": list(answer.warnings),
                "trace_id": answer.trace.trace_id,
            }
        },
        usage_metadata=UsageMetadata(
            input_tokens=usage.n_input_tokens,
            output_tokens=usage.n_output_tokens,
            total_tokens=usage.n_input_tokens + usage.n_output_tokens,
        ),
    )


def spans(answer: Answer, n: int) -> list[tuple[int, int]]:
    """Where in the answer's text citation `n` belongs: its sentences, or all of the text."""
    found = [span for span, citations in _sentences(answer) if n in citations]
    return found or [(0, len(answer.text))]


def _sentences(answer: Answer) -> Iterator[tuple[tuple[int, int], tuple[int, ...]]]:
    at = 0
    for sentence in answer.sentences:
        start = answer.text.find(sentence.text, at)
        if start >= 0:
            at = start + len(sentence.text)
            yield (start, at), sentence.citations


def _annotation(
    citation: Citation, span: tuple[int, int], extras: dict[str, Any], url: str | None
) -> CitationBlock:
    return create_citation(
        url=url,
        title=citation.doc,
        start_index=span[0],
        end_index=span[1],
        cited_text=citation.quote,
        id=f"{citation.evidence_id}-{citation.n}-{span[0]}",
        **extras,  # which create_citation collects under "extras"
    )
