"""The marker that fences document text in prompts: the same for every question to one state of an index.

Equal questions then give equal prompts, so that an answer can be repeated and a server's prefix cache helps.
No document can hold the marker, since it is made of the random ids that documents get when they are indexed,
after they were written: adding or changing one changes the marker.
"""

from __future__ import annotations

import hashlib

from docrag.chat.fence import MakeMarker
from docrag.store.reader import IndexReader

_DIGITS = 16  # 64 bits, as docrag.chat.fence.random_marker


def marker_of(corpus: IndexReader) -> MakeMarker:
    """Return what gives the marker of this state of an index."""
    ids = "\n".join(sorted(corpus.ingest_ids().values()))
    marker = hashlib.sha256(f"docrag fence\n{ids}".encode()).hexdigest()[:_DIGITS]
    return lambda: marker
