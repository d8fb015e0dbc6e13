"""Settings from presets, files, the environment and the command line, with the origin of every value."""

from docrag.config.load import Loaded, load, load_recorded, load_run, load_settings
from docrag.config.origins import DEFAULT, Layer

__all__ = ["DEFAULT", "Layer", "Loaded", "load", "load_recorded", "load_run", "load_settings"]
