"""From hits to a cited answer in one call: show, judge, ask, verify, check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel

from docrag.answer.ask_cited import Asked, ask_cited
from docrag.answer.cited import NOTHING, Cited, cite
from docrag.answer.context import Context, Viewer
from docrag.answer.options import AnswerPromptOptions, CitingOptions
from docrag.answer.reply import CitedReply
from docrag.answer.run import Run
from docrag.answer.sufficiency import judge_sufficiency
from docrag.answer.support import check_support
from docrag.chat.messages import system
from docrag.chat.prompts import Prompt, Rendered
from docrag.errors import BudgetExceeded, ContextOverflow, ModelError
from docrag.protocols import Corpus
from docrag.types import Hit

STEP = "answer"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one pass gave: `cited` is empty when the evidence was not sufficient.

    `is_complete` is false when the reply broke off. `confidence` is P(sufficient) where it was asked for.
    """

    cited: Cited = NOTHING
    is_complete: bool = True
    confidence: float | None = None
    asked: Asked | None = None


def fragments(run: Run, options: AnswerPromptOptions) -> dict[str, Prompt]:
    """Prompts without variables that stand for the variables ``style`` and ``sufficiency`` of another."""
    asks_first = options.sufficiency == "inline"
    return {
        "style": run.prompts.get(f"answer_style_{options.style}"),
        "sufficiency": run.prompts.get(f"answer_sufficiency_{'inline' if asks_first else 'off'}"),
    }


def render_with(prompt: Prompt, inner: Mapping[str, Prompt], **values: str) -> Rendered:
    """Fill `prompt` with the texts of `inner` prompts, by variable, and with `values`."""
    return prompt.render(**{name: part.render().user for name, part in inner.items()}, **values)


def digests(inner: Mapping[str, Prompt]) -> dict[str, str]:
    """Names and digests of prompts, for the trace."""
    return {part.name: part.digest for part in inner.values()}


@dataclass(frozen=True, slots=True)
class OnePass:
    """One call that answers from hits.

    `prompt` names the file whose variables are ``question``, those of `fragments`, and what `ask` is given
    besides.
    """

    corpus: Corpus
    viewer: Viewer
    prompt: str
    options: AnswerPromptOptions = field(default_factory=AnswerPromptOptions)
    citing: CitingOptions = field(default_factory=CitingOptions)
    schema: type[BaseModel] = CitedReply

    def answer(
        self,
        run: Run,
        question: str,
        hits: Sequence[Hit],
        *,
        variables: Mapping[str, str] | None = None,
        finish: Callable[[Asked, Cited], Cited] = lambda _asked, cited: cited,
    ) -> Outcome:
        """Answer from `hits`, best first; `finish` may add to what was cited, such as figures.

        Raises
        ------
        BudgetExceeded, ModelError, Cancelled
            As `Run.ask`, with nothing written yet.
        """
        try:
            return self._answer(run, question, hits, variables or {}, finish)
        except ContextOverflow as error:
            if len(hits) < 2:
                raise
            # The count was too low: the server knows better than the estimate, so much less is sent.
            fewer = hits[: max(1, len(hits) // 2)]
            run.warn(f"{error}; asked again with {len(fewer)} of {len(hits)} pages")
            return self._answer(run, question, fewer, variables or {}, finish)

    def _answer(
        self,
        run: Run,
        question: str,
        hits: Sequence[Hit],
        variables: Mapping[str, str],
        finish: Callable[[Asked, Cited], Cited],
    ) -> Outcome:
        prompt = run.prompts.get(self.prompt)
        inner = fragments(run, self.options)
        rendered = render_with(prompt, inner, question=question, **variables)
        opening = system(rendered.system)
        # What follows the pages is counted, too, so that everything fits together.
        context = self.viewer.show(run, hits, beside=[opening, Context().message(rendered.user)])
        if not context.evidence:
            return Outcome()
        confidence = None
        if self.options.sufficiency == "call":
            confidence = judge_sufficiency(run, question, context)
            if confidence is not None and confidence < self.options.sufficiency_threshold:
                return Outcome(confidence=confidence)
        with run.step(STEP, f"reading {_pages(context)}") as detail:
            asked = ask_cited(
                run,
                [opening, context.message(rendered.user)],
                prompt=prompt,
                schema=self.schema,
                links=self.citing.links,
            )
            detail["fragments"] = digests(inner)
            detail |= {"answerable": asked.reply.answerable, "n_sentences": len(asked.reply.sentences)}
        if not asked.reply.answerable:
            return Outcome(is_complete=asked.is_complete, confidence=confidence, asked=asked)
        cited = finish(asked, cite(run, asked.reply.sentences, self.corpus, self.citing))
        if self.options.check_support and cited.sentences:
            try:
                cited = check_support(run, question, cited, self.viewer, self.citing)
            except (BudgetExceeded, ModelError) as error:
                run.warn(f"the support of the sentences was not checked: {error}")
        asked.stream.end(cited.text)
        return Outcome(cited, asked.is_complete, confidence, asked)


def _pages(context: Context) -> str:
    pages = list(dict.fromkeys((e.hit.doc, e.hit.page_no) for e in context.evidence))
    return ", ".join(f"{doc} page {page_no}" for doc, page_no in pages)
