"""The reply that a cited answer is asked for, and how it is read when a model does not keep to it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from docrag.answer.partial_json import read_truncated
from docrag.chat.json_reply import MAX_REPLY_CHARS, json_objects
from docrag.errors import ModelFormatError

MAX_SENTENCES = 200
MAX_CITATIONS = 50
"""Of one sentence; a model that cites everything cites nothing."""


class ReplyModel(BaseModel):
    """Part of a reply: lenient when read, but in its schema (mode "serialization") every field is required.

    A server that enforces the schema then leaves none out, and keeps their order.
    """

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class QuotedId(ReplyModel):
    """Evidence by its id, and the words of it that carry the sentence."""

    id: str = Field(description="id of the evidence, such as E1")
    quote: str = Field(default="", description="words copied from it, character by character")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        if isinstance(value, str | int):
            return {"id": str(value)}
        if isinstance(value, dict):
            fields = cast(dict[str, Any], value)
            known = {"id": fields.get("id", fields.get("evidence_id", fields.get("evidence", ""))),
                     "quote": fields.get("quote", fields.get("text", ""))}  # fmt: skip
            return {name: "" if given is None else str(given) for name, given in known.items()}
        return value


class CitedSentence(ReplyModel):
    """One sentence of an answer with what supports it."""

    text: str
    citations: list[QuotedId] = Field(default_factory=list[QuotedId])

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        if isinstance(value, str):
            return {"text": value}
        if isinstance(value, dict):
            fields = dict(cast(dict[str, Any], value))
            given = fields.get("citations")
            if given is None:
                fields["citations"] = []
            elif not isinstance(given, list):
                fields["citations"] = [given]
            return fields
        return value


class CitedReply(ReplyModel):
    """An answer sentence by sentence; whether the evidence carries one is said first."""

    answerable: bool = Field(description="whether the evidence is sufficient to answer; decide this first")
    sentences: list[CitedSentence] = Field(
        default_factory=list[CitedSentence], description="empty when not answerable"
    )


@dataclass(frozen=True, slots=True)
class Read:
    """A reply as far as it could be read; `notes` say what was wrong with its form."""

    reply: CitedReply
    notes: tuple[str, ...] = ()


CUT_OFF = "the model's reply broke off; what came of it is used, and its last sentence may be cut short"
NO_FORMAT = "the model did not keep to the format; its text is used as it is"

_MARK = re.compile(r"[ \t]*(?:[\[【]([^\[\]【】]{1,80})[\]】](?:\((?:\w+:|#|/)[^()]*\))?|\(([^()]{1,40})\))")
_ID = re.compile(r"\W*(?:evidence\W*)?e\W?\d+\W*", re.IGNORECASE)
_NUMBER = re.compile(r"\W*\d{1,3}\W*")
_BETWEEN_IDS = re.compile(r"\s*[,;、，&]\s*|\s+and\s+|\s+(?=\S)")
_SENTENCE_END = re.compile(
    r"(?:(?<=[.?!])(?<!\b[A-Z]\.)(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\b(?:Fig|Tab|Mrs|vol)\.)"
    r"(?<!\b(?:No|Mr|Dr|St|vs|pp|cf)\.)(?:\s*[\[【(][^\[\]【】()]{1,80}[\]】)])*\s+(?=[\"“(]?[A-Z0-9])|(?<=[。！？])|\n+)"
)
_BULLETS = ("-", "*", "•")
_NOT_ANSWERABLE = re.compile(r"\W*(?:the question is )?not answerable\b", re.IGNORECASE)
_LETTERS = str.maketrans(dict.fromkeys("ЕΕЄεеєҽ℮ƎÉÈÊËĒĔĖĘĚ", "E"))
"""Letters that look like E: Cyrillic, Greek, turned, with accents."""


def read_cited(text: str) -> Read:
    """Read a reply: JSON as asked for, JSON that broke off, or plain text with marks such as [E1].

    Raises
    ------
    ModelFormatError
        There is nothing in it, or too much, or an object of another kind: that is no answer in plain words.
    """
    if len(text) > MAX_REPLY_CHARS:
        raise ModelFormatError(f"the reply has {len(text)} characters, expected at most {MAX_REPLY_CHARS}")
    found: CitedReply | None = None
    for value in json_objects(text):
        reply = _as_reply(value)
        found = reply if reply is not None else found
    if found is not None:
        return Read(_bounded(found))
    if "{" in text and '"sentences"' in text:
        reply = _as_reply(read_truncated(text[text.index("{") :]))
        if reply is not None and (reply.sentences or not reply.answerable):
            return Read(_bounded(reply), (CUT_OFF,))
    return _from_plain(text)


def cited_ids(text: str, *, with_numbers: bool = False) -> tuple[str, list[str]]:
    """`text` without marks such as [E1] or (E1, E2), and what they name, as it stands there.

    A mark that only looks like one ("[Е1]" with a Cyrillic letter) is taken out, too, and named.
    `with_numbers` takes "[1]" for a mark as well.

    Examples
    --------
    >>> cited_ids("Sales rose [E1, E2].")
    ('Sales rose.', ['E1', 'E2'])
    """
    ids: list[str] = []

    def take(match: re.Match[str]) -> str:
        inside = match[1] if match[1] is not None else match[2]
        names = [name.strip() for name in _BETWEEN_IDS.split(inside.strip()) if name.strip()]
        folded = [unicodedata.normalize("NFKC", name).translate(_LETTERS) for name in names]
        numbered = with_numbers and match[1] is not None
        if not folded or not all(_ID.fullmatch(f) or (numbered and _NUMBER.fullmatch(f)) for f in folded):
            return match[0]
        ids.extend(names)
        return ""

    return _MARK.sub(take, text).strip(), ids


def _as_reply(value: dict[str, Any]) -> CitedReply | None:
    """A reply from an object that follows the schema, or nearly."""
    if "sentences" not in value and "answer" in value:  # a habit of many models
        value = {**value, "sentences": [value["answer"]]}
    if "sentences" not in value and "answerable" not in value:
        return None
    if isinstance(value.get("sentences"), str | dict):
        value = {**value, "sentences": [value["sentences"]]}
    if "answerable" not in value:
        value = {**value, "answerable": bool(value["sentences"])}
    try:
        return CitedReply.model_validate(value)
    except ValidationError:
        return None


def _bounded(reply: CitedReply) -> CitedReply:
    sentences = [
        CitedSentence(text=s.text, citations=s.citations[:MAX_CITATIONS])
        for s in reply.sentences[:MAX_SENTENCES]
        if s.text.strip()
    ]
    answerable = reply.answerable and bool(sentences)
    if answerable and len(sentences) == 1 and _NOT_ANSWERABLE.match(sentences[0].text):
        answerable = False
    return CitedReply(answerable=answerable, sentences=sentences if answerable else [])


def _from_plain(text: str) -> Read:
    plain = re.sub(r"^\s*```\w*\s*|\s*```\s*$", "", text).strip()
    if not plain:
        raise ModelFormatError("the reply is empty")
    if plain.startswith("{"):
        raise ModelFormatError('the object has no "answerable" and no "sentences"')
    sentences: list[CitedSentence] = []
    for sentence in _sentences(plain):
        without, ids = cited_ids(sentence, with_numbers=True)
        citations = [QuotedId(id=evidence_id) for evidence_id in ids]
        if not re.search(r"\w", without) and sentences:  # marks after the full stop
            sentences[-1].citations.extend(citations)
        elif re.search(r"\w", without):
            sentences.append(CitedSentence(text=without, citations=citations))
    return Read(_bounded(CitedReply(answerable=bool(sentences), sentences=sentences)), (NO_FORMAT,))


def _sentences(text: str) -> list[str]:
    """Split a text after full stops and the marks that follow them, and at line breaks."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    return [
        text[a:b].strip() for a, b in zip([0, *ends], [*ends, len(text)], strict=True) if text[a:b].strip()
    ]


def space_before(sentence: str) -> str:
    """What parts a sentence, of which the first word is known, from the one before it."""
    return "\n" if sentence in _BULLETS or sentence[:2] in {f"{bullet} " for bullet in _BULLETS} else " "


def split_ids(text: str) -> list[str]:
    """Ids in the id field of a citation: "E1", or against the format "[E1]" or "E1, E2"; else as it is."""
    inside = text[1:-1] if len(text) > 2 and text[0] == "[" and text[-1] == "]" else text
    names = inside.split(",")
    if len(names) > 1 and all(_ID.fullmatch(name) for name in names):
        return [name.strip(" ") for name in names]
    return [inside]
