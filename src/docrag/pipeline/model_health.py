"""Ask every configured chat model a few short questions, and say what it can do and what it cannot."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from docrag.answer.options import ExtractiveOptions
from docrag.chat.json_reply import parse_reply
from docrag.chat.messages import ImagePart, Message, user
from docrag.chat.model import ROLES, Chat, Reply, Request
from docrag.errors import DocragError, ModelError, ModelFormatError, ModelUnavailable
from docrag.http.secrets import has_key
from docrag.models.options import (
    LangChainOptions,
    ModelOptions,
    OpenAiCompatibleOptions,
    RoleOptions,
    ScriptedOptions,
    TransformersChatOptions,
)
from docrag.pipeline.check import Check
from docrag.pipeline.custom import CustomOptions
from docrag.pipeline.settings import Settings

TIMEOUT_S = 30.0
"""For each question: a server that loads its model first takes longer, and is better asked again."""

MAX_TOKENS = 256
"""Room for a model that thinks before it says one word."""

N_LOGPROBS = 5
PICTURE_PX = 64
"""Side of the picture that is sent: above the least that common models take, and a handful of tokens."""

_SHOWN_CHARS = 60
_SHOWN_MODELS = 8


class Ready(BaseModel):
    """What is asked for by a schema, and in no other words."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ready: bool


def check_models(settings: Settings) -> Iterator[Check]:
    """Check every distinct model of the configured roles; each question costs a few tokens."""
    if settings.models is None:
        yield _none_configured(settings)
        return
    for names, options in distinct_models(settings.models):
        yield from _check_model(names, options)


def distinct_models(options: RoleOptions) -> list[tuple[tuple[str, ...], ModelOptions]]:
    """Models with the settings that name them, such as "models.default"; equal options are one model."""
    found: list[tuple[tuple[str, ...], ModelOptions]] = []
    for role in ("default", *ROLES):
        wanted: ModelOptions | None = getattr(options, role)
        if wanted is None:
            continue
        known = next((i for i, (_, model) in enumerate(found) if model == wanted), None)
        if known is None:
            found.append(((f"models.{role}",), wanted))
        else:
            names, model = found[known]
            found[known] = ((*names, f"models.{role}"), model)
    return found


def _none_configured(settings: Settings) -> Check:
    kind = settings.answer.kind
    if isinstance(settings.answer, ExtractiveOptions):
        return Check("chat models", "ok", f"none configured, and answer.kind={kind} needs none")
    if isinstance(settings.answer, CustomOptions):
        detail = f"none configured; {settings.answer.factory} has to bring its own"
        return Check("chat models", "note", detail)
    mend = (
        "name one with --set models.default.kind=openai --set models.default.base_url=URL"
        " --set models.default.model=NAME, or use --set answer.kind=extractive"
    )
    return Check("chat models", "problem", f"none configured, and answer.kind={kind} needs one", mend)


def _check_model(names: tuple[str, ...], options: ModelOptions) -> Iterator[Check]:
    name = ", ".join(names)
    match options:
        case ScriptedOptions():
            yield Check(name, "ok", "scripted: there is no endpoint to ask")
        case TransformersChatOptions():
            yield Check(name, "ok", f"{options.model} in this process, loaded when it is first asked")
        case OpenAiCompatibleOptions():
            endpoint = _check_endpoint(name, names[0], options)
            yield endpoint
            if endpoint.state != "problem" and has_key(options):
                yield from _ask_all(name, names[0], options)
        case LangChainOptions():
            yield from _ask_all(name, names[0], options)


def _check_endpoint(name: str, setting: str, options: OpenAiCompatibleOptions) -> Check:
    """Whether it is there, takes the key and has the model, by the list of its models."""
    from docrag.models.served import served_models

    asked = f"asked {options.base_url}/models"
    if not has_key(options):  # said among the needs
        return Check(name, "note", f"not asked: its key is missing, {options.api_key_env} is not set")
    try:
        served = served_models(options, timeout_s=min(TIMEOUT_S, options.timeout_s))
    except ModelUnavailable as error:
        mend = f"start the server, or correct it with --set {setting}.base_url=URL"
        return Check(name, "problem", f"cannot be reached: {error}", mend)
    except DocragError as error:
        return Check(name, "problem", str(error), f"correct {setting}.base_url or its key")
    if served is None:
        detail = f"{asked}: reachable, but it keeps no list of models"
        return Check(name, "note", detail, "see the reply below")
    is_keyed = options.api_key is not None or options.api_key_env is not None
    key = "the key is accepted" if is_keyed else "no key was sent"
    if options.model in served:
        return Check(name, "ok", f"{asked}: reachable, {key}, it has {options.model}")
    near = difflib.get_close_matches(options.model, served, n=_SHOWN_MODELS, cutoff=0.3) or list(served)
    shown = ", ".join(near[:_SHOWN_MODELS]) + ("" if len(served) <= _SHOWN_MODELS else ", …")
    detail = f"{asked}: reachable, {key}, but {options.model} is not among its models: {shown or 'none'}"
    return Check(name, "note", detail, f"if it gives no reply below: --set {setting}.model=NAME")


