"""What `docrag doctor` says about one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `mend` is the next step when it is a problem."""

    name: str
    state: State
    detail: str
    mend: str = ""
