"""Take off the part of a question that says how to write the answer, not what to look for.

"What was the revenue? Round to two decimals and answer in list format." should not find pages on lists.
"""

from __future__ import annotations

import re

_SENTENCE_BREAK = re.compile(
    r"(?<=[.?!;])\s+|\n+|(?<=[?!])(?=(?:please|answer|write|round|format|return|give|save|directly)\b)",
    re.IGNORECASE,
)
_POLITE = r"(?:(?:please|kindly|directly|just|and|then|your|the)\s+)*"
_FORM = (
    r"answers?|format(?:ted)?|integers?|int|floats?|strings?|decimals?|lists?|json|yyyy|dd|percentages?"
    r"|(?:ascending|descending|alphabetical)\s+order|one\s+word|words\s+only|numbers?\s+only"
)
_INSTRUCTION = re.compile(
    rf"""^\W*{_POLITE}(?:
        (?:write|give|provide|return|save|present|express|output|show|state|put|represent|list|use|keep|report)\b
            .*\b(?:{_FORM})\b
      | (?:answers?|round(?:ed)?|format)\b
      | (?:output|response|result)\b.*\b(?:should|must)\b
      | (?:e\.\s?g\.?|for\s+(?:example|instance))\W
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_TAIL = re.compile(
    r"""[\s,;.(]*(?:please\s+)?(?:
        \b(?:directly\s+)?answer\s+(?:in|with|as|by|using|either|yes|no|['"])
      | \bround(?:ed)?\s+(?:your|the|it|to|off|up)\b
      | \bin\s+(?:an?\s+)?(?:list|int(?:eger)?|float|string|decimal|json)\s+format\b
      | \b(?:e\.\s?g\.|for\s+example)\s*[,:]?\s*(?=[\["'(])
    )[^?]*$""",
    re.IGNORECASE | re.VERBOSE,
)
_MIN_WORDS = 3


def without_instructions(question: str) -> str:
    """Return `question` without sentences and endings about the form of the answer.

    A question is never taken off, and what is left has at least three words; else it stays as it was.

    Examples
    --------
    >>> without_instructions("How old is the house? Please write the answer in integer format.")
    'How old is the house?'
    >>> without_instructions("Format the report on page 3.")
    'Format the report on page 3.'
    """
    sentences = [s.strip() for s in _SENTENCE_BREAK.split(question) if s.strip()]
    asked = [s for s in sentences if s.endswith("?") or not _INSTRUCTION.match(s)]
    kept = [_cut_tail(s) for s in asked]
    result = " ".join(kept)
    return result if len(result.split()) >= _MIN_WORDS else " ".join(sentences)


def _cut_tail(sentence: str) -> str:
    shorter = _TAIL.sub("", sentence)
    return shorter if len(shorter.split()) >= _MIN_WORDS else sentence
