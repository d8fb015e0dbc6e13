"""Device and number type of a page encoder."""

from docrag.devices import choose_device as choose_device
from docrag.devices import choose_dtype as choose_dtype
