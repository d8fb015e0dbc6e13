"""Answers and search results as people get them: the plain values, and how to show and convert them.

Each class is the plain one of `docrag.types` with the index's files at hand. Those stay behind when a result
is pickled or copied with `dataclasses.replace`; it then shows its text alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from docrag.answer.spent import spent
from docrag.protocols import Corpus
from docrag.report.explain import abstention_text, text_with_marks
from docrag.report.shapes import answer_values, citation_values, hit_values, search_values
from docrag.results.files import PageFiles
from docrag.retrieve.stage import SearchResult
from docrag.types import Answer, Citation, Hit, Page, Usage

if TYPE_CHECKING:
    from langchain_core.documents import Document as LangChainDocument
    from pandas import DataFrame


def _fields(value: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


class ShownCitation(Citation):
    """A citation that shows the place it points to."""

    __slots__ = ("_files",)
    _files: PageFiles

    @classmethod
    def of(cls, citation: Citation, files: PageFiles) -> ShownCitation:
        """`citation` with the index's files at hand."""
        shown = cls(**_fields(citation))
        object.__setattr__(shown, "_files", files)
        return shown

    @property
    def files(self) -> PageFiles | None:
        """The index's files, None for a copy that has lost them."""
        return getattr(self, "_files", None)

    def to_json(self) -> dict[str, Any]:
        """The citation as it stands in ``docrag ask --json``."""
        return citation_values(self)

    def _repr_html_(self) -> str:
        from docrag.results.notebook import citation_html

        return citation_html(self, self.files)


class ShownAnswer(Answer):
    """An answer that shows its citations on their pages; ``print(answer)`` gives text and places."""

    __slots__ = ("_files",)
    _files: PageFiles

    @classmethod
    def of(cls, answer: Answer, files: PageFiles) -> ShownAnswer:
        """`answer` with the index's files at hand."""
        citations = tuple(ShownCitation.of(citation, files) for citation in answer.citations)
        values: dict[str, Any] = {**_fields(answer), "citations": citations}
        shown = cls(**values)
        object.__setattr__(shown, "_files", files)
        return shown

    @property
    def files(self) -> PageFiles | None:
        """The index's files, None for a copy that has lost them."""
        return getattr(self, "_files", None)

    def with_more(self, *, warnings: Sequence[str] = (), usage: Usage | None = None) -> ShownAnswer:
        """The answer with more warnings, and with what else it cost; the index's files stay at hand."""
        answer = dataclasses.replace(
            self,
            warnings=(*self.warnings, *warnings),
            usage=spent(self.usage, [usage]) if usage is not None else self.usage,
        )
        return ShownAnswer.of(answer, self.files) if self.files is not None else answer

    def to_json(self, *, explain: bool = False) -> dict[str, Any]:
        """The values that ``docrag ask --json`` prints, with `explain` the steps, too."""
        return answer_values(self, explain=explain)

    def to_pandas(self) -> DataFrame:
        """One row a citation; needs ``pip install "docrag[pandas]"``."""
        from docrag.results.tables import citation_frame

        return citation_frame(self)

    def to_documents(self) -> list[LangChainDocument]:
        """One LangChain document a citation: the quote, and where it stands in the metadata."""
        from docrag.results.documents import citation_document

        return [citation_document(citation, self.files) for citation in self.citations]

    def __str__(self) -> str:
        lines = [text_with_marks(self), *([abstention_text(self)] if self.abstained else [])]
        for c in self.citations:
            lines.append(f"[{c.n}] {c.doc}, page {c.page_no}" + (f": “{c.quote}”" if c.quote else ""))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from docrag.results.notebook import answer_fragment

        return answer_fragment(self, self.files)


class ShownHit(Hit):
    """A hit that shows its place on the page; `text` is the whole text of the page or region."""

    __slots__ = ("_files", "_page_size", "_text")
    _files: PageFiles
    _page_size: tuple[float, float]
    _text: str

    @classmethod
    def of(cls, hit: Hit, page: Page, files: PageFiles) -> ShownHit:
        """`hit`, which lies on `page`, with the index's files at hand."""
        chunk_no = hit.unit.chunk_no
        texts = [chunk.text for chunk in page.chunks if chunk.chunk_no == chunk_no]
        shown = cls(**_fields(hit))
        object.__setattr__(shown, "_files", files)
        object.__setattr__(shown, "_page_size", page.size)
        object.__setattr__(shown, "_text", texts[0] if texts else page.text)
        return shown

    @property
    def files(self) -> PageFiles | None:
        """The index's files, None for a copy that has lost them."""
        return getattr(self, "_files", None)

    @property
    def page_size(self) -> tuple[float, float] | None:
        """``(width_pt, height_pt)`` of the page as displayed, None for a copy."""
        return getattr(self, "_page_size", None)

    @property
    def text(self) -> str:
        """Text of the page or region; the snippet for a copy."""
        return getattr(self, "_text", self.snippet)

    def to_json(self) -> dict[str, Any]:
        """The hit as it stands in ``docrag search --json``."""
        return hit_values(self)

    def to_document(self) -> LangChainDocument:
        """A LangChain document: the text, and where it stands in the metadata."""
        from docrag.results.documents import hit_document

        return hit_document(self, text=self.text, page_size=self.page_size, files=self.files)

    def _repr_html_(self) -> str:
        from docrag.results.notebook import hit_html

        return hit_html(self, self.files, page_size=self.page_size)


class ShownSearch(SearchResult):
    """A search whose hits show themselves."""

    __slots__ = ()
    hits: tuple[ShownHit, ...]

    @classmethod
    def of(cls, result: SearchResult, corpus: Corpus, files: PageFiles) -> ShownSearch:
        """`result` of a search in `corpus`, with the index's files at hand."""
        pages = corpus.read_pages(hit.unit.page for hit in result.hits)
        hits = tuple(ShownHit.of(hit, pages[hit.unit.page], files) for hit in result.hits)
        values: dict[str, Any] = {**_fields(result), "hits": hits}
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """The values that ``docrag search --json`` prints."""
        return search_values(self.query.text, self.hits, warnings=self.warnings, usage=self.usage)

    def to_pandas(self) -> DataFrame:
        """One row a hit; needs ``pip install "docrag[pandas]"``."""
        from docrag.results.tables import hit_frame

        return hit_frame(self)

    def to_documents(self) -> list[LangChainDocument]:
        """One LangChain document a hit, best first."""
        return [hit.to_document() for hit in self.hits]

    def __str__(self) -> str:
        return "\n".join(
            f"{hit.score:.4f}  {hit.doc}, page {hit.page_no}: {hit.snippet}" for hit in self.hits
        )

    def _repr_html_(self) -> str:
        from docrag.results.notebook import MAX_PICTURES, hit_html, search_fragment

        hits = [
            hit_html(hit, hit.files if place < MAX_PICTURES else None, page_size=hit.page_size)
            for place, hit in enumerate(self.hits)
        ]
        return search_fragment(self.query.text, hits)
