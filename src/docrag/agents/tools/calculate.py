"""Calculate: arithmetic by code, never by the model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from docrag.agents.arithmetic import MAX_EXPRESSION_CHARS, ExpressionError, evaluate, shown
from docrag.agents.tools.tool import Observation, ToolArguments, ToolRefused, said


class CalculateArguments(ToolArguments):
    """What to compute."""

    tool: Literal["calculate"] = "calculate"
    expression: str = Field(
        min_length=1,
        max_length=MAX_EXPRESSION_CHARS,
        description="such as (120 - 95) / 95 * 100, or round(avg(3, 4, 8), 1)",
    )


class CalculateTool:
    """Computes an expression; see `docrag.agents.arithmetic`."""

    name = "calculate"
    purpose = "compute with + - * / % ^ ( ) min max sum avg round abs sqrt; never compute yourself"
    arguments = CalculateArguments

    def announce(self, arguments: CalculateArguments) -> str:
        """Say what is computed."""
        return f"calculating: {said(arguments.expression)}"

    def run(self, arguments: CalculateArguments) -> Observation:
        """Compute it."""
        try:
            value = shown(evaluate(arguments.expression))
        except ExpressionError as error:
            raise ToolRefused(str(error)) from None
        text = f"{' '.join(arguments.expression.split())} = {value}"
        return Observation((text,), text)
