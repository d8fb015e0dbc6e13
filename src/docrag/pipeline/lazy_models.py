"""The chat models of the settings, made when they are first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from docrag.errors import ConfigError
from docrag.models.options import RoleOptions

if TYPE_CHECKING:
    from docrag.chat.model import Chats


def lazy_chats(options: RoleOptions | None) -> Callable[[], Chats]:
    """Return a function that makes the chat models when first called, and gives the same ones ever after.

    It raises `docrag.errors.ConfigError` when none is configured, and as `docrag.models.build.build_chats`.
    """
    lock = threading.Lock()
    made: list[Chats] = []

    def chats() -> Chats:
        from docrag.models.build import build_chats

        if options is None:
            raise ConfigError(
                "no chat model is configured; set models.default, for example"
                " --set models.default.kind=openai --set models.default.base_url=http://127.0.0.1:8000/v1"
                " --set models.default.model=NAME"
            )
        with lock:
            if not made:
                made.append(build_chats(options))
            return made[0]

    return chats
