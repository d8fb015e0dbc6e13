"""Imported by every process of the server: the tests' socket guard, and a torchvision that can be imported.

vLLM's processors of Qwen models import torchvision and use nothing of its compiled part, which may be a build
for CUDA beside a torch for the processor.
"""

from __future__ import annotations

import runpy
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[3]


class _BeforeTorchvision(MetaPathFinder):
    """Declares the operators when torchvision is looked for, and finds nothing itself."""

    def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            sys.path.append(str(_ROOT))
            from tests.visual.tiny_checkpoints import declare_torchvision_operators

            declare_torchvision_operators()
            sys.path.remove(str(_ROOT))
        return None


runpy.run_path(str(_ROOT / "tests" / "socket_guard" / "sitecustomize.py"))
sys.meta_path.insert(0, _BeforeTorchvision())
