"""Leave out what a model thinks aloud before its reply: ``<think>…</think>``, as open reasoning models do."""

from __future__ import annotations

from typing import Literal

_OPEN, _CLOSE = "<think>", "</think>"


class ThoughtFilter:
    """Takes a reply piece by piece and passes on what follows the thoughts at its beginning.

    Tags further on are text. Some chat templates write the opening tag into the prompt, so that a reply has
    the closing one alone: that shows only at the end, see `without_thoughts`.
    """

    def __init__(self) -> None:
        self._held = ""
        self._place: Literal["start", "thoughts", "between", "reply"] = "start"

    def feed(self, piece: str) -> str:
        """Return what of the reply, as far as it has come, can be passed on now."""
        if self._place == "reply":
            return piece
        self._held += piece
        if self._place == "start":
            start = self._held.lstrip()
            if start.startswith(_OPEN):
                self._place, self._held = "thoughts", start[len(_OPEN) :]
            elif not _OPEN.startswith(start):
                return self._pass_on(self._held)
        if self._place == "thoughts":
            _, closing, rest = self._held.partition(_CLOSE)
            if closing:
                self._place, self._held = "between", rest
            else:
                self._held = self._held[1 - len(_CLOSE) :]  # the tag may come in two pieces
        if self._place == "between" and (rest := self._held.lstrip()):
            return self._pass_on(rest)
        return ""

    def end(self) -> str:
        """Return what was held back and is no thought after all."""
        return self._pass_on(self._held) if self._place == "start" else ""

    def _pass_on(self, text: str) -> str:
        self._place, self._held = "reply", ""
        return text


def without_thoughts(reply: str) -> str:
    """The reply after its thoughts; as it is when it has none.

    Examples
    --------
    >>> without_thoughts("<think>Page 3 says five.</think>Five.")
    'Five.'
    >>> without_thoughts("Page 3 says five.</think>Five.")
    'Five.'
    """
    kept = ThoughtFilter()
    text = kept.feed(reply) + kept.end()
    before, closing, after = text.partition(_CLOSE)
    return after.lstrip() if closing and _OPEN not in before else text
