#!/usr/bin/env python3
"""A stand-in for servers that speak OpenAI's HTTP API, for tests. Python's standard library only.

Prints `PORT <n>` and serves 127.0.0.1 until its standard input ends. The first part of the path chooses how it behaves,
so a test picks by base_url: http://127.0.0.1:PORT/<scenario>/v1. A scenario may carry an id after a dot (`flaky.7`):
counts are kept per scenario and id.

    ok               answers: calls every offered tool when the last message is the user's, else speaks
    odd              as ok, the stream cut at odd places, CRLF line ends, comments in between
    plain            ignores `stream`: always one JSON text
    no_options       refuses `stream_options` with 400
    no_stream        refuses `stream` with 400
    whole_calls      tool calls arrive whole, without `index`, as some compatible servers send them
    key              401 unless the key is `sk-test-0123456789`
    flaky            500 twice, then ok          limited     429 with Retry-After: 1 once, then ok
    quota            429 insufficient_quota      patient     429 with Retry-After: 3600
    down             503 always                  bad         400 with an error body
    backoff          429 with x-ratelimit headers of 300 ms once, then ok
    exhausted        ok, and its headers say that nothing is left for 400 ms
    overflow_openai, overflow_llama, overflow_vllm
                     400: the request is too long, in that server's own words
    slow             ok after half a second      stalled     the stream's first events without text, then nothing
    hang             never answers               silent      half a stream, then nothing
    cut              half a stream, then the connection ends
    early_cut        the headers, then the connection ends; ok from the second request on
    late_error       an error event inside the stream
    garbage          200 with bytes that are no event stream
    html             502 with a page of HTML     redirect    302 to another host
    huge             an endless body             headers     endless headers
    length           stops at the token limit    refusal     a refusal
    structured       answers {"city": "Paris"} as text
    told             the same, when the schema is in its instructions instead
    fenced           the same, inside of a code fence
    misfit           {"city": 5} first, {"city": "Paris"} once it is told so; misfit_always never learns
    silly            prose instead of JSON, always
    cut_json         stops at the token limit within the JSON
    reasoning        thinks first, and wants its sealed thinking back with the results of calls (Responses)
    embed_short, embed_ragged
                     POST /embeddings with too few vectors, with vectors of different lengths
GET /peer gives the port the request came from.
GET /requests/<scenario> gives the requests seen there as a JSON array of {"path", "headers", "body"}.
With SABIR_STAND_IN_RECORD, a folder, each exchange is written there as a line of JSON: {"scenario", "path", "request", and "status"
and "answer" or "events"}; tests/models/test_openai_document.py reads them.
"""
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHAT_FIELDS = set(
    "metadata top_logprobs temperature top_p user safety_identifier prompt_cache_key messages model service_tier "
    "modalities verbosity reasoning_effort max_completion_tokens max_tokens frequency_penalty presence_penalty "
    "response_format store stop logit_bias logprobs n seed stream stream_options tools tool_choice "
    "parallel_tool_calls".split()
)
RESPONSES_FIELDS = set(
    "metadata top_logprobs temperature top_p user safety_identifier prompt_cache_key previous_response_id model "
    "max_tool_calls text tools tool_choice prompt service_tier truncation reasoning input include "
    "parallel_tool_calls store instructions stream stream_options conversation max_output_tokens background".split()
)

lock = threading.Lock()
counts = {}
seen = {}
stopping = threading.Event()


def record(**exchange):
    folder = os.environ.get("SABIR_STAND_IN_RECORD")
    if folder:
        with lock, open(os.path.join(folder, f"{os.getpid()}.jsonl"), "a") as file:
            file.write(json.dumps(exchange) + "\n")


class Refused(Exception):
    def __init__(self, status, message, param=None, code=None):
        super().__init__(message)
        self.status, self.param, self.code = status, param, code


def require(condition, message, param=None):
    if not condition:
        raise Refused(400, message, param, "invalid_value")


def check_tool_schema(tool, name, parameters):
    require(isinstance(name, str) and 0 < len(name) <= 64, "tool name must have 1 to 64 characters", "tools")
    require(all(c.isalnum() or c in "_-" for c in name), f"invalid tool name {name!r}", "tools")
    require(isinstance(parameters, dict), "tool parameters must be a JSON Schema object", "tools")


