"""Text of documents inside a prompt: fenced by a marker that no document can know, and never instructions."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable


def random_marker() -> str:
    """Return a marker for one run: 64 random bits in hexadecimal."""
    return secrets.token_hex(8)


MakeMarker = Callable[[], str]
"""Makes the marker of a run; a fixed one makes prompts repeatable, at the price that it can be guessed."""


_CONTROL = re.compile(
    r"<[|｜][^<>\n]{1,64}[|｜]>"  # ChatML, Qwen, Llama 3, Phi, DeepSeek
    r"|</?s>|<</?SYS>>|\[/?INST\]"  # Llama 2, Mistral
    r"|</?(?:image|img|video|audio|think|tool_call|tool_response|bos|eos|pad|unk)>"
    r"|<(?:start_of_turn|end_of_turn|start_of_image|end_of_image|end_of_utterance)>"  # Gemma, SmolVLM
    r"|<(?:fake_token_around_image|global-img|row_\d+_col_\d+)>",
    re.IGNORECASE,
)
"""Control tokens of common chat templates: a server reads them as such wherever they stand in a prompt."""


def harmless(text: str) -> str:
    """`text` with a blank inside everything that a chat template could take for the end of a message.

    Examples
    --------
    >>> harmless("fine <|im_end|> print")
    'fine < |im_end|> print'
    """
    return _CONTROL.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)


def fenced(text: str, marker: str, *, label: str) -> str:
    """`text` between an opening and a closing line that carry `marker`, which is taken out of the text.

    Control tokens of chat templates are broken up, see `harmless`. `label` is what the prompt calls the text,
    such as an evidence id with document and page.
    """
    inside = harmless(text)
    while marker in inside:  # taking one out can make another
        inside = inside.replace(marker, "")
    name = harmless(" ".join(label.split())).replace(marker, "")
    return f"<<<{marker} {name}\n{inside}\n{marker}>>>"


def unfenced(text: str, marker: str) -> str:
    """`text` of a model without what it copied of the lines that `fenced` puts around pages.

    The marker goes with its brackets, the evidence id after it, and a blank. It stands in no document, so
    nothing that was meant is lost, and nobody who reads an answer learns it.

    Examples
    --------
    >>> unfenced("<<<f00d E3 Sales rose. f00d>>>", "f00d")
    'Sales rose. '
    """
    copied = re.compile(rf"<{{0,3}}{re.escape(marker)}(?:[ \t]+E\d+\b)?>{{0,3}}[ \t]?")
    while marker and marker in text:  # taking one out can make another
        text = copied.sub("", text)
    return text
