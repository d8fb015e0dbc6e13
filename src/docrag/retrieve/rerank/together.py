"""Several results put to a chat model in one call, each under its number from 1 on."""

from __future__ import annotations

from collections.abc import Sequence

from docrag.chat.ask import as_messages
from docrag.chat.fence import fenced
from docrag.chat.messages import ImagePart, Message, user
from docrag.chat.model import Chat
from docrag.chat.prompts import Prompt
from docrag.errors import IngestError
from docrag.retrieve.rerank.cache import cache_key
from docrag.retrieve.rerank.shown import Shown, Views
from docrag.types import Fused


def shown_of(views: Views, head: Sequence[Fused]) -> tuple[dict[int, Shown], dict[int, IngestError]]:
    """What is shown of the units of `head`, by their place in it, and why some cannot be shown."""
    shown: dict[int, Shown] = {}
    failed: dict[int, IngestError] = {}
    for place, item in enumerate(head):
        try:
            shown[place] = views.shown(item.unit)
        except IngestError as error:
            failed[place] = error
    return shown, failed


def messages_of(prompt: Prompt, pages: Sequence[Shown], marker: str, **values: str) -> list[Message]:
    """`prompt` with `values`, the fenced texts of `pages`, and after it their pictures."""
    texts = "\n\n".join(
        fenced(page.text or "(no text)", marker, label=f"[{n}]") for n, page in enumerate(pages, 1)
    )
    pictures: list[str | ImagePart] = []
    for n, page in enumerate(pages, 1):
        if page.picture is not None:
            pictures += [f"Picture of [{n}]:", page.picture]
    messages = as_messages(prompt.render(pages=texts, **values))
    return [*messages[:-1], user(*messages[-1].parts, *pictures)]


def key_of(name: str, chat: Chat, prompt: Prompt, question: str, pages: Sequence[Shown]) -> str:
    """Key of what the step `name` hears from `chat` about `pages` in this order."""
    return cache_key(name, chat.name, prompt.digest, question, *(page.digest for page in pages))