def check_chat(body):
    for field in body:
        require(field in CHAT_FIELDS, f"Unrecognized request argument supplied: {field}", field)
    require(isinstance(body.get("model"), str), "you must provide a model parameter", "model")
    messages = body.get("messages")
    require(isinstance(messages, list) and messages, "'messages' must be a non-empty array", "messages")
    waiting = []
    for message in messages:
        role = message.get("role")
        require(role in ("system", "developer", "user", "assistant", "tool"), f"invalid role {role!r}", "messages")
        if role == "tool":
            require(message.get("tool_call_id") in waiting, "tool message without its tool call", "messages")
            waiting.remove(message["tool_call_id"])
            continue
        require(not waiting, f"tool calls without an answer: {waiting}", "messages")
        if role == "assistant":
            for call in message.get("tool_calls") or []:
                require(call.get("type") == "function", "tool call type must be 'function'", "messages")
                json.loads(call["function"]["arguments"])
                waiting.append(call["id"])
            require(message.get("content") is not None or waiting, "assistant message without content", "messages")
        else:
            require(isinstance(message.get("content"), (str, list)), f"{role} message without content", "messages")
    require(not waiting, f"tool calls without an answer: {waiting}", "messages")
    for tool in body.get("tools", []):
        require(tool.get("type") == "function", "tool type must be 'function'", "tools")
        check_tool_schema(tool, tool["function"].get("name"), tool["function"].get("parameters", {}))
    if "stream_options" in body:
        require(body.get("stream") is True, "'stream_options' is only allowed when 'stream' is enabled", "stream_options")


def check_responses(body):
    for field in body:
        require(field in RESPONSES_FIELDS, f"Unknown parameter: '{field}'.", field)
    require(isinstance(body.get("model"), str), "Missing required parameter: 'model'.", "model")
    items = body.get("input")
    if isinstance(items, str):
        items = [{"role": "user", "content": items}]
    require(isinstance(items, list) and items, "Missing required parameter: 'input'.", "input")
    waiting = []
    for item in items:
        kind = item.get("type", "message")
        if kind == "message":
            require(item.get("role") in ("user", "assistant", "system", "developer"), "invalid role", "input")
            content = item.get("content")
            require(isinstance(content, (str, list)), "message without content", "input")
            if isinstance(content, list):
                wanted = ("output_text", "refusal") if item["role"] == "assistant" else ("input_text", "input_image", "input_file")
                for part in content:
                    require(part.get("type") in wanted, f"invalid content type {part.get('type')!r}", "input")
        elif kind == "reasoning":
            require(isinstance(item.get("id"), str) and isinstance(item.get("summary"), list), "bad reasoning item", "input")
            require(item.get("encrypted_content") == "sealed", "The encrypted content could not be verified.", "input")
        elif kind == "function_call":
            require(isinstance(item.get("call_id"), str) and isinstance(item.get("name"), str), "bad function_call", "input")
            json.loads(item["arguments"])
            waiting.append(item["call_id"])
        elif kind == "function_call_output":
            require(item.get("call_id") in waiting, "No tool call found for function call output.", "input")
            waiting.remove(item["call_id"])
            require(isinstance(item.get("output"), (str, list)), "output must be text", "input")
        else:
            require(False, f"invalid item type {kind!r}", "input")
    require(not waiting, f"No tool output found for function call {waiting}.", "input")
    for tool in body.get("tools", []):
        require(tool.get("type") == "function", "tool type must be 'function'", "tools")
        require("strict" in tool, "Missing required parameter: 'tools[0].strict'.", "tools")
        check_tool_schema(tool, tool.get("name"), tool.get("parameters"))


def text_of(content):
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or [])


def outline(body, chat):
    """(last user text, [tool results since then], [tool names]) of either API's request."""
    user, results = "", []
    entries = body["messages"] if chat else body["input"]
    if isinstance(entries, str):
        entries = [{"role": "user", "content": entries}]
    for entry in entries:
        if entry.get("role") == "user":
            user, results = text_of(entry["content"]), []
        elif entry.get("role") == "tool":
            results.append(text_of(entry["content"]))
        elif entry.get("type") == "function_call_output":
            results.append(text_of(entry["output"]))
    tools = [tool["function"]["name"] if chat else tool["name"] for tool in body.get("tools", [])]
    return user, results, tools


