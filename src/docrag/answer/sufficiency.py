"""Whether the evidence is sufficient, asked before anything is written."""

from __future__ import annotations

import math

from docrag.answer.context import Context
from docrag.answer.run import Run
from docrag.chat.messages import system
from docrag.chat.model import Request
from docrag.chat.yes_no import MAX_TOKENS, N_LOGPROBS, probability_of_yes, word_verdict, yes_no_logprobs
from docrag.errors import ModelFormatError

PROMPT = "answer_sufficiency_judge"


def judge_sufficiency(run: Run, question: str, context: Context) -> float | None:
    """P(yes), 0 to 1, that the evidence suffices; None with a warning when the judge says neither yes nor no.

    The first token's log-probabilities of "yes" and "no" give it; without them the word itself, as 1 or 0,
    between which every threshold is the same. The trace says by which of the two it was judged, and how much
    of the first token's probability was on either word: where it is little, the model was about to say
    something else, such as its thoughts, and the ratio of the two words means little, too.
    """
    prompt = run.prompts.get(PROMPT)
    rendered = prompt.render(question=question)
    with run.step("judge sufficiency", "judging whether the pages found are sufficient") as detail:
        messages = [system(rendered.system), context.message(rendered.user)]
        request = Request(max_output_tokens=MAX_TOKENS, n_logprobs=N_LOGPROBS)
        reply = run.ask("judge", messages, prompt=prompt, request=request)
        pair = yes_no_logprobs(reply.first_logprobs) if reply.first_logprobs else None
        if pair is not None:
            probability, judged_by = probability_of_yes(*pair), "logprobs"
            detail["p_yes_or_no"] = round(min(1.0, sum(map(math.exp, pair))), 4)
        else:
            try:
                probability, judged_by = word_verdict(reply.text), "word"
            except ModelFormatError as error:
                run.warn(f"sufficiency was not judged: {error}")
                return None
        detail |= {"p_sufficient": round(probability, 4), "judged_by": judged_by}
    return probability
