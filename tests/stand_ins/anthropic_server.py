#!/usr/bin/env python3
"""A stand-in for a server that speaks Anthropic's Messages API, for tests. Python's standard library only.

Prints `PORT <n>` and serves 127.0.0.1 until its standard input ends. The first part of the path chooses how it behaves:
http://127.0.0.1:PORT/<scenario>/v1. A scenario may carry an id after a dot (`flaky.7`): counts are kept per both.

    ok               answers: calls every offered tool when the last message is the user's, else speaks
    odd              as ok, the stream cut at odd places, CRLF line ends, pings and comments in between
    plain            ignores `stream`: always one JSON text
    thinking         thinks before it answers or calls; refuses results of calls without the thinking that led to them
    key              401 unless the key is `sk-ant-test-0123456789`
    overloaded       529 twice, then ok          down        529 always
    limited          429 with retry-after: 1 once, then ok
    exhausted        429 whose headers alone say when the limit is reset, once, then ok
    broke            400 whose message says that the credit is used up
    late_overloaded  an error event before any text once, then ok
    late_error       an error event in the middle of the text
    overflow, overflow_both
                     400: the prompt, or it and max_tokens, are too long
    not_found        404 for the model           bad         400 with an error body
    hang             never answers               stalled     the stream's first event, then nothing
    silent           most of a stream, then nothing
    cut              most of a stream, then the connection ends
    early_cut        the headers, then the connection ends; ok from the second request on
    garbage          200 with bytes that are no event stream
    html             502 with a page of HTML
    length           stops at the token limit    refusal     a refusal
    structured       answers {"city": "Paris"} when it was given a schema or told of one
    caching          ok, with most of the prompt read from the cache
GET /requests/<scenario> gives the requests seen there as a JSON array of {"path", "headers", "body"}.
"""
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FIELDS = set(
    "model messages max_tokens system metadata stop_sequences stream temperature top_p top_k tools tool_choice thinking "
    "service_tier container mcp_servers context_management output_config".split()
)

lock = threading.Lock()
counts = {}
seen = {}
stopping = threading.Event()


class Refused(Exception):
    def __init__(self, message, status=400, kind="invalid_request_error"):
        super().__init__(message)
        self.status, self.kind = status, kind


def require(condition, message):
    if not condition:
        raise Refused(message)


def only(value, *known):
    require(isinstance(value, dict), "object expected")
    for name in value:
        require(name in known, f"{name}: Extra inputs are not permitted")


def check_source(source):
    require(isinstance(source, dict) and source.get("type") in ("url", "base64"), "image source type must be url or base64")
    if source["type"] == "url":
        only(source, "type", "url")
        require(source["url"].startswith(("https://", "http://")), "image url must be http(s)")
    else:
        only(source, "type", "media_type", "data")
        require(source["media_type"] in ("image/png", "image/jpeg", "image/gif", "image/webp"), "image media_type is not supported")
        require(isinstance(source["data"], str) and source["data"], "image data is empty")


def check_block(block, role):
    kind = block.get("type")
    if kind == "text":
        only(block, "type", "text", "cache_control", "citations")
        require(isinstance(block["text"], str) and block["text"], "messages: text content blocks must be non-empty")
    elif kind == "image":
        only(block, "type", "source", "cache_control")
        require(role == "user", "image blocks belong to user messages")
        check_source(block["source"])
    elif kind == "tool_use":
        only(block, "type", "id", "name", "input", "cache_control")
        require(role == "assistant", "tool_use blocks belong to assistant messages")
        require(all(c.isalnum() and c.isascii() or c in "_-" for c in block["id"]) and block["id"], "tool_use.id: String should match pattern")
        require(isinstance(block["input"], dict), "tool_use.input: Input should be a valid dictionary")
    elif kind == "tool_result":
        only(block, "type", "tool_use_id", "content", "is_error", "cache_control")
        require(role == "user", "tool_result blocks belong to user messages")
    elif kind == "thinking":
        only(block, "type", "thinking", "signature")
        require(role == "assistant", "thinking blocks belong to assistant messages")
        require(block["signature"] == "signed:%d" % len(block["thinking"]), "Invalid `signature` in `thinking` block")
    elif kind == "redacted_thinking":
        only(block, "type", "data")
        require(role == "assistant" and block["data"], "Invalid `data` in `redacted_thinking` block")
    else:
        require(False, f"Input tag {kind!r} found does not match any of the expected tags")


