#include <gmock/gmock.h>

#include "openai/chat.h"
#include "openai/embeddings.h"
#include "openai/responses.h"

namespace sabir::serve::openai {
namespace {

using ::testing::HasSubstr;

json::object object(std::string_view text) {
  auto value = parse_json(text);
  EXPECT_TRUE(value && value->is_object()) << text;
  return value && value->is_object() ? value->get_object() : json::object();
}

std::string param_of(const Error& error) {
  auto data = parse_json(error.data);
  return data && data->is_object() ? std::string(string_or(data->get_object(), "param")) : "";
}

Told told(std::string content, std::vector<models::ToolCall> calls = {}) {
  return {std::move(content), calls, calls.empty() ? "stop" : "tool_calls", {12, 5, 2}};
}

TEST(Chat, ARequestIsReadWithItsToolsParametersAndSchema) {
  const auto asked = read_chat(object(R"({"model": "helper", "stream": true, "stream_options": {"include_usage": true}, "temperature": 0.5, "max_completion_tokens": 9,
    "stop": ["x"], "user": "u", "store": true, "metadata": {"a": "b"}, "n": 1, "logprobs": false, "tool_choice": "auto",
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
    "tools": [{"type": "function", "function": {"name": "look", "parameters": {}}}],
    "messages": [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "https://a.test/b.png"}}]},
                 {"role": "assistant", "content": null, "refusal": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]},
                 {"role": "tool", "tool_call_id": "c1", "content": "seen"}]})"));
  ASSERT_TRUE(asked) << to_text(asked.error());
  EXPECT_EQ(asked->model, "helper");
  EXPECT_TRUE(asked->stream && asked->include_usage);
  EXPECT_EQ(compact_json(asked->parameters), R"({"temperature":0.5,"max_completion_tokens":9,"stop":["x"],"tool_choice":"auto"})");
  EXPECT_EQ(compact_json(*asked->output_schema), R"({"type":"object"})");
  ASSERT_EQ(asked->messages.size(), 4U);
  EXPECT_EQ(asked->messages[0].at("role"), "system");
  EXPECT_FALSE(asked->messages[2].as_object().contains("refusal"));
  EXPECT_EQ(asked->tools.size(), 1U);
}

TEST(Chat, AWrongRequestIsRefusedWithTheMembersName) {
  const std::string start = R"({"model": "m", "messages": [{"role": "user", "content": "hi"}])";
  for (const auto& [text, param] : std::vector<std::pair<std::string, std::string>>{
           {R"({"messages": []})", "model"},
           {R"({"model": "m"})", "messages"},
           {R"({"model": "m", "messages": []})", "messages"},
           {R"({"model": "m", "messages": ["x"]})", "messages[0]"},
           {R"({"model": "m", "messages": [{"role": "wizard", "content": "x"}]})", "messages[0].role"},
           {R"({"model": "m", "messages": [{"role": "user"}]})", "messages[0].content"},
           {R"({"model": "m", "messages": [{"role": "user", "content": [{"type": "input_audio"}]}]})", "messages[0].content"},
           {R"({"model": "m", "messages": [{"role": "tool", "content": "x"}]})", "messages[0].tool_call_id"},
           {R"({"model": "m", "messages": [{"role": "assistant", "tool_calls": [{"id": "a"}]}]})", "messages[0].tool_calls"},
           {start + R"(, "n": 2})", "n"},
           {start + R"(, "logprobs": true})", "logprobs"},
           {start + R"(, "stream": "yes"})", "stream"},
           {start + R"(, "stream_options": {}})", "stream_options"},
           {start + R"(, "functions": []})", "functions"},
           {start + R"(, "tools": [{"type": "web_search"}]})", "tools"},
           {start + R"(, "response_format": {"type": "xml"}})", "response_format"},
           {start + R"(, "modalities": ["text", "audio"]})", "modalities"},
           {start + R"(, "temprature": 1})", "temprature"}}) {
    const auto asked = read_chat(object(text));
    ASSERT_FALSE(asked) << text;
    EXPECT_EQ(param_of(asked.error()), param) << text;
    EXPECT_EQ(status_of(asked.error()), 400);
    const auto body = error_body(asked.error());
    EXPECT_EQ(body.at("error").at("type"), "invalid_request_error");
    EXPECT_EQ(body.at("error").at("param").as_string(), param);
  }
  EXPECT_THAT(read_chat(object(start + R"(, "temprature": 1})")).error().hint, HasSubstr("temperature"));
}

