"""docrag as LangChain components: a retriever, and a runnable that answers with verified citations.

Examples
--------
>>> from docrag import DocRAG
>>> from docrag.integrations.langchain import DocragAnswerer, DocragRetriever
>>> with DocRAG.open("reports") as rag:  # doctest: +SKIP
...     documents = DocragRetriever(rag=rag, k=4).invoke("net revenue 2025")
...     message = DocragAnswerer(rag=rag).invoke("What was the net revenue in 2025?")
...     citations = message.content_blocks[0]["annotations"]
"""

from docrag.integrations.langchain.answerer import DocragAnswerer
from docrag.integrations.langchain.messages import answer_message
from docrag.integrations.langchain.retriever import DocragRetriever

__all__ = ["DocragAnswerer", "DocragRetriever", "answer_message"]