def blocks(message):
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def check(body):
    for field in body:
        require(field in FIELDS, f"{field}: Extra inputs are not permitted")
    require(isinstance(body.get("model"), str), "model: Field required")
    require(isinstance(body.get("max_tokens"), int) and body["max_tokens"] >= 1, "max_tokens: Field required")
    require(isinstance(body.get("system", ""), (str, list)), "system: Input should be a valid string or list")
    messages = body.get("messages")
    require(isinstance(messages, list) and messages, "messages: at least one message is required")
    require(messages[0].get("role") == "user", "messages: first message must use the user role")
    waiting = []
    for number, message in enumerate(messages):
        only(message, "role", "content")
        role = message["role"]
        require(role in ("user", "assistant"), f'messages: Unexpected role "{role}"')
        require(number == 0 or role != messages[number - 1]["role"], "messages: roles must alternate")
        content = blocks(message)
        require(content, "messages: all messages must have non-empty content")
        for block in content:
            check_block(block, role)
        results = [block["tool_use_id"] for block in content if block["type"] == "tool_result"]
        if role == "user":
            require(sorted(results) == sorted(waiting), f"tool_use ids without tool_result blocks immediately after: {waiting}")
            kinds = [block["type"] == "tool_result" for block in content]
            require(kinds == sorted(kinds, reverse=True), "tool_result blocks must come first")
            waiting = []
        else:
            waiting = [block["id"] for block in content if block["type"] == "tool_use"]
            if waiting and (body.get("thinking") or {}).get("type") == "enabled":
                require(content[0]["type"] in ("thinking", "redacted_thinking"),
                        "Expected `thinking` or `redacted_thinking`, but found `%s`" % content[0]["type"])
    require(not waiting, f"tool_use ids without tool_result blocks: {waiting}")
    for tool in body.get("tools", []):
        only(tool, "name", "description", "input_schema", "cache_control", "type", "strict")
        require(0 < len(tool["name"]) <= 128 and all(c.isalnum() or c in "_-" for c in tool["name"]), "tools.name: bad pattern")
        require(tool["input_schema"].get("type") == "object", "tools.input_schema.type: Field required")
    if "tool_choice" in body:
        choice = body["tool_choice"]
        only(choice, "type", "name", "disable_parallel_tool_use")
        require(choice["type"] in ("auto", "any", "tool", "none"), "tool_choice: unknown type")
        require("tools" in body, "tool_choice may only be specified while providing tools")
        require(choice["type"] != "tool" or choice.get("name"), "tool_choice.tool.name: Field required")
    if "output_config" in body:
        only(body["output_config"], "format", "effort")
        require(body["output_config"].get("effort", "low") in ("low", "medium", "high", "xhigh", "max"), "output_config.effort: bad value")
        if "format" in body["output_config"]:
            only(body["output_config"]["format"], "type", "schema")
            require(closed(body["output_config"]["format"]["schema"]),
                    "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false")


def closed(schema):
    if isinstance(schema, list):
        return all(map(closed, schema))
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return False
    return all(map(closed, schema.values()))


