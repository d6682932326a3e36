"""The annotated AVVP: weakly-supervised audio-visual video parsing, one idea a module."""

from avvp.errors import AvvpError
from avvp.events import LABELS, Parsing, decode

__all__ = ["LABELS", "AvvpError", "Parsing", "decode"]
__version__ = "0.1.0"
