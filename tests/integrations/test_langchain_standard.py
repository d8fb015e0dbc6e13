"""LangChain's own standard tests of retrievers."""

from __future__ import annotations

import pytest
from langchain_tests.integration_tests.retrievers import RetrieversIntegrationTests
from tests.api.conftest import settings_with

from docrag import DocRAG
from docrag.integrations.langchain import DocragRetriever


class TestDocragRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _open(self, indexed):
        with DocRAG.open(indexed, settings=settings_with()) as rag:
            self.rag = rag
            yield

    @property
    def retriever_constructor(self):
        return DocragRetriever

    @property
    def retriever_constructor_params(self):
        return {"rag": self.rag, "k": 2}

    @property
    def retriever_query_example(self):
        return "annual report revenue, staff and the risks of copper: the 2023 company"