def plan(scenario, body):
    """The content blocks of the answer and the stop reason."""
    last = blocks(body["messages"][-1])
    said = "".join(block["text"] for block in last if block["type"] == "text")
    results = [block.get("content", "") for block in last if block["type"] == "tool_result"]
    content, reason = [], "end_turn"
    if scenario == "thinking":
        thought = "The user wants something: été."
        content.append({"type": "thinking", "thinking": thought, "signature": "signed:%d" % len(thought)})
        content.append({"type": "redacted_thinking", "data": "b3BhcXVl"})
    if scenario == "structured":
        told = body.get("output_config", {}).get("format", {}).get("schema") or "JSON Schema" in json.dumps(body.get("system", ""))
        require(told, "no schema came")
        content.append({"type": "text", "text": '{"city": "Paris"}'})
    elif scenario == "refusal":
        content.append({"type": "text", "text": "I cannot help with that."})
        reason = "refusal"
    elif scenario == "length":
        content.append({"type": "text", "text": "This is too lo"})
        reason = "max_tokens"
    elif body.get("tools") and not results and body.get("tool_choice", {}).get("type") != "none":
        content.append({"type": "text", "text": "Let me see."})
        tools = body["tools"]
        if body.get("tool_choice", {}).get("disable_parallel_tool_use"):
            tools = tools[:1]
        for number, tool in enumerate(tools):
            content.append({"type": "tool_use", "id": f"toolu_{number}", "name": tool["name"], "input": {"text": said, "number": number}})
        reason = "tool_use"
    elif results:
        content.append({"type": "text", "text": "Results: " + "; ".join(results)})
    else:
        content.append({"type": "text", "text": f"You said: {said} (été, 日本, 😀)"})
    return content, reason


def usage(scenario):
    cached = (100, 20) if scenario == "caching" else (0, 0)
    return {"input_tokens": 11, "cache_read_input_tokens": cached[0], "cache_creation_input_tokens": cached[1], "output_tokens": 5,
            "output_tokens_details": {"thinking_tokens": 3 if scenario == "thinking" else 0}, "service_tier": "standard"}


def whole(scenario, body):
    content, reason = plan(scenario, body)
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"] + "-stand-in", "content": content,
            "stop_reason": reason, "stop_sequence": None, "usage": usage(scenario)}


def pieces(text, size=7):
    return [text[i:i + size] for i in range(0, len(text), size)]


