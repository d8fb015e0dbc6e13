"""The sentences of a cited reply, told while the reply arrives."""

from __future__ import annotations

from collections.abc import Callable

from docrag.answer.partial_json import JsonStrings, Path
from docrag.answer.plain_output import LinkPolicy, plain_output
from docrag.answer.reply import cited_ids, space_before
from docrag.chat.fence import unfenced

_OPENING, _CLOSING = "[<(【", "]>)】"


class SentenceStream:
    """Takes a reply in pieces and says its sentences, without marks, links and markup, word by word.

    What is said is a beginning of the finished answer in all ordinary cases. A word is held back until it has
    ended, and what stands in brackets until they close, since either may turn out to be an address. Nothing
    is said of a reply that says first that there is no answer, or that is no JSON.

    Parameters
    ----------
    say
        Called with every piece.
    links
        What becomes of addresses, as in the finished answer.
    under
        Where the answer stands in the reply; () is the reply itself.
    marker
        What fences pages in the prompt, which is not repeated.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        links: LinkPolicy = "remove",
        under: Path = (),
        marker: str = "",
    ) -> None:
        self._say = say
        self._marker = marker
        self._links: LinkPolicy = links
        self._under = under
        self._reader = JsonStrings(self._hear, self._complete)
        self._sentence = ""
        self._told_of_sentence = ""
        self._said: list[str] = []
        self._is_muted = False

    @property
    def said(self) -> str:
        """All that was said so far."""
        return "".join(self._said)

    def feed(self, piece: str) -> None:
        """Hear the next piece of the reply."""
        self._reader.feed(piece)

    def end(self, text: str) -> None:
        """Say what is missing of the finished `text`, if what was said is its beginning."""
        said = self.said
        if text.startswith(said):
            self._tell(text[len(said) :])

    def _hear(self, path: Path, piece: str) -> None:
        if self._is_sentence(path) and not self._is_muted:
            self._sentence += piece
            self._tell_up_to(_safe_end(self._sentence))

    def _complete(self, path: Path, value: object) -> None:
        if path == (*self._under, "answerable") and value is False:
            self._is_muted = True
        elif self._is_sentence(path):
            self._tell_up_to(len(self._sentence))
            self._sentence = self._told_of_sentence = ""

    def _is_sentence(self, path: Path) -> bool:
        depth = len(self._under)
        match path[depth:]:
            case ("sentences", int(), "text") | ("sentences", int()):
                return path[:depth] == self._under
            case _:
                return False

    def _tell_up_to(self, end: int) -> None:
        own_words = unfenced(self._sentence[:end], self._marker)
        plain = plain_output(cited_ids(own_words)[0], links=self._links).text.strip()
        if plain.startswith(self._told_of_sentence) and len(plain) > len(self._told_of_sentence):
            new = plain[len(self._told_of_sentence) :]
            begins = not self._told_of_sentence and bool(self._said)
            self._tell((space_before(plain) if begins else "") + new)
            self._told_of_sentence = plain

    def _tell(self, text: str) -> None:
        if text:
            self._said.append(text)
            self._say(text)


def _safe_end(text: str) -> int:
    """Where the last whole word outside brackets ends."""
    end = depth = 0
    for i, char in enumerate(text):
        if char in _OPENING:
            depth += 1
        elif char in _CLOSING:
            depth = max(0, depth - 1)
        elif depth == 0 and char.isspace():
            end = i + 1
    return end
