"""Answer from text and from pictures separately, then reconcile (VisDoMRAG, arXiv 2412.10704)."""

from __future__ import annotations

from pydantic import Field

from docrag.answer.agreement import answers_agree
from docrag.answer.ask_cited import ask_cited
from docrag.answer.branches import Branch, BranchName, run_branch
from docrag.answer.cited import Cited, cite
from docrag.answer.context import Viewer
from docrag.answer.finish import Finisher
from docrag.answer.one_pass import Outcome, digests, render_with
from docrag.answer.options import DualBranchOptions
from docrag.answer.parts import AnswerParts
from docrag.answer.reply import CitedSentence, ReplyModel
from docrag.answer.run import Run
from docrag.answer.search import Search, search_for
from docrag.answer.support import check_support
from docrag.chat.events import SILENCE, Listener
from docrag.chat.fence import fenced
from docrag.chat.messages import system, user
from docrag.errors import BudgetExceeded, ModelError, ModelUnavailable
from docrag.types import Answer, Query

PROMPT = "answer_fusion"
_BRANCHES: tuple[BranchName, ...] = ("text", "image")


class FusionReply(ReplyModel):
    """What the fusion is asked for; the comparison comes before the answer."""

    analysis: str = ""
    conclusion: str = ""
    answerable: bool
    sentences: list[CitedSentence] = Field(default_factory=list[CitedSentence])


class DualBranchAnswerer:
    """Two branches, each of one modality, and a consistency-constrained fusion of their answers.

    Branches that say the same need no fusion. Where both decline, the answer is withheld. Where one fails,
    the other's answer is given and marked as partial; where both do, the error is raised, or a spent budget
    is the reason to withhold.

    `text_search` and `image_search` are the branches' own searches; without them both use that of `parts`,
    and search once.
    """

    def __init__(
        self,
        parts: AnswerParts,
        options: DualBranchOptions | None = None,
        *,
        text_search: Search | None = None,
        image_search: Search | None = None,
    ) -> None:
        self._parts = parts
        self._options = options if options is not None else DualBranchOptions()
        self._searches: dict[BranchName, Search] = {
            "text": text_search if text_search is not None else parts.search,
            "image": image_search if image_search is not None else parts.search,
        }
        self._viewer = Viewer(parts.corpus, parts.pictures, self._options.context)
        self._finisher = Finisher(parts.corpus, unfinished=parts.unfinished)

    def answer(self, query: Query, *, listener: Listener = SILENCE) -> Answer:
        """Answer with verified citations, or abstain with a reason.

        Raises
        ------
        ModelError, Cancelled
            Both branches failed, or the run was called off.
        """
        run = self._parts.runs.start(listener)
        branches, failures = self._branches(run, query)
        given = [branch for branch in branches if not branch.declined]
        if not given:
            if failures and not branches:
                return self._finisher.broken_off(run, query, failures[-1])
            spent = next((f for f in failures if isinstance(f, BudgetExceeded)), None)
            if spent is not None:
                return self._finisher.broken_off(run, query, spent)
            return self._finisher.abstain(run, query)
        best = self._preferred(given)
        if failures:
            return self._finish(run, query, Outcome(best.cited, is_complete=False))
        if len(given) == 2 and self._options.skip_if_agree:
            agree = answers_agree(given[0].said, given[1].said)
            with run.trace.step("compare") as detail:
                detail |= {"agree": agree, "answers": [branch.said for branch in given]}
            if agree:
                return self._finish(run, query, Outcome(best.cited, best.is_complete))
        try:
            outcome = self._fuse(run, query, {branch.name: branch for branch in branches})
        except (BudgetExceeded, ModelError) as error:
            return self._finisher.broken_off(run, query, error, best.cited)
        return self._finish(run, query, outcome)

    def _branches(self, run: Run, query: Query) -> tuple[list[Branch], list[BudgetExceeded | ModelError]]:
        """What the branches found, and the errors of those that failed."""
        branches: list[Branch] = []
        failures: list[BudgetExceeded | ModelError] = []
        shares = self._searches["text"] is self._searches["image"]
        hits = search_for(run, self._searches["text"], query, k=self._options.n_pages)
        for name in _BRANCHES:
            if name == "image" and not shares:
                hits = search_for(run, self._searches["image"], query, k=self._options.n_pages)
            try:
                branch = run_branch(
                    run,
                    name,
                    query.text,
                    hits,
                    corpus=self._parts.corpus,
                    viewer=self._viewer,
                    citing=self._options.citing,
                    style=self._options.prompt.style,
                )
            except (BudgetExceeded, ModelError) as error:
                run.warn(f"the {name} branch failed: {error}")
                failures.append(error)
                if isinstance(error, ModelUnavailable):
                    break  # the other branch would wait for the same endpoint
            else:
                branches.append(branch)
        return branches, failures

    def _preferred(self, given: list[Branch]) -> Branch:
        """The branch that the prior names; without a prior, the one with more verified citations."""
        prior = {"visual": "image", "text": "text", "none": ""}[self._options.prior]
        named = [branch for branch in given if branch.name == prior and branch.n_supported]
        return (
            named[0] if named else max(given, key=lambda branch: (branch.n_supported, branch.name == prior))
        )

    def _fuse(self, run: Run, query: Query, branches: dict[BranchName, Branch]) -> Outcome:
        options = self._options
        prompt = run.prompts.get(PROMPT)
        inner = {
            "prior": run.prompts.get(f"answer_prior_{options.prior}"),
            "style": run.prompts.get(f"answer_style_{options.prompt.style}"),
        }
        rendered = render_with(
            prompt,
            inner,
            question=query.text,
            # What branches quote comes from documents.
            text_branch=fenced(branches["text"].described(), run.marker, label="reader of the text"),
            image_branch=fenced(branches["image"].described(), run.marker, label="reader of the pictures"),
        )
        with run.step("fuse", "reconciling what the text and the pictures say") as detail:
            detail["fragments"] = digests(inner)
            asked = ask_cited(
                run,
                [system(rendered.system), user(rendered.user)],
                prompt=prompt,
                schema=FusionReply,
                links=options.citing.links,
            )
            detail["answerable"] = asked.reply.answerable
        if not asked.reply.answerable:
            return Outcome(is_complete=asked.is_complete, asked=asked)
        cited = cite(run, asked.reply.sentences, self._parts.corpus, options.citing)
        return Outcome(cited, asked.is_complete, asked=asked)

    def _finish(self, run: Run, query: Query, outcome: Outcome) -> Answer:
        cited: Cited = outcome.cited
        if self._options.prompt.check_support and cited.sentences:
            try:
                cited = check_support(run, query.text, cited, self._viewer, self._options.citing)
            except (BudgetExceeded, ModelError) as error:
                run.warn(f"the support of the sentences was not checked: {error}")
        if outcome.asked is not None:
            outcome.asked.stream.end(cited.text)
        else:
            run.say(cited.text)
        return self._finisher.conclude(run, query, Outcome(cited, outcome.is_complete))
