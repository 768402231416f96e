"""What four makers' models speak, as far as a scripted one must: tools and results read, a call or words told.

Clients want it streamed, so everything is told as server-sent events, each answer in one piece.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from model import Call, Model, offered
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Json = Mapping[str, Any]


class Wire(ABC):
    """One way to speak with a model."""

    path: ClassVar[str]
    last_line: ClassVar[str] = ""

    def app(self, model: Model) -> Starlette:
        """Serve a model that is spoken with in this way, and in no other."""

        async def turn(request: Request) -> Response:
            body = await request.json()
            tools = {str(tool["name"]): tool for tool in self._tools(body)}
            said = model.turn([*tools], dict(self._results(body)))
            if isinstance(said, str):
                events = self._words(said)
            else:
                events = self._call(said, tools[offered(said.tool, [*tools]) or ""])
            return Response("".join(map(_event, events)) + self.last_line, media_type="text/event-stream")

        return Starlette(routes=[Route(self.path, turn, methods=["POST"])])

    @abstractmethod
    def _tools(self, body: Json) -> Iterator[Json]: ...

    @abstractmethod
    def _results(self, body: Json) -> Iterator[tuple[str, object]]: ...

    @abstractmethod
    def _words(self, words: str) -> list[Json]: ...

    @abstractmethod
    def _call(self, call: Call, tool: Json) -> list[Json]: ...


def _event(event: Json) -> str:
    name = f"event: {event['type']}\n" if "type" in event else ""
    return f"{name}data: {json.dumps(event)}\n\n"


class Messages(Wire):
    """Anthropic's Messages."""

    path = "/v1/messages"

    def _tools(self, body: Json) -> Iterator[Json]:
        yield from body.get("tools", ())

    def _results(self, body: Json) -> Iterator[tuple[str, object]]:
        for message in body["messages"]:
            for part in message["content"] if isinstance(message["content"], list) else ():
                if part["type"] == "tool_result":
                    yield part["tool_use_id"], part["content"]

    def _words(self, words: str) -> list[Json]:
        return self._block({"type": "text", "text": ""}, {"type": "text_delta", "text": words}, "end_turn")

    def _call(self, call: Call, tool: Json) -> list[Json]:
        block = {"type": "tool_use", "id": call.id, "name": tool["name"], "input": {}}
        arguments = {"type": "input_json_delta", "partial_json": json.dumps(call.arguments)}
        return self._block(block, arguments, "tool_use")

    def _block(self, start: Json, delta: Json, reason: str) -> list[Json]:
        usage = {"input_tokens": 1, "output_tokens": 1}
        message: dict[str, Any] = {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "model": "scripted",
            "content": [],
        }
        message |= {"stop_reason": None, "stop_sequence": None, "usage": usage}
        return [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": start},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage},
            {"type": "message_stop"},
        ]


class Responses(Wire):
    """OpenAI's Responses."""

    path = "/v1/responses"

    def _tools(self, body: Json) -> Iterator[Json]:
        for tool in body.get("tools", ()):
            if tool["type"] == "namespace":  # an MCP server's tools, one bundle
                yield from ({**inner, "namespace": tool["name"]} for inner in tool["tools"])
            elif "name" in tool:
                yield tool

    def _results(self, body: Json) -> Iterator[tuple[str, object]]:
        for item in body["input"]:
            if item["type"] == "function_call_output":
                yield item["call_id"], item["output"]

    def _words(self, words: str) -> list[Json]:
        content = [{"type": "output_text", "text": words, "annotations": []}]
        return self._item({"type": "message", "role": "assistant", "id": "msg_1", "content": content})

    def _call(self, call: Call, tool: Json) -> list[Json]:
        item = {"type": "function_call", "id": f"fc_{call.id}", "call_id": call.id, "name": tool["name"]}
        inside = {"namespace": tool["namespace"]} if "namespace" in tool else {}
        return self._item({**item, **inside, "arguments": json.dumps(call.arguments)})

    def _item(self, item: Json) -> list[Json]:
        usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        return [
            {"type": "response.created", "response": {"id": "resp_1"}},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": {"id": "resp_1", "output": [item], "usage": usage}},
        ]


class Chat(Wire):
    """OpenAI's Chat Completions, which many others speak too."""

    path = "/v1/chat/completions"
    last_line = "data: [DONE]\n\n"

    def _tools(self, body: Json) -> Iterator[Json]:
        yield from (tool["function"] for tool in body.get("tools", ()) if tool["type"] == "function")

    def _results(self, body: Json) -> Iterator[tuple[str, object]]:
        for message in body["messages"]:
            if message["role"] == "tool":
                yield message["tool_call_id"], message["content"]

    def _words(self, words: str) -> list[Json]:
        return self._chunks({"content": words}, "stop")

    def _call(self, call: Call, tool: Json) -> list[Json]:
        function = {"name": tool["name"], "arguments": json.dumps(call.arguments)}
        called = {"index": 0, "id": call.id, "type": "function", "function": function}
        return self._chunks({"tool_calls": [called]}, "tool_calls")

    def _chunks(self, delta: Json, reason: str) -> list[Json]:
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        chunk = {"id": "chat_1", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
        said = {"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": None}
        ended = {"index": 0, "delta": {}, "finish_reason": reason}
        return [{**chunk, "choices": [said]}, {**chunk, "choices": [ended], "usage": usage}]


class Gemini(Wire):
    """Google's generateContent."""

    path = "/v1beta/models/{name}:streamGenerateContent"

    def _tools(self, body: Json) -> Iterator[Json]:
        for tool in body.get("tools", ()):
            yield from tool.get("functionDeclarations", ())

    def _results(self, body: Json) -> Iterator[tuple[str, object]]:
        for content in body["contents"]:
            for part in content["parts"]:
                if "functionResponse" in part:
                    yield part["functionResponse"]["id"], part["functionResponse"]["response"]

    def _words(self, words: str) -> list[Json]:
        return self._part({"text": words})

    def _call(self, call: Call, tool: Json) -> list[Json]:
        return self._part({"functionCall": {"id": call.id, "name": tool["name"], "args": call.arguments}})

    def _part(self, part: Json) -> list[Json]:
        candidate = {"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [part]}}
        usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
        return [{"candidates": [candidate], "usageMetadata": usage}]


WIRES: Mapping[str, Wire] = {"messages": Messages(), "responses": Responses(), "chat": Chat(), "gemini": Gemini()}
