"""Room: sandbox. What a ComfyUI server says to a graph before it queues it: its own error types and words.

Written after the verdicts of a real 0.3.64 on broken graphs (read 2026-11-21). Each output node is checked with all
that it hangs on; what one good output needs is queued even when another output is bad. Not checked there and not here:
`step`, the contents of files, `filename_prefix`, whether a LoRA fits.

Newer servers differ, as their notes tell (not run): from 0.25 a prompt id must be a lower-case hyphened UUID, from 0.36
an unknown class is `missing_node_type`, and `details` repeats the first error of a node.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hoasi.sandbox.comfyui_nodes import Config, Graph, Node, Nodes

Problem = dict[str, Any]
Version = tuple[int, ...]
STRICT_IDS: Version = (0, 25)
NEW_WORDS: Version = (0, 36)
MOST_LISTED = 20
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FILES = {"LoadImage", "LoadImageMask"}  # their file is looked for, not compared with the list
_NOWHERE = (KeyError, IndexError, TypeError)  # what following a link to nowhere raises, on the server and here
_MAKE: dict[str, Callable[[Any], Any]] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


@dataclass(frozen=True)
class Verdict:
    """What was found: an error that keeps the graph out, or the outputs that are queued; and what is wrong per node."""

    outputs: tuple[str, ...] = ()
    error: Problem | None = None
    node_errors: Mapping[str, Any] = field(default_factory=dict)


def version_of(text: str) -> Version:
    """Read `0.3.64` as numbers that compare."""
    return tuple(int(part) for part in text.split("."))


def is_prompt_id(text: object, version: Version) -> bool:
    """Say whether a server of this version takes a prompt id."""
    return version < STRICT_IDS or (isinstance(text, str) and _UUID.fullmatch(text) is not None)


def problem(kind: str, message: str, details: str = "", **extra: object) -> Problem:
    """Return one error in the server's shape."""
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def judge(
    graph: Graph, nodes: Nodes, has_file: Callable[[str], bool], *, version: Version, only: Iterable[str] | None = None
) -> Verdict:
    """Check a graph; numbers given as text are made numbers in it, as the server does. `only` = these outputs."""
    for node_id, entry in graph.items():
        if error := _unknown(node_id, entry, nodes, version):
            return Verdict(error=error)
    wanted = None if only is None else set(only)
    outputs = [name for name in graph if _node(graph, name, nodes).is_output and (wanted is None or name in wanted)]
    if not outputs:
        return Verdict(error=problem("prompt_no_outputs", "Prompt has no outputs"))
    return _verdict(_Check(graph, nodes, has_file), outputs, version)


def _verdict(check: _Check, outputs: list[str], version: Version) -> Verdict:
    node_errors: dict[str, Any] = {}
    good = [output for output in outputs if check.is_good_output(output)]
    for output in (name for name in outputs if name not in good):
        for node_id, problems in check.found.items():
            if problems:
                entry = {"errors": problems, "dependent_outputs": [], "class_type": check.graph[node_id]["class_type"]}
                node_errors.setdefault(node_id, entry)["dependent_outputs"].append(output)
    if good:
        return Verdict(tuple(good), node_errors=node_errors)
    own = [f"{p['message']}: {p['details']}" for output in outputs for p in check.found.get(output, [])]
    if version >= NEW_WORDS:
        own = own or [f"{p['message']}: {p['details']}" for e in node_errors.values() for p in e["errors"]][:1]
    kind, words = "prompt_outputs_failed_validation", "Prompt outputs failed validation"
    return Verdict(error=problem(kind, words, "\n".join(own)), node_errors=node_errors)


def _unknown(node_id: str, entry: object, nodes: Nodes, version: Version) -> Problem | None:
    place = f"Node ID '#{node_id}'"
    if not isinstance(entry, dict) or "class_type" not in entry:
        words = "Cannot execute because a node is missing the class_type property."
        return problem("invalid_prompt", words, place)
    name = entry["class_type"]
    if nodes.get(name) is not None:
        return None
    words = f"Cannot execute because node {name} does not exist."
    if version < NEW_WORDS:
        return problem("invalid_prompt", words, place)
    title = entry.get("_meta", {}).get("title", name)
    return problem("missing_node_type", words, place, node_id=node_id, class_type=name, node_title=title)


def _node(graph: Graph, node_id: str, nodes: Nodes) -> Node:
    node = nodes.get(graph[node_id]["class_type"])  # a KeyError names the absent node: the server shows it
    if node is None:
        raise KeyError(node_id)
    return node


