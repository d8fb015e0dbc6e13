"""Which rewriter completes follow-up questions."""

from __future__ import annotations

from collections.abc import Callable

from docrag.chat.model import Chats
from docrag.chat.prompts import Prompts
from docrag.errors import ConfigError
from docrag.pipeline.chat_options import ChatOptions
from docrag.retrieve.query.follow_up import FollowUpRewriter, PromptedRewriter, RuleRewriter


def build_rewriter(
    options: ChatOptions, *, chats: Callable[[], Chats] | None, prompts: Prompts
) -> FollowUpRewriter:
    """Make the rewriter; `chats` is None where no model is configured.

    Raises `docrag.errors.ConfigError` when `follow_up` is "prompted" and there is no model.
    """
    if options.follow_up == "rules" or (options.follow_up == "auto" and chats is None):
        return RuleRewriter()
    if chats is None:
        raise ConfigError("chat.follow_up is prompted, which needs a chat model; set models.default")
    return PromptedRewriter(chats().of("plan"), prompts.get("query_follow_up"), timeout_s=options.timeout_s)
