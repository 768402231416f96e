"""Extensions: what the conformance suite needs besides the product, in the source tree's `conformance/fixtures`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Protocol, cast

from mcp.server.mcpserver import MCPServer

from hoasi.errors import NotFound
from hoasi.extensions.tasks import Keeper

FOLDER = Path(__file__).parents[3] / "conformance" / "fixtures"
_NAME = "hoasi_conformance_fixtures"


class Fixtures(Protocol):
    """The module."""

    keeper: Keeper
    """Of the tasks that its tools begin."""

    def dress(self, server: MCPServer[Any]) -> Mapping[str, Any]:
        """Adds its tools, prompts and resources; gives the options of the HTTP transport."""
        ...


def load(folder: Path = FOLDER) -> Fixtures:
    """The fixtures.

    Raises:
        NotFound: this is no source tree.
    """
    spec = spec_from_file_location(_NAME, folder / "__init__.py", submodule_search_locations=[str(folder)])
    if spec is None or spec.loader is None or not (folder / "__init__.py").is_file():
        raise NotFound("fixtures_missing", folder=folder)
    module = module_from_spec(spec)
    sys.modules[_NAME] = module
    spec.loader.exec_module(module)
    return cast("Fixtures", module)
