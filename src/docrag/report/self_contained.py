"""A template made into one HTML file that fetches nothing and runs nothing, whatever a document says."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from docrag.report.printable import printable


def rendered(templates: Path, template: str, /, *, css: str, **values: object) -> str:
    """The `template` in `templates` with `values`; every text is escaped, and only `css` may style the page.

    The template says so by ``css`` and ``style_hash``, the sha256 of it for a content security policy.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    style_hash = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode("ascii")
    return environment.get_template(template).render(css=css, style_hash=style_hash, **values)


def _shown(value: object) -> object:
    """Make every text printable; our own style sheet is marked as safe and stays as its hash wants it."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