def plan(scenario, body, chat):
    """What to answer: {"text", "calls": [(id, name, arguments)], "finish", "refusal"}."""
    user, results, tools = outline(body, chat)
    answer = {"text": "", "calls": [], "finish": "stop", "refusal": "", "thought": ""}
    if scenario == "reasoning":
        answer["thought"] = "The user wants something: été."
    if scenario == "told":
        instructions = body.get("instructions") or json.dumps([m for m in body.get("messages", []) if m["role"] == "system"])
        require("JSON Schema" in instructions and not body.get("response_format") and not body.get("text"), "no schema came")
        answer["text"] = '{"city": "Paris"}'
    elif scenario in ("structured", "fenced", "misfit", "misfit_always", "silly", "cut_json"):
        form = body.get("response_format", {}).get("json_schema") if chat else body.get("text", {}).get("format")
        require(form and form.get("name") and isinstance(form.get("schema"), dict), "no schema came", "response_format")
        answer["text"] = '{"city": "Paris"}'
        if scenario == "fenced":
            answer["text"] = '```json\n{"city": "Paris"}\n```'
        elif scenario == "misfit_always" or (scenario == "misfit" and "does not fit" not in user):
            answer["text"] = '{"city": 5}'
        elif scenario == "silly":
            answer["text"] = "The city is Paris."
        elif scenario == "cut_json":
            answer["text"], answer["finish"] = '{"city": "Par', "length"
    elif scenario == "refusal":
        answer["refusal"] = "I cannot help with that."
    elif scenario == "length":
        answer["text"], answer["finish"] = "This is too lo", "length"
    elif tools and not results:
        answer["calls"] = [
            (f"call_{i}", name, json.dumps({"text": user, "number": i}, ensure_ascii=False)) for i, name in enumerate(tools)
        ]
        answer["finish"] = "tool_calls"
    elif results:
        answer["text"] = "Results: " + "; ".join(results)
    else:
        answer["text"] = f"You said: {user} (été, 日本, 😀)"
    return answer


def pieces(text, size=7):
    return [text[i : i + size] for i in range(0, len(text), size)]


USAGE_CHAT = {
    "prompt_tokens": 11, "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens": 5,
    "completion_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 16,
}
USAGE_RESPONSES = {
    "input_tokens": 11, "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
    "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 16,
}


def chat_whole(body, answer):
    message = {"role": "assistant", "content": answer["text"] or None, "refusal": answer["refusal"] or None}
    if answer["thought"]:
        message["reasoning_content"] = answer["thought"]
    if answer["calls"]:
        message["tool_calls"] = [
            {"id": i, "type": "function", "function": {"name": n, "arguments": a}} for i, n, a in answer["calls"]
        ]
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body["model"] + "-stand-in",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": answer["finish"]}],
        "usage": USAGE_CHAT,
    }


def chat_events(scenario, body, answer):
    def chunk(delta, finish=None, usage=None, choices=True):
        value = {
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": body["model"] + "-stand-in",
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}] if choices else [],
        }
        if usage:
            value["usage"] = usage
        return None, value

    yield chunk({"role": "assistant", "content": ""})
    for piece in pieces(answer["thought"]):
        yield chunk({"reasoning_content": piece})
    for piece in pieces(answer["text"]):
        yield chunk({"content": piece})
    for piece in pieces(answer["refusal"]):
        yield chunk({"refusal": piece})
    if scenario == "whole_calls":
        for i, name, arguments in answer["calls"]:
            yield chunk({"tool_calls": [{"id": i, "type": "function", "function": {"name": name, "arguments": arguments}}]})
    else:
        for index, (i, name, _) in enumerate(answer["calls"]):
            yield chunk({"tool_calls": [{"index": index, "id": i, "type": "function", "function": {"name": name, "arguments": ""}}]})
        # Interleaved, so that an assembler that looks at the last call only is found out.
        rest = [pieces(a, 5) for _, _, a in answer["calls"]]
        while any(rest):
            for index, parts in enumerate(rest):
                if parts:
                    yield chunk({"tool_calls": [{"index": index, "function": {"arguments": parts.pop(0)}}]})
    yield chunk({}, answer["finish"])
    if body.get("stream_options", {}).get("include_usage"):
        yield chunk({}, usage=USAGE_CHAT, choices=False)
    yield None, "[DONE]"