def events(scenario, body):
    answer = whole(scenario, body)
    yield {"type": "message_start", "message": dict(answer, content=[], stop_reason=None, usage=dict(usage(scenario), output_tokens=1))}
    yield {"type": "ping"}
    for index, block in enumerate(answer["content"]):
        def delta(**members):
            return {"type": "content_block_delta", "index": index, "delta": members}

        if block["type"] == "text":
            yield {"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}}
            for piece in pieces(block["text"]):
                yield delta(type="text_delta", text=piece)
        elif block["type"] == "thinking":
            yield {"type": "content_block_start", "index": index, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}
            for piece in pieces(block["thinking"]):
                yield delta(type="thinking_delta", thinking=piece)
            yield delta(type="signature_delta", signature=block["signature"])
        elif block["type"] == "tool_use":
            yield {"type": "content_block_start", "index": index, "content_block": dict(block, input={})}
            yield delta(type="input_json_delta", partial_json="")
            for piece in pieces(json.dumps(block["input"], ensure_ascii=False), 5):
                yield delta(type="input_json_delta", partial_json=piece)
        else:
            yield {"type": "content_block_start", "index": index, "content_block": block}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": answer["stop_reason"], "stop_sequence": None}, "usage": {"output_tokens": 5}}
    yield {"type": "message_stop"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except OSError:  # the client has gone
            pass

    def send_json(self, status, value, headers=()):
        data = json.dumps(value, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("request-id", "req_for_tests")
        for name, text in headers:
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, kind, message, headers=()):
        self.send_json(status, {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_for_tests"}, headers)

    def do_GET(self):
        parts = self.path.strip("/").split("/")
        with lock:
            self.send_json(200, seen.get(parts[1], []) if parts[0] == "requests" else {"path": self.path})

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = self.path.strip("/").split("/")
        name = parts[0]
        scenario = name.split(".")[0]
        try:
            body = json.loads(raw)
        except ValueError:
            return self.refuse(400, "invalid_request_error", "The request body is not valid JSON")
        with lock:
            counts[name] = counts.get(name, 0) + 1
            count = counts[name]
            seen.setdefault(name, []).append({"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body})
        try:
            if parts[1:] != ["v1", "messages"]:
                return self.refuse(404, "not_found_error", "Not found")
            version = self.headers.get("anthropic-version")
            require(version in ("2023-06-01", "2026-10-21"), "anthropic-version: header is required")
            for field in ("temperature", "top_p", "top_k") if version == "2026-10-21" else ():
                require(field not in body, f"{field}: Extra inputs are not permitted")
            check(body)
            self.reply(scenario, count, body)
        except Refused as refused:
            self.refuse(refused.status, refused.kind, str(refused))
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            self.refuse(400, "invalid_request_error", f"malformed request: {problem!r}")
        except OSError:
            self.close_connection = True
        return None

    def reply(self, scenario, count, body):
        if scenario == "key" and self.headers.get("x-api-key") != "sk-ant-test-0123456789":
            return self.refuse(401, "authentication_error", "invalid x-api-key")
        if scenario == "down" or (scenario == "overloaded" and count <= 2):
            return self.refuse(529, "overloaded_error", "Overloaded", [("retry-after", "0")] if scenario == "down" else [])
        if scenario == "limited" and count <= 1:
            return self.refuse(429, "rate_limit_error", "This request would exceed your organization's rate limit", [("retry-after", "1")])
        if scenario == "exhausted" and count <= 1:
            reset = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
            return self.refuse(429, "rate_limit_error", "This request would exceed your organization's rate limit",
                               [("anthropic-ratelimit-requests-remaining", "9"), ("anthropic-ratelimit-requests-reset", "2099-01-01T00:00:00Z"),
                                ("anthropic-ratelimit-input-tokens-remaining", "0"), ("anthropic-ratelimit-input-tokens-reset", reset)])
        if scenario == "broke":
            return self.refuse(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API. "
                                                             "Please go to Plans & Billing to upgrade or purchase credits.")
        if scenario == "overflow":
            return self.refuse(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum")
        if scenario == "overflow_both":
            return self.refuse(400, "invalid_request_error", "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, "
                                                             "decrease input length or `max_tokens` and try again")
        if scenario == "not_found":
            return self.refuse(404, "not_found_error", "model: " + body["model"])
        if scenario == "bad":
            return self.refuse(400, "invalid_request_error", "temperature: range: 0..1")
        if scenario == "hang":
            self.close_connection = True
            stopping.wait(30)
            return None
        if scenario == "html":
            page = b"<html><h1>502 Bad Gateway</h1></html>"
            self.send_response(502)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)
            return None
        if not body.get("stream") or scenario == "plain":
            return self.send_json(200, whole(scenario, body))
        return self.stream(scenario, count, body)

    def stream(self, scenario, count, body):
        newline = "\r\n" if scenario == "odd" else "\n"
        text = ""
        for number, event in enumerate(events(scenario, body)):
            if scenario == "odd" and number % 2:
                text += ": still here" + newline
            text += "event: " + event["type"] + newline + "data: " + json.dumps(event, ensure_ascii=False) + newline + newline
        data = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        broken = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
        if scenario == "garbage":
            data = bytes(range(256)) * 20
        if scenario in ("silent", "cut"):
            data = data[:len(data) * 2 // 3]
        if scenario == "stalled":
            data = data[:data.index(b"\n\n") + 2]
        if scenario == "early_cut" and count <= 1:
            data = b""
        if scenario == "late_overloaded" and count <= 1:
            data = data[:data.index(b"\n\n") + 2] + broken
        if scenario == "late_error":
            data = data[:data.index(b"\n\n", len(data) * 2 // 3) + 2] + broken
        size, at = 1, 0
        while at < len(data):
            step = size if scenario == "odd" else 512
            piece = data[at:at + step]
            self.wfile.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
            self.wfile.flush()
            at += step
            size = size % 13 + 1
        if scenario in ("silent", "stalled"):
            self.close_connection = True
            stopping.wait(30)
        elif scenario == "cut" or (scenario == "early_cut" and count <= 1):
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")


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