TEST(Chat, TheChunksOfAStreamMakeTheWholeAnswer) {
  for (const bool shown : {true, false}) {
    ChatStream stream({"chatcmpl-1", 7, "helper"}, true);
    std::vector<json::object> chunks = stream.begin();
    const auto add = [&](std::vector<json::object> more) { chunks.insert(chunks.end(), more.begin(), more.end()); };
    if (shown) {
      add(stream.text("He"));
      add(stream.text(""));
      add(stream.text("llo"));
    }
    add(stream.end(told("Hello", {{"c1", "look", R"({"a":1})"}, {"c2", "go", "{}"}})));
    std::string content;
    std::map<std::int64_t, std::string> arguments;
    std::string finish;
    for (const auto& chunk : chunks) {
      EXPECT_EQ(chunk.at("object"), "chat.completion.chunk");
      EXPECT_EQ(chunk.at("id"), "chatcmpl-1");
      if (chunk.at("choices").as_array().empty()) {
        EXPECT_EQ(chunk.at("usage").at("total_tokens"), 17);
        continue;
      }
      EXPECT_TRUE(chunk.at("usage").is_null());
      const auto& choice = chunk.at("choices").as_array()[0];
      const auto& delta = choice.at("delta").as_object();
      content += string_or(delta, "content");
      if (const auto* calls = delta.if_contains("tool_calls")) {
        for (const auto& call : calls->as_array()) arguments[call.at("index").as_int64()] += call.at("function").at("arguments").as_string();
      }
      if (choice.at("finish_reason").is_string()) finish = choice.at("finish_reason").as_string();
    }
    EXPECT_EQ(content, "Hello");
    EXPECT_EQ(arguments[0], R"({"a":1})");
    EXPECT_EQ(arguments[1], "{}");
    EXPECT_EQ(finish, "tool_calls");
    EXPECT_EQ(chunks.front().at("choices").as_array()[0].at("delta").at("role"), "assistant");
  }
}

TEST(Responses, ARequestBecomesMessages) {
  const auto asked = read_response_request(object(R"({"model": "helper", "instructions": "Be kind.", "max_output_tokens": 5, "reasoning": {"effort": "low"},
    "text": {"format": {"type": "json_object"}, "verbosity": "low"}, "tools": [{"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": true}],
    "tool_choice": {"type": "function", "name": "look"}, "previous_response_id": "resp_1", "store": false, "include": ["reasoning.encrypted_content"],
    "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
              {"type": "reasoning", "summary": []},
              {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
              {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}, {"type": "function_call", "call_id": "c2", "name": "look", "arguments": "{}"},
              {"type": "function_call_output", "call_id": "c1", "output": "one"}, {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "two"}]},
              {"role": "user", "content": [{"type": "input_text", "text": "what is it?"}, {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"}]}]})"));
  ASSERT_TRUE(asked) << to_text(asked.error());
  EXPECT_EQ(asked->previous, "resp_1");
  EXPECT_FALSE(asked->store);
  EXPECT_EQ(compact_json(asked->messages),
            R"([{"role":"system","content":"Be kind."},{"role":"user","content":"hi"},{"role":"assistant","content":"I look.","tool_calls":)"
            R"([{"id":"c1","type":"function","function":{"name":"look","arguments":"{}"}},{"id":"c2","type":"function","function":{"name":"look","arguments":"{}"}}]},)"
            R"({"role":"tool","tool_call_id":"c1","content":"one"},{"role":"tool","tool_call_id":"c2","content":"two"},)"
            R"({"role":"user","content":[{"type":"text","text":"what is it?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"low"}}]}])");
  EXPECT_EQ(compact_json(asked->parameters),
            R"({"tool_choice":{"type":"function","function":{"name":"look"}},"verbosity":"low","reasoning_effort":"low","max_tokens":5})");
  EXPECT_EQ(compact_json(asked->tools), R"([{"type":"function","function":{"name":"look","parameters":{"type":"object"},"strict":true}}])");
}

TEST(Responses, AWrongRequestIsRefusedWithTheMembersName) {
  const std::string start = R"({"model": "m", "input": "hi")";
  for (const auto& [text, param] : std::vector<std::pair<std::string, std::string>>{
           {R"({"input": "x"})", "model"},
           {R"({"model": "m"})", "input"},
           {R"({"model": "m", "input": []})", "input"},
           {R"({"model": "m", "input": [5]})", "input[0]"},
           {R"({"model": "m", "input": [{"type": "item_reference", "id": "a"}]})", "input[0].type"},
           {R"({"model": "m", "input": [{"type": "function_call"}]})", "input[0]"},
           {R"({"model": "m", "input": [{"role": "user", "content": [{"type": "input_file"}]}]})", "input[0].content"},
           {start + R"(, "background": true})", "background"},
           {start + R"(, "tools": [{"type": "web_search"}]})", "tools"},
           {start + R"(, "previous_response_id": "a", "conversation": "b"})", "conversation"},
           {start + R"(, "text": {"format": {"type": "yaml"}}})", "text.format"},
           {start + R"(, "tool_choice": {"type": "hosted"}})", "tool_choice"},
           {start + R"(, "instructons": "x"})", "instructons"}}) {
    const auto asked = read_response_request(object(text));
    ASSERT_FALSE(asked) << text;
    EXPECT_EQ(param_of(asked.error()), param) << text;
  }
}

