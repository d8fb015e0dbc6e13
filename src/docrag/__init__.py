"""Question answering over visually rich PDFs, with verified page and box citations.

`DocRAG` opens an index, brings it up to date, searches and asks it; `load_settings` reads `Settings` from a
preset or a YAML file; `Query` and `Scope` say what to look for, and where. `Answer`, `Citation`, `Hit` and
`Document` are what comes back, `StepEvent`, `TokenEvent` and `AnswerEvent` what a stream yields on the way,
and a `Conversation` holds questions that build upon one another. Every error is a `DocragError`.

Examples
--------
>>> from docrag import DocRAG
>>> with DocRAG.open("reports") as rag:  # doctest: +SKIP
...     rag.index()
...     answer = rag.ask("What was the revenue in 2023?")
...     print(answer.text, [(c.doc, c.page_no) for c in answer.citations])
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docrag.chat.events import AnswerEvent, StepEvent, TokenEvent
    from docrag.config import load_settings
    from docrag.errors import DocragError
    from docrag.pipeline import DocRAG, Settings
    from docrag.pipeline.conversation import Conversation
    from docrag.types import Answer, Citation, Document, Hit, Query, Scope

    __version__: str

# onnxruntime's wheels keep a device id and queue events for their maker from the import on, unless this is
# set by then; worker processes inherit it. What the user has set stays.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "Answer",
    "AnswerEvent",
    "Citation",
    "Conversation",
    "DocRAG",
    "DocragError",
    "Document",
    "Hit",
    "Query",
    "Scope",
    "Settings",
    "StepEvent",
    "TokenEvent",
    "load_settings",
]

_HOMES = {
    "AnswerEvent": "docrag.chat.events",
    "StepEvent": "docrag.chat.events",
    "TokenEvent": "docrag.chat.events",
    "Conversation": "docrag.pipeline.conversation",
    "DocRAG": "docrag.pipeline",
    "Settings": "docrag.pipeline",
    "load_settings": "docrag.config",
    "DocragError": "docrag.errors",
}


def __getattr__(name: str) -> object:
    """Import public names when they are first used: ``import docrag`` itself stays fast."""
    if name == "__version__":
        from importlib.metadata import version

        return version("docrag")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, "docrag.types")), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
