"""Doors (floor 5): JSON Schemas as small as they can be said; every byte is read by a model at every session."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache
from typing import Any, cast, get_args, get_type_hints

from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata

_UNSAID = frozenset(
    {
        *("title", "default", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"),
        "additionalProperties",  # said of the parameters; of an object within them it is noise
    }
)
"""Left to the descriptions, in words: several clients drop or rewrite these, and we check them anyway."""


def slim(
    schema: dict[str, Any],
    fields: Collection[str],
    *,
    first: Collection[str] = (),
    silent: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """An input schema without titles, references, nulls, defaults and bounds; what it allows is a superset.

    A parameter that may be absent need not say that it may be null as well. Own parameters come `first`; `silent`
    ones are explained by another tool. Only a schema that names all `fields` that are taken says that there are no
    others: a client that holds to it can send the unnamed ones too.
    """
    definitions = schema.get("$defs", {})
    known = schema.get("properties", {})
    order = [*(name for name in known if name in first), *(name for name in known if name not in first)]
    said = {name: _slim(known[name], definitions) for name in order}
    for name in silent & said.keys():
        said[name] = _bare(said[name])
    rest = {"required": schema["required"]} if "required" in schema else {}
    closed = {"additionalProperties": False} if said.keys() == set(fields) else {}
    return {"type": "object", "properties": said, **rest, **closed}


def _bare(node: dict[str, Any]) -> dict[str, Any]:
    """Only of what type it is, and its elements are."""
    return {name: _bare(node[name]) if name == "items" else node[name] for name in node if name in {"type", "items"}}


def _slim(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_slim(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    node = _plain(node, definitions)
    return {
        name: {key: _slim(value, definitions) for key, value in child.items()}
        if name == "properties"
        else _slim(child, definitions)
        for name, child in node.items()
        if name not in _UNSAID
    }


def _plain(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A node with its reference and its only real choice put in place; its own words win."""
    choices = [choice for choice in node.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        rest = {name: value for name, value in node.items() if name != "anyOf"}
        return _plain({**choices[0], **rest}, definitions)
    if "$ref" in node:
        rest = {name: value for name, value in node.items() if name != "$ref"}
        target = {k: v for k, v in definitions[node["$ref"].rpartition("/")[2]].items() if k != "description"}
        return _plain({**target, **rest}, definitions)
    return node


def returned(fn: Callable[..., Any]) -> Any:
    """The record of a tool's structured content: what its return type `Annotated[CallToolResult, ...]` names."""
    named = get_args(get_type_hints(fn, include_extras=True)["return"])[1:]
    return named[0] if named else None


@cache
def output_schema(model: Any) -> dict[str, Any]:
    """As the SDK derives it, but once: almost all tools return the same record, and a client waits meanwhile."""
    schema = FuncMetadata(arg_model=ArgModelBase, output_model=model).output_schema
    return cast("dict[str, Any]", _untitled(schema))


def _untitled(node: Any) -> Any:
    """The same schema without titles and without the docstrings of our records."""
    if isinstance(node, list):
        return [_untitled(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        name: {key: _untitled(value) for key, value in child.items()}
        if name in {"properties", "$defs"}
        else _untitled(child)
        for name, child in node.items()
        if name not in {"title", "description"}
    }