def response_items(answer):
    items = []
    if answer["thought"]:
        items.append({"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": answer["thought"]}],
                      "encrypted_content": "sealed"})
    if answer["text"] or answer["refusal"]:
        part = (
            {"type": "output_text", "text": answer["text"], "annotations": [], "logprobs": []}
            if answer["text"]
            else {"type": "refusal", "refusal": answer["refusal"]}
        )
        items.append({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]})
    for i, name, arguments in answer["calls"]:
        items.append({
            "id": "fc_" + i, "type": "function_call", "status": "completed", "call_id": i, "name": name, "arguments": arguments,
        })
    return items


def response_whole(body, answer, status=None):
    status = status or ("incomplete" if answer["finish"] == "length" else "completed")
    whole = {
        "id": "resp_1", "object": "response", "created_at": 1, "status": status, "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": body.get("instructions"), "metadata": {}, "model": body["model"] + "-stand-in",
        "output": response_items(answer) if status != "in_progress" else [], "parallel_tool_calls": True,
        "temperature": 1.0, "top_p": 1.0, "tool_choice": "auto", "tools": body.get("tools", []),
    }
    if status != "in_progress":
        whole["usage"] = USAGE_RESPONSES
    return whole


def response_events(scenario, body, answer):
    number = 0

    def event(kind, **members):
        nonlocal number
        value = {"type": kind, "sequence_number": number, **members}
        number += 1
        return kind, value

    yield event("response.created", response=response_whole(body, answer, "in_progress"))
    yield event("response.in_progress", response=response_whole(body, answer, "in_progress"))
    for index, item in enumerate(response_items(answer)):
        if item["type"] == "reasoning":
            yield event("response.output_item.added", output_index=index, item=dict(item, summary=[]))
            place = {"item_id": item["id"], "output_index": index, "summary_index": 0}
            yield event("response.reasoning_summary_part.added", **place, part={"type": "summary_text", "text": ""})
            for piece in pieces(answer["thought"]):
                yield event("response.reasoning_summary_text.delta", **place, delta=piece)
            yield event("response.reasoning_summary_text.done", **place, text=answer["thought"])
            yield event("response.reasoning_summary_part.done", **place, part=item["summary"][0])
            yield event("response.output_item.done", output_index=index, item=item)
            continue
        begun = dict(item, status="in_progress")
        if item["type"] == "message":
            part = item["content"][0]
            yield event("response.output_item.added", output_index=index, item=dict(begun, content=[]))
            place = {"item_id": item["id"], "output_index": index, "content_index": 0}
            if part["type"] == "output_text":
                yield event("response.content_part.added", **place, part=dict(part, text=""))
                for piece in pieces(part["text"]):
                    yield event("response.output_text.delta", **place, delta=piece, logprobs=[])
                yield event("response.output_text.done", **place, text=part["text"], logprobs=[])
            else:
                yield event("response.content_part.added", **place, part=dict(part, refusal=""))
                for piece in pieces(part["refusal"]):
                    yield event("response.refusal.delta", **place, delta=piece)
                yield event("response.refusal.done", **place, refusal=part["refusal"])
            yield event("response.content_part.done", **place, part=part)
        else:
            yield event("response.output_item.added", output_index=index, item=dict(begun, arguments=""))
            for piece in pieces(item["arguments"], 5):
                yield event("response.function_call_arguments.delta", item_id=item["id"], output_index=index, delta=piece)
            yield event("response.function_call_arguments.done", item_id=item["id"], output_index=index, name=item["name"],
                        arguments=item["arguments"])
        yield event("response.output_item.done", output_index=index, item=item)
    final = response_whole(body, answer)
    yield event("response." + final["status"], response=final)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def send_json(self, status, value, headers=()):
        data = json.dumps(value, ensure_ascii=False).encode()
        if self.command == "POST":
            record(scenario=self.scenario, path=self.path, request=self.body, status=status, answer=value)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, text in headers:
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def send_error_body(self, status, message, param=None, code=None, kind="invalid_request_error", headers=()):
        self.send_json(status, {"error": {"message": message, "type": kind, "param": param, "code": code}}, headers)

    def do_GET(self):
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[0] == "requests":
            with lock:
                self.send_json(200, seen.get(parts[1], []))
        elif parts[0] == "peer":
            self.send_json(200, self.client_address[1])
        elif parts[-1] == "models":
            self.send_json(200, {"object": "list", "data": [
                {"id": "stand-in", "object": "model", "created": 1, "owned_by": "tests"},
                {"id": "stand-in-large", "object": "model", "created": 1, "owned_by": "tests"}]})
        elif parts[0] == "hang":
            stopping.wait(30)
        elif parts[0] == "redirect":
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif parts[0] == "huge":
            self.send_response(200)
            self.end_headers()
            self.endless(b"x" * 65536)
        elif parts[0] == "headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            self.endless(b"X-More: " + b"y" * 1000 + b"\r\n")
        else:
            self.send_json(200, {"path": self.path})

    def endless(self, piece):
        self.close_connection = True
        try:
            for _ in range(4096):
                self.wfile.write(piece)
        except OSError:
            pass

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        raw = self.rfile.read(length)
        parts = self.path.strip("/").split("/")
        name = parts[0]
        scenario = self.scenario = name.split(".")[0]
        self.body = None
        try:
            body = self.body = json.loads(raw)
        except ValueError:
            return self.send_error_body(400, "We could not parse the JSON body of your request.")
        with lock:
            counts[name] = counts.get(name, 0) + 1
            count = counts[name]
            seen.setdefault(name, []).append(
                {"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body})
        try:
            if parts[1:] == ["v1", "chat", "completions"]:
                check_chat(body)
                self.reply(scenario, count, body, chat=True)
            elif parts[1:] == ["v1", "embeddings"]:
                self.embed(scenario, body)
            elif parts[1:] == ["v1", "responses"]:
                check_responses(body)
                self.reply(scenario, count, body, chat=False)
            else:
                self.send_error_body(404, f"Unknown request URL: POST {self.path}")
        except Refused as refused:
            self.send_error_body(refused.status, str(refused), refused.param, refused.code)
        except (KeyError, TypeError, ValueError) as problem:
            self.send_error_body(400, f"malformed request: {problem!r}")
        except OSError:
            self.close_connection = True

    def embed(self, scenario, body):
        for field in body:
            require(field in ("input", "model", "encoding_format", "dimensions", "user"), f"Unknown parameter: '{field}'.", field)
        texts = body["input"]
        require(isinstance(texts, list) and 0 < len(texts) <= 2048 and all(isinstance(t, str) and t for t in texts), "bad input", "input")
        if scenario == "down":
            return self.send_error_body(503, "The engine is currently overloaded.", kind="server_error")
        size = body.get("dimensions", 3)
        data = [{"object": "embedding", "index": i, "embedding": [len(text) / 10] + [0.5] * (size - 1)} for i, text in enumerate(texts)]
        if scenario == "embed_short":
            data.pop()
        if scenario == "embed_ragged":
            data[-1]["embedding"].append(1.0)
        data.reverse()  # the order is told by the index alone
        return self.send_json(200, {"object": "list", "model": body["model"] + "-stand-in", "data": data,
                                    "usage": {"prompt_tokens": 7, "total_tokens": 7}})

    def reply(self, scenario, count, body, chat):
        if scenario == "reasoning" and not chat:
            items = body["input"]
            called = any(item.get("type") == "function_call" for item in items)
            require(not called or any(item.get("type") == "reasoning" for item in items), "a call came without its reasoning", "input")
        if scenario == "key" and self.headers.get("Authorization") != "Bearer sk-test-0123456789":
            return self.send_error_body(401, "Incorrect API key provided: sk-w****.", code="invalid_api_key")
        if scenario == "flaky" and count <= 2:
            return self.send_error_body(500, "The server had an error.", kind="server_error")
        if scenario == "limited" and count <= 1:
            return self.send_error_body(429, "Rate limit reached.", code="rate_limit_exceeded", kind="requests",
                                        headers=[("Retry-After", "1")])
        if scenario == "patient":
            return self.send_error_body(429, "Rate limit reached.", code="rate_limit_exceeded", kind="requests",
                                        headers=[("Retry-After", "3600")])
        if scenario == "backoff" and count <= 1:
            return self.send_error_body(429, "Rate limit reached.", code="rate_limit_exceeded", kind="requests", headers=[
                ("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "300ms"),
                ("x-ratelimit-remaining-tokens", "5000"), ("x-ratelimit-reset-tokens", "1h0m0s")])
        if scenario == "overflow_openai":
            return self.send_error_body(400, "This model's maximum context length is 8192 tokens. However, your messages resulted "
                                        "in 9001 tokens. Please reduce the length of the messages.", "messages", "context_length_exceeded")
        if scenario == "overflow_llama":
            return self.send_json(400, {"error": {
                "code": 400, "message": "the request exceeds the available context size, try increasing it",
                "type": "exceed_context_size_error", "n_prompt_tokens": 9001, "n_ctx": 8192}})
        if scenario == "overflow_vllm":
            return self.send_json(400, {"object": "error", "message": "This model's maximum context length is 8192 tokens. However, "
                                        "you requested 9001 tokens.", "type": "BadRequestError", "param": None, "code": 400})
        if scenario == "slow":
            stopping.wait(0.5)
        if scenario == "quota":
            return self.send_error_body(429, "You exceeded your current quota.", code="insufficient_quota",
                                        kind="insufficient_quota")
        if scenario == "down":
            return self.send_error_body(503, "The engine is currently overloaded.", kind="server_error",
                                        headers=[("Retry-After", "0")])
        if scenario == "bad":
            return self.send_error_body(400, "Invalid value: 'nonsense'.", param="nonsense", code="invalid_value")
        if scenario == "no_options" and "stream_options" in body:
            return self.send_error_body(400, "Unrecognized request argument supplied: stream_options", param="stream_options")
        if scenario == "no_stream" and body.get("stream"):
            return self.send_error_body(400, "Your organization must be verified to stream this model.", param="stream",
                                        code="unsupported_value")
        if scenario == "hang":
            self.close_connection = True
            stopping.wait(30)
            return None
        if scenario == "html":
            self.send_response(502)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", "36")
            self.end_headers()
            self.wfile.write(b"<html><h1>502 Bad Gateway</h1></html>"[:36])
            return None
        answer = plan(scenario, body, chat)
        if not body.get("stream") or scenario == "plain":
            return self.send_json(200, (chat_whole if chat else response_whole)(body, answer))
        return self.stream(scenario, count, body, answer, chat)

    def stream(self, scenario, count, body, answer, chat):
        events = list((chat_events if chat else response_events)(scenario, body, answer))
        record(scenario=scenario, path=self.path, request=body, events=[value for _, value in events])
        newline = "\r\n" if scenario == "odd" else "\n"
        text = ""
        for number, (kind, value) in enumerate(events):
            if scenario == "odd" and number % 2:
                text += ": still here" + newline
            if kind:
                text += "event: " + kind + newline
            data = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            text += "data: " + data + newline + newline
        data = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        if scenario == "exhausted":
            self.send_header("x-ratelimit-remaining-tokens", "0")
            self.send_header("x-ratelimit-reset-tokens", "400ms")
        self.end_headers()
        self.wfile.flush()
        if scenario == "garbage":
            data = bytes(range(256)) * 20
        if scenario == "stalled":
            data = data[: data.index(b"\n\n") + 2]
        if scenario in ("silent", "cut"):
            data = data[: len(data) // 2]
        if scenario == "early_cut" and count <= 1:
            data = b""
        if scenario == "late_error":
            data = data[: data.index(b"\n\n", len(data) // 3) + 2]
            error = {"message": "The server had an error while processing.", "type": "server_error", "code": "server_error", "param": None}
            value = {"error": error} if chat else {**error, "type": "error", "sequence_number": 9}
            data += b"data: " + json.dumps(value).encode() + b"\n\n"
        size, at = 1, 0
        while at < len(data):
            step = size if scenario == "odd" else 512
            piece = data[at : at + step]
            self.wfile.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
            self.wfile.flush()
            at += step
            size = size % 13 + 1
        if scenario in ("silent", "stalled"):
            self.close_connection = True
            stopping.wait(30)
            return None
        if scenario == "cut" or (scenario == "early_cut" and count <= 1):
            self.close_connection = True
            return None
        self.wfile.write(b"0\r\n\r\n")
        return None


def main():
    ThreadingHTTPServer.daemon_threads = True
    ThreadingHTTPServer.block_on_close = False
    ThreadingHTTPServer.request_queue_size = 64
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"PORT {server.server_address[1]}", flush=True)
    while sys.stdin.readline():
        time.sleep(0)
    stopping.set()


if __name__ == "__main__":
    main()
