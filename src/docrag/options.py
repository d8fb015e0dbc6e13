"""What all settings have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Base of settings: a key that is not known is an error, and nothing changes once it is read."""

    # pydantic's own messages would repeat what they were given, keys among it.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
