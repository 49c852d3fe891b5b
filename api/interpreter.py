"""What a long-lived process sets in Python itself, once the house is open."""

from __future__ import annotations

import gc
import sys

_SWITCH = 0.0005
_NEW_OBJECTS, _YOUNGER, _OLDER = 10_000, 20, 50


def tune() -> None:
    """The token's thread gets its turn in time, and the collector leaves alone what stays.

    A busy thread holds the interpreter's lock for a whole interval before the token's thread gets
    it back: at the default 5 ms the token signs twenty times slower. And a document signed makes a
    few hundred objects: at the default of 700 the collector walks them, and everything loaded at
    start, several times for each group of documents, which costs one signature in fifty.
    """
    sys.setswitchinterval(_SWITCH)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, _YOUNGER, _OLDER)
