"""What went wrong with one try, sorted by what may be done about it."""

from __future__ import annotations

import re

from docrag.errors import ContextOverflow, DocragError, ModelError, ModelUnavailable
from docrag.http.faults import RETRIED_STATUS, refusal, shortened, without_keys


class TransientFault(ModelUnavailable):
    """The try failed in a way that another may not. `retry_after_s` is how long the server asks to wait."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class FeatureRefused(ModelError):
    """The server does not take a part of a request; the model leaves it out from now on, and says so."""


class ImagesRefused(ModelError):
    """The model takes no pictures."""


_OVERFLOW = re.compile(
    r"context.?length|context.?window|context.?size|maximum.context|max_model_len|maximum model length"
    r"|too many (input )?tokens|(prompt|input) is too long"
    r"|exceeds? the (available|maximum) (context|number of tokens)",
    re.IGNORECASE,
)
_PICTURE = (
    r"(?:image|vision|picture|multi-?modal)"
    r"(?!s?[ _-](?:format|type|size|mime|media|encoding|resolution|file))"
)
_IMAGES = re.compile(
    r"not (?:a )?multi-?modal|mmproj|at most 0 image|image_url is only|no endpoints found that support image"
    r"|unknown variant .?image_url|(?:content|input) (?:must|should) be a (?:valid )?string|expected a string"
    r"|missing data required for image"
    rf"|{_PICTURE}\w*(?: \w+){{0,2}} (?:is |are )?(?:not|only|un)[ -]?(?:yet )?(?:support|enabl|allow|accept)"
    rf"|(?:not|n't) (?:support|accept|allow|have|handle|take)\w*(?: \w+){{0,2}} {_PICTURE}",
    re.IGNORECASE,
)
"""How servers say that a model takes no pictures at all; a picture that is broken is another matter."""

_TOO_MANY_IMAGES = re.compile(r"at most ([1-9]\d*) image|too many images", re.IGNORECASE)
_NO_CREDIT = re.compile(r"insufficient_quota|billing|credit balance", re.IGNORECASE)


def http_fault(
    status: int, detail: str, *, where: str, n_images: int = 0, retry_after_s: float | None = None
) -> ModelError:
    """Return the error for an HTTP status that is no success.

    `detail` is the server's own words, `where` names endpoint and model. With `n_images` sent, a refusal that
    speaks of pictures is `ImagesRefused`.
    """
    said = f"HTTP {status} {shortened(detail)}".rstrip()
    if _OVERFLOW.search(detail) or status == 413:
        return ContextOverflow(
            f"{where}: the prompt does not fit ({said}); send fewer pages, lower their dpi, or set"
            " context_tokens to what the server has"
        )
    if n_images and status not in RETRIED_STATUS - {500} and status not in (401, 403):
        if _TOO_MANY_IMAGES.search(detail):
            return ModelError(f"{where}: {n_images} pictures are too many ({said}); set max_images")
        if _IMAGES.search(detail):
            return ImagesRefused(
                f"{where}: refuses pictures ({said}); use a vision-language model, or set max_images: 0"
            )
    if status == 429 and _NO_CREDIT.search(detail):
        return ModelError(f"{where}: the account has no credit ({said})")
    problem = f"{where}: {refusal(status, detail)}"
    if status in RETRIED_STATUS:
        return TransientFault(problem, retry_after_s=retry_after_s)
    return ModelError(problem)


def fault_of(error: Exception, *, where: str, n_images: int = 0) -> DocragError:
    """Return docrag's error for what a LangChain model of another package raised.

    Such packages share no base class, but their HTTP errors carry a status, and the others are named for what
    happened.
    """
    if isinstance(error, DocragError):
        return error
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    text = without_keys(shortened(f"{type(error).__name__}: {error}"))
    for one in chain:
        status = getattr(one, "status_code", None) or getattr(
            getattr(one, "response", None), "status_code", None
        )
        if isinstance(status, int) and status >= 300:
            return http_fault(status, text, where=where, n_images=n_images)
    names = " ".join(base.__name__ for one in chain for base in type(one).__mro__)
    if any(isinstance(one, OSError) for one in chain) or re.search(r"Timeout|Connect|TransportError", names):
        return TransientFault(f"{where}: {text}")
    if _OVERFLOW.search(text):
        return ContextOverflow(f"{where}: the prompt does not fit ({text})")
    return ModelError(f"{where}: {text}")
