"""`DocragRetriever`: pages or regions of an index as LangChain documents."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever, LangSmithRetrieverParams
from pydantic import Field

from docrag.pipeline import DocRAG
from docrag.types import Scope, Unit


class DocragRetriever(BaseRetriever):
    """Searches an index; ``invoke(query, k=…, unit=…, scope=…)`` changes a setting for one call.

    A document's ``page_content`` is the whole text of the page or region; its metadata, described in
    `docrag.results.documents`, say where that stands. Pictures are referred to, never carried.
    """

    rag: DocRAG
    k: int = Field(default=4, ge=1)
    unit: Unit = "page"
    scope: Scope = Scope()

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        unit: Unit | None = None,
        scope: Scope | None = None,
    ) -> list[Document]:
        return self.rag.search(query, **self._options(k, unit, scope)).to_documents()

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
        unit: Unit | None = None,
        scope: Scope | None = None,
    ) -> list[Document]:
        result = await self.rag.asearch(query, **self._options(k, unit, scope))
        return result.to_documents()

    def _options(self, k: int | None, unit: Unit | None, scope: Scope | None) -> dict[str, Any]:
        return {
            "k": k if k is not None else self.k,
            "unit": unit if unit is not None else self.unit,
            "scope": scope if scope is not None else self.scope,
        }

    def _get_ls_params(self, **kwargs: Any) -> LangSmithRetrieverParams:  # noqa: ANN401 - LangChain's signature
        params = super()._get_ls_params(**kwargs)
        return {
            **params,
            "ls_vector_store_provider": "lancedb",
            "ls_embedding_provider": self.rag.settings.embed.kind,
        }
