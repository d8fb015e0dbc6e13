"""From options to planners."""

from __future__ import annotations

from collections.abc import Callable

from docrag.chat.model import Chats
from docrag.chat.prompts import Prompts
from docrag.errors import ConfigError
from docrag.retrieve.query.decompose import Decomposer
from docrag.retrieve.query.ensemble import QueryEnsemble
from docrag.retrieve.query.gate import RetrievalGate
from docrag.retrieve.query.options import QueryOptions
from docrag.retrieve.query.plan import Planner
from docrag.retrieve.query.prompted_router import PromptedRouter
from docrag.retrieve.query.route import RouterPlanner, RuleRouter


def build_planners(
    options: QueryOptions, *, chats: Callable[[], Chats] | None, prompts: Prompts
) -> list[Planner]:
    """Make the planners that `options` describe; ConfigError when one needs a model and there is none.

    `chats` makes the models; it is called only when a planner needs one.
    """

    def chat_for(setting: str) -> tuple[Chats, Prompts]:
        if chats is None:
            raise ConfigError(f"retrieval.query.{setting} needs a chat model; set models.default")
        return chats(), prompts

    planners: list[Planner] = []
    if options.gate is not None:
        models, texts = chat_for("gate")
        planners.append(
            RetrievalGate(
                models.of("plan"),
                texts.get("query_gate"),
                gamma=options.gate.gamma,
                timeout_s=options.timeout_s,
            )
        )
    if options.route is not None:
        route = options.route
        router = RuleRouter()
        if route.router == "prompted":
            models, texts = chat_for("route.router=prompted")
            router = PromptedRouter(
                models.of("plan"),
                texts.get("query_route"),
                threshold=route.threshold,
                timeout_s=options.timeout_s,
            )
        planners.append(RouterPlanner(router, keep_page=route.keep_page, may_skip=route.may_skip))
    if options.decompose is not None:
        models, texts = chat_for("decompose")
        planners.append(
            Decomposer(
                models.of("plan"),
                texts.get("query_split"),
                max_parts=options.decompose.max_parts,
                timeout_s=options.timeout_s,
            )
        )
    if options.ensemble is not None:
        models, texts = chat_for("ensemble")
        planners.append(
            QueryEnsemble(
                models.of("plan"),
                texts.get("query_keywords"),
                mode=options.ensemble.mode,
                n_instructions=options.ensemble.n_instructions,
                retrievers=options.ensemble.retrievers,
                n_parallel=options.ensemble.n_parallel,
                timeout_s=options.timeout_s,
            )
        )
    return planners