class _Check:
    """One walk over a graph; `found` holds what is wrong with each node that was reached."""

    def __init__(self, graph: Graph, nodes: Nodes, has_file: Callable[[str], bool]) -> None:
        self.graph = graph
        self.found: dict[str, list[Problem]] = {}
        self._nodes = nodes
        self._has_file = has_file
        self._good: dict[str, bool] = {}
        self._open: set[str] = set()

    def is_good_output(self, node_id: str) -> bool:
        """Check an output node and all that it hangs on."""
        try:
            return self.is_good(node_id)
        except _NOWHERE as error:
            told = {"exception_type": type(error).__name__, "traceback": []}
            words = "Exception when validating node"
            self.found[node_id] = [problem("exception_during_validation", words, str(error), **told)]
            return False

    def is_good(self, node_id: str) -> bool:
        """Check a node and all that it hangs on; a node that hangs on itself is bad, without a word."""
        if node_id in self._open:
            return False
        if node_id not in self._good:
            self._open.add(node_id)
            try:
                problems, hangs_well = self._look(node_id)
            finally:
                self._open.discard(node_id)
            self.found[node_id] = problems
            self._good[node_id] = hangs_well and not problems
        return self._good[node_id]

    def _look(self, node_id: str) -> tuple[list[Problem], bool]:
        problems: list[Problem] = []
        hangs_well = True
        node, given = _node(self.graph, node_id, self._nodes), self.graph[node_id].get("inputs", {})
        for name, config in node.inputs():
            if name not in given:
                if name in node.required:
                    words = "Required input is missing"
                    problems.append(problem("required_input_missing", words, name, input_name=name))
            elif isinstance(given[name], list):
                found = self._bad_link(name, config, given[name])
                problems += [found] if found else []
                hangs_well = hangs_well and (found is not None or self._source(name, config, given[name]))
            else:
                problems += _bad_value(name, config, given, None if node.name not in _FILES else self._has_file)
        return problems, hangs_well

    def _bad_link(self, name: str, config: Config, link: list[Any]) -> Problem | None:
        """Check a link itself. Raises KeyError or IndexError where it leads nowhere, as the server does inside."""
        told: dict[str, Any] = {"input_name": name, "input_config": list(config)}
        if len(link) != 2:
            words = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            return problem("bad_linked_input", words, name, **told, received_value=link)
        given, wanted = _node(self.graph, link[0], self._nodes).outputs[link[1]], config[0]
        if given == wanted or "*" in (given, wanted):
            return None
        details = f"{name}, received_type({given}) mismatch input_type({wanted})"
        told |= {"received_type": given, "linked_node": link}
        return problem("return_type_mismatch", "Return type mismatch between linked nodes", details, **told)

    def _source(self, name: str, config: Config, link: list[Any]) -> bool:
        """Check the node at the other end; where its own links lead nowhere, that is written down as its problem."""
        try:
            return self.is_good(link[0])
        except _NOWHERE as error:
            told = {"exception_message": str(error), "exception_type": type(error).__name__, "traceback": []}
            place = {"input_name": name, "input_config": list(config)}
            words = "Exception when validating inner node"
            inner = problem("exception_during_inner_validation", words, str(error), **place, **told, linked_node=link)
            self.found[link[0]], self._good[link[0]] = [inner], False
            return False


def _bad_value(
    name: str, config: Config, given: dict[str, Any], has_file: Callable[[str], bool] | None
) -> list[Problem]:
    told: dict[str, Any] = {"input_name": name, "input_config": list(config)}
    kind, options = config
    value = given[name]
    if make := _MAKE.get(str(kind)):
        try:
            given[name] = value = make(value)
        except (TypeError, ValueError) as error:
            words = f"Failed to convert an input value to a {kind} value"
            told |= {"received_value": value, "exception_message": str(error)}
            return [problem("invalid_input_type", words, f"{name}, {value}, {error}", **told)]
    if has_file is not None and name == "image":
        words, details = "Custom validation failed for node", f"image - Invalid image file: {value}"
        return [] if has_file(str(value)) else [problem("custom_validation_failed", words, details, input_name=name)]
    return list(_out_of_range(name, value, kind, options, told))


def _out_of_range(
    name: str, value: Any, kind: Any, options: Mapping[str, Any], told: dict[str, Any]
) -> Iterator[Problem]:
    told["received_value"] = value
    if "min" in options and value < options["min"]:
        yield problem("value_smaller_than_min", f"Value {value} smaller than min of {options['min']}", name, **told)
    elif "max" in options and value > options["max"]:
        yield problem("value_bigger_than_max", f"Value {value} bigger than max of {options['max']}", name, **told)
    elif isinstance(kind, list) and value not in kind:
        is_long = len(kind) > MOST_LISTED
        told["input_config"] = None if is_long else told["input_config"]
        listed = f"(list of length {len(kind)})" if is_long else str(kind)
        yield problem("value_not_in_list", "Value not in list", f"{name}: '{value}' not in {listed}", **told)
