"""What servers and workers say of a graph that they do not run (floor 2, pure): sorted by what a caller has to do."""

from __future__ import annotations

import re

from hoasi.comfy.nodes import pack_of
from hoasi.errors import ProviderRefused
from hoasi.record import Paid

_LACKS = re.compile(r"node (\S.*?) does not exist")
_MEMORY = re.compile(r"OutOfMemory|out of memory", re.IGNORECASE)


def lacking(words: str) -> str:
    """The class of nodes that is said not to be installed; "" when something else is said."""
    found = _LACKS.search(words)
    return "" if found is None else found[1]


def nodes_missing(class_type: str, paid: Paid = "no") -> ProviderRefused:
    """The error that names the node and the pack to install."""
    return ProviderRefused("comfy_nodes_missing", nodes=class_type, packs=pack_of(class_type) or "?", paid=paid)


def is_memory(words: str) -> bool:
    """Whether graphics memory ran out."""
    return _MEMORY.search(words) is not None
