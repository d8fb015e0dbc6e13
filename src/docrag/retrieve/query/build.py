"""From options to planners."""

from __future__ import annotations

from collections.abc import Callable

from docrag.chat.model import Chat, Chats
from docrag.chat.prompts import Prompt, Prompts
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

    def asked(setting: str, prompt: str) -> tuple[Chat, Prompt]:
        """Return the model that plans, and what it is asked with."""
        if chats is None:
            raise ConfigError(f"retrieval.query.{setting} needs a chat model; set models.default")
        return chats().of("plan"), prompts.get(prompt)

    timeout_s = options.timeout_s
    planners: list[Planner] = []
    if (gate := options.gate) is not None:
        planners.append(RetrievalGate(*asked("gate", "query_gate"), gamma=gate.gamma, timeout_s=timeout_s))
    if (route := options.route) is not None:
        router = RuleRouter()
        if route.router == "prompted":
            router = PromptedRouter(
                *asked("route.router=prompted", "query_route"), threshold=route.threshold, timeout_s=timeout_s
            )
        planners.append(RouterPlanner(router, keep_page=route.keep_page, may_skip=route.may_skip))
    if (decompose := options.decompose) is not None:
        planners.append(
            Decomposer(*asked("decompose", "query_split"), max_parts=decompose.max_parts, timeout_s=timeout_s)
        )
    if (ensemble := options.ensemble) is not None:
        planners.append(
            QueryEnsemble(
                *asked("ensemble", "query_keywords"),
                mode=ensemble.mode,
                n_instructions=ensemble.n_instructions,
                retrievers=ensemble.retrievers,
                n_parallel=ensemble.n_parallel,
                timeout_s=timeout_s,
            )
        )
    return planners