def _ask_all(name: str, setting: str, options: OpenAiCompatibleOptions | LangChainOptions) -> Iterator[Check]:
    """Put three questions: a word with its log-probabilities, JSON by a schema, and a picture."""
    from docrag.models.build import build_chat

    try:
        chat = build_chat(options)
    except DocragError as error:
        yield Check(name, "problem", str(error), f"correct {setting}")
        return
    try:
        try:
            reply = _ask(chat, user("Reply with the word yes."), n_logprobs=N_LOGPROBS)
        except ModelError as error:
            mend = f"correct {setting} as the message says; docrag --debug shows more"
            yield Check(f"{name}: reply", "problem", f"asked for one word: {error}", mend)
            return
        yield _said(f"{name}: reply", reply)
        yield _log_probabilities(f"{name}: log-probabilities", reply)
        yield _structured(f"{name}: JSON", setting, chat, options)
        yield _pictures(f"{name}: pictures", setting, chat, options)
    finally:
        close = getattr(chat, "close", None)
        if close is not None:
            close()


def _ask(chat: Chat, message: Message, *, n_logprobs: int = 0, by_schema: bool = False) -> Reply:
    request = Request(
        schema=Ready.model_json_schema() if by_schema else None,
        schema_name=Ready.__name__,
        max_output_tokens=MAX_TOKENS,
        timeout_s=TIMEOUT_S,
        n_logprobs=n_logprobs,
    )
    return chat.complete([message], request)


def _said(name: str, reply: Reply) -> Check:
    usage = reply.usage
    cost = f"{usage.elapsed_s:.1f} s, {usage.n_input_tokens} tokens in, {usage.n_output_tokens} out"
    if reply.text.strip():
        return Check(name, "ok", f"asked for one word: got {_shown(reply.text)} ({cost})")
    detail = "; ".join((f"asked for one word: got nothing ({cost})", *reply.notes))
    return Check(name, "problem", detail, "raise max_output_tokens, or look into the server's log")


def _log_probabilities(name: str, reply: Reply) -> Check:
    asked = f"asked for the {N_LOGPROBS} likeliest words"
    if reply.first_logprobs:
        return Check(name, "ok", f"{asked}: got {len(reply.first_logprobs)}")
    mend = "judging goes by the word alone, and pointwise reranking asks for a number instead"
    return Check(name, "note", f"{asked}: got none", mend)


def _structured(name: str, setting: str, chat: Chat, options: ModelOptions) -> Check:
    if not isinstance(options, OpenAiCompatibleOptions):
        return Check(name, "note", "not asked: LangChain models are asked for formats in words only")
    if not options.structured:
        return Check(name, "note", "not asked: structured is false, so formats are asked for in words only")
    asked = "asked for JSON by a schema"
    off = f"set {setting}.structured=false"
    try:
        reply = _ask(chat, user("Are you ready?"), by_schema=True)
    except ModelError as error:
        return Check(name, "problem", f"{asked}: {error}", off)
    try:
        parse_reply(reply.text, Ready)
    except ModelFormatError:
        got = "; ".join((f"got {_shown(reply.text)}", *reply.notes))
        mend = f"serve it with structured output, or {off} to save the try; words ask for formats as well"
        return Check(name, "note", f"{asked}: {got}", mend)
    return Check(name, "ok", f"{asked}: got {_shown(reply.text)}")


def _pictures(name: str, setting: str, chat: Chat, options: ModelOptions) -> Check:
    if options.max_images == 0:
        return Check(name, "note", "not asked: max_images is 0, so it is shown text only")
    try:
        reply = _ask(chat, user("Which colour has this picture? Reply with one word.", _picture()))
    except ModelError as error:
        mend = f"send none with --set {setting}.max_images=0, or use a vision-language model"
        return Check(name, "problem", f"sent a red picture: {error}", mend)
    if chat.limits.max_images == 0:  # the client found out, and asked again without
        mend = f"use a vision-language model, or set {setting}.max_images=0 to save the try"
        return Check(name, "note", f"sent a red picture: {'; '.join(reply.notes)}", mend)
    return Check(name, "ok", f"sent a red picture: accepted, and described as {_shown(reply.text)}")


def _picture() -> ImagePart:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (PICTURE_PX, PICTURE_PX), (220, 20, 20)).save(buffer, "PNG")
    return ImagePart(buffer.getvalue(), "image/png", PICTURE_PX, PICTURE_PX)


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= _SHOWN_CHARS else line[: _SHOWN_CHARS - 1] + "…")