TEST(Responses, TheEventsOfAStreamMakeTheWholeAnswer) {
  const auto asked = read_response_request(object(R"({"model": "helper", "input": "hi", "tools": [{"type": "function", "name": "look"}]})"));
  ASSERT_TRUE(asked);
  const ResponseHead head{"resp_1", 7, "helper", "msg_1"};
  const auto all = told("Hello", {{"c1", "look", R"({"a":1})"}});
  ResponseStream stream(head, *asked);
  std::vector<ResponseEvent> events = stream.begin();
  for (auto more : {stream.text("Hel"), stream.text("lo"), stream.end(all)}) events.insert(events.end(), more.begin(), more.end());
  std::vector<std::string> types;
  std::string text;
  for (std::size_t i = 0; i < events.size(); ++i) {
    types.push_back(events[i].type);
    EXPECT_EQ(events[i].data.at("sequence_number"), static_cast<std::int64_t>(i));
    EXPECT_EQ(string_or(events[i].data, "type"), events[i].type);
    if (events[i].type == "response.output_text.delta") text += events[i].data.at("delta").as_string();
  }
  EXPECT_EQ(text, "Hello");
  EXPECT_EQ(types, (std::vector<std::string>{"response.created", "response.in_progress", "response.output_item.added", "response.content_part.added", "response.output_text.delta",
                                             "response.output_text.delta", "response.output_text.done", "response.content_part.done", "response.output_item.done",
                                             "response.output_item.added", "response.function_call_arguments.delta", "response.function_call_arguments.done",
                                             "response.output_item.done", "response.completed"}));
  EXPECT_EQ(events.back().data.at("response"), json::value(response_object(head, *asked, all)));
  const auto whole = response_object(head, *asked, all);
  EXPECT_EQ(whole.at("status"), "completed");
  EXPECT_EQ(whole.at("output").as_array()[1].at("call_id"), "c1");
  EXPECT_EQ(whole.at("usage").at("total_tokens"), 17);
  EXPECT_EQ(response_object(head, *asked, {"Hel", {}, "length", {}}).at("status"), "incomplete");
  EXPECT_EQ(failed_response(head, *asked, Error(ErrorCode::kModel, "down")).at("status"), "failed");
}

TEST(Embedding, TextsInAndVectorsOutInBothEncodings) {
  const auto asked = read_embedding(object(R"({"model": "e", "input": ["a", "b"], "dimensions": 2, "encoding_format": "base64", "user": "u"})"));
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->texts, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(compact_json(asked->parameters), R"({"dimensions":2})");
  for (const char* wrong : {R"({"model": "e"})", R"({"input": "a"})", R"({"model": "e", "input": [[1, 2]]})", R"({"model": "e", "input": ""})",
                            R"({"model": "e", "input": "a", "encoding_format": "hex"})", R"({"model": "e", "input": "a", "dimensions": 0})", R"({"model": "e", "input": "a", "size": 1})"}) {
    EXPECT_FALSE(read_embedding(object(wrong))) << wrong;
  }
  models::Embeddings out;
  out.vectors = {{0.1F, -1}};
  out.usage.input_tokens = 3;
  EXPECT_EQ(compact_json(embeddings_object("e", out, false)),
            R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,-1.0]}],"model":"e","usage":{"prompt_tokens":3,"total_tokens":3}})");
  EXPECT_EQ(embeddings_object("e", out, true).at("data").as_array()[0].at("embedding"), "zczMPQAAgL8=");
}

TEST(Errors, HaveTheStatusAndTheNamesThatClientsGoBy) {
  for (const auto& [code, status, type] : {std::tuple(ErrorCode::kBusy, 429, "rate_limit_exceeded"), std::tuple(ErrorCode::kBudget, 429, "insufficient_quota"),
                                           std::tuple(ErrorCode::kModelUnreachable, 503, "server_error"), std::tuple(ErrorCode::kNotFound, 404, "invalid_request_error"),
                                           std::tuple(ErrorCode::kInternal, 500, "server_error"), std::tuple(ErrorCode::kTimeout, 504, "server_error")}) {
    const Error error(code, "what", "do this");
    EXPECT_EQ(status_of(error), status);
    EXPECT_EQ(error_body(error).at("error").at("type"), type);
    EXPECT_EQ(error_body(error).at("error").at("message"), "what\ndo this");
  }
}

}  // namespace
}  // namespace sabir::serve::openai
