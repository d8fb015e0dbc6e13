"""JSON values of search results and answers, as the command line prints them; stable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from docrag.geometry import Box
from docrag.retrieve.cutoff.cut import Cut
from docrag.types import Answer, Citation, Document, Hit, PageFailure, SourceScore, TraceStep, Usage

_SCORE_DIGITS = 6


def box_values(box: Box) -> list[float]:
    """``[x0, y0, x1, y1]`` in points, rounded to a hundredth."""
    return list(box.rounded())


def source_values(sources: Mapping[str, SourceScore]) -> dict[str, dict[str, Any]]:
    """Rank and score by retriever; one that did not return the hit is absent."""
    return {name: _source_values(source) for name, source in sources.items()}


def _source_values(source: SourceScore) -> dict[str, Any]:
    return {"rank": source.rank, "score": round(source.score, _SCORE_DIGITS)}


def hit_values(hit: Hit) -> dict[str, Any]:
    """One hit of ``search --json``."""
    region = None
    if hit.kind is not None:
        region = {
            "id": f"p{hit.page_no}c{hit.unit.chunk_no}",
            "kind": hit.kind,
            "box": box_values(hit.box) if hit.box is not None else None,
        }
    return {
        "doc": hit.doc,
        "doc_id": hit.unit.doc_id,
        "page": hit.page_no,
        "page_label": hit.page_label,
        "region": region,
        "score": round(hit.score, _SCORE_DIGITS),
        "fused": _source_values(hit.fused) if hit.fused is not None else None,
        "snippet": hit.snippet,
        "snippet_boxes": [box_values(box) for box in hit.snippet_boxes],
        "sources": source_values(hit.sources),
    }


def step_values(steps: Iterable[TraceStep]) -> list[dict[str, Any]]:
    """Steps of a trace, or of a search."""
    return [
        {"name": step.name, "elapsed_s": round(step.elapsed_s, 4), "detail": json_values(step.detail)}
        for step in steps
    ]


def search_values(
    query: str,
    hits: Sequence[Hit],
    *,
    steps: Iterable[TraceStep] | None = None,
    cuts: Iterable[Cut] = (),
    warnings: Sequence[str] = (),
    usage: Usage | None = None,
) -> dict[str, Any]:
    """``search --json``; with `steps` also ``explain``, where `cuts` say what was left out, and why.

    ``warnings`` are there only when there are some, ``usage`` only when a model was called.
    """
    values: dict[str, Any] = {"query": query, "hits": [hit_values(hit) for hit in hits]}
    if steps is not None:
        values["explain"] = {"steps": step_values(steps), "cuts": [cut_values(cut) for cut in cuts]}
    if warnings:
        values["warnings"] = list(warnings)
    if usage is not None and usage.n_model_calls:
        values["usage"] = usage_values(usage)
    return values


def cut_values(cut: Cut) -> dict[str, Any]:
    """One unit that a cut-off took from a ranking."""
    return {
        "doc": cut.unit.doc,
        "page": cut.unit.page_no,
        "region": f"p{cut.unit.page_no}c{cut.unit.chunk_no}" if cut.unit.chunk_no else None,
        "ranking": cut.ranking,
        "rank": cut.rank,
        "score": round(cut.score, _SCORE_DIGITS),
        "reason": cut.reason,
    }


def usage_values(usage: Usage) -> dict[str, Any]:
    """What models cost; ``cost_usd`` leaves out the ``n_unpriced_calls``, whose cost is not known."""
    return {
        "elapsed_s": round(usage.elapsed_s, 4),
        "n_model_calls": usage.n_model_calls,
        "n_input_tokens": usage.n_input_tokens,
        "n_output_tokens": usage.n_output_tokens,
        "n_images": usage.n_images,
        "cost_usd": usage.cost_usd,
        "n_unpriced_calls": usage.n_unpriced_calls,
    }


def cost_text(usage: Usage) -> str:
    """``$0.0400``, ``at least $0.0400 (2 calls have no known cost)``, or "" where nothing is known.

    Examples
    --------
    >>> cost_text(Usage(n_model_calls=3, cost_usd=0.04, n_unpriced_calls=1))
    'at least $0.0400 (1 call has no known cost)'
    """
    if usage.cost_usd is None:
        return ""
    n = usage.n_unpriced_calls
    unknown = f" ({n} call{' has' if n == 1 else 's have'} no known cost)"
    return f"at least ${usage.cost_usd:.4f}{unknown}" if n else f"${usage.cost_usd:.4f}"


def citation_values(citation: Citation) -> dict[str, Any]:
    """One citation of ``ask --json``."""
    return {
        "n": citation.n,
        "doc": citation.doc,
        "doc_id": citation.doc_id,
        "page": citation.page_no,
        "page_label": citation.page_label,
        "boxes": [box_values(box) for box in citation.boxes],
        "page_size": [round(side, 2) for side in citation.page_size],
        "quote": citation.quote,
        "support": citation.support,
        "evidence_id": citation.evidence_id,
    }


def answer_values(answer: Answer, *, explain: bool = False) -> dict[str, Any]:
    """``ask --json``; with `explain` also the trace."""
    values: dict[str, Any] = {
        "question": answer.question,
        "answer": answer.text,
        "abstained": answer.abstained,
        "reason": answer.reason,
        "confidence": answer.confidence,
        "is_partial": answer.is_partial,
        "sentences": [
            {"text": s.text, "citations": list(s.citations), "figures": list(s.figures)}
            for s in answer.sentences
        ],
        "citations": [citation_values(citation) for citation in answer.citations],
        "evidence": [
            {"id": evidence.evidence_id, **hit_values(evidence.hit), "text": evidence.text}
            for evidence in answer.evidence
        ],
        "usage": usage_values(answer.usage),
        "warnings": list(answer.warnings),
        "trace_id": answer.trace.trace_id,
    }
    if explain:
        values["trace"] = step_values(answer.trace)
    return values


def failure_values(failures: Iterable[PageFailure]) -> list[dict[str, Any]]:
    """Pages that could not be read, with their reasons."""
    return [
        {"page": failure.page_no, "reason": failure.reason, "message": failure.message}
        for failure in failures
    ]


def document_values(document: Document) -> dict[str, Any]:
    """One document of ``ls --json``."""
    return {
        "doc": document.doc,
        "doc_id": document.doc_id,
        "title": document.title,
        "pages_declared": document.n_pages,
        "pages_indexed": document.n_pages_indexed,
        "pages_failed": failure_values(document.failures),
        "parser": document.parser,
        "size_bytes": document.size_bytes,
        "aliases": list(document.aliases),
        "notes": list(document.notes),
        "metadata": dict(document.metadata),
    }


def json_values(value: object) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """`value` with tuples, mappings and other types turned into what JSON holds; all else by its text."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {str(key): json_values(inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [json_values(inner) for inner in value]
        case _:
            return str(value)
