"""Translator for ComfyUI: how it refuses a graph (0.3.64, read and driven 2026-11-21), whole or in part.

What is wrong stands by node in `node_errors`, and a class of nodes that is not installed in the error itself (in newer
servers with its name apart). A 200 may hold `node_errors`, too: then the outputs that are good are queued and the
others left out, and a queued graph is shown with the outputs that will run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hoasi.comfy import verdicts
from hoasi.comfy.nodes import NodeTable
from hoasi.errors import DETAIL_LIMIT, HoasiError, ProviderRefused
from hoasi.providers._outcomes import refusal

if TYPE_CHECKING:
    from hoasi.street import Reply


def refused(reply: Reply) -> HoasiError:
    """The error of a graph that was not queued, or not as a whole."""
    error = reply.fields.get("error")
    told = error if isinstance(error, dict) else {"message": error or ""}
    if class_type := _lacking(told):
        return verdicts.nodes_missing(class_type)
    facts = faults(reply)
    if facts or (reply.status == 400 and told.get("type")):
        whole = f"{told.get('message', '')} {told.get('details', '')}".strip()
        return of_nodes(facts or _told_of([], whole))
    return refusal(reply, "comfyui", detail=str(told.get("message", ""))[:DETAIL_LIMIT])


def _lacking(error: Mapping[str, Any]) -> str:
    """The class of nodes that is not installed; newer servers name it apart."""
    extra = error.get("extra_info")
    named = extra.get("class_type") if isinstance(extra, dict) and error.get("type") == "missing_node_type" else ""
    return str(named or verdicts.lacking(str(error.get("message", ""))))


def faults(reply: Reply) -> dict[str, Any]:
    """What is wrong with nodes of a graph, as facts that a receipt can hold; empty where nothing is."""
    node_errors = reply.fields.get("node_errors")
    if not node_errors:
        return {}
    return _told_of(_troubles(node_errors) if isinstance(node_errors, dict) else [], str(node_errors))


def dropped(row: Any, nodes: NodeTable) -> dict[str, Any]:
    """The same of a graph as queue and history show it: outputs that were found wrong are not among those to run."""
    graph, outputs = (row[2], row[4]) if isinstance(row, list) and len(row) > 4 else ({}, [])
    if not isinstance(graph, dict) or not isinstance(outputs, list):
        return {}
    classes = {name: node.get("class_type") for name, node in graph.items() if isinstance(node, dict)}
    lost = [f"{name} ({kind})" for name, kind in classes.items() if nodes.is_output(kind) and name not in outputs]
    return _told_of(lost, "") if lost else {}


def of_nodes(facts: Mapping[str, Any]) -> ProviderRefused:
    """The error that names the nodes."""
    return ProviderRefused("comfy_refused", provider="comfyui", **facts)


def _told_of(troubles: list[str], whole: str) -> dict[str, Any]:
    return {"troubles": ("; ".join(troubles[:3]) or whole)[:DETAIL_LIMIT], "count": len(troubles)}


def _troubles(node_errors: Mapping[str, Any]) -> list[str]:
    """`lora1 (LoraLoader): value_not_in_list, lora_name: ...` of each error of each node."""
    return [
        f"{name} ({row.get('class_type', '?')}): {error.get('type', '')}, {error.get('details', '')}"
        for name, row in node_errors.items()
        if isinstance(row, dict)
        for error in row.get("errors") or [{}]
        if isinstance(error, dict)
    ]
