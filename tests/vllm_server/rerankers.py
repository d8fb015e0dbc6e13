"""A tiny cross-encoder that vLLM serves: ``python -m tests.vllm_server.rerankers FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.visual.tiny_rerankers import save_classifier

if __name__ == "__main__":
    save_classifier(Path(sys.argv[1]), n_labels=1, head_dim=64)
