#include "sabir/recordings/recording.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "sabir/base/text.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::recordings {
namespace {

using protocol::RawMember;
constexpr std::string_view kLines = "content_lines";  // in place of a content of several lines, for comparisons line by line

json::value sorted(const json::value& value) {
  if (const auto* list = value.if_array()) {
    json::array out;
    out.reserve(list->size());
    for (const auto& item : *list) out.push_back(sorted(item));
    return out;
  }
  const auto* object = value.if_object();
  if (!object) return value;
  std::vector<std::string_view> keys;
  keys.reserve(object->size());
  for (const auto& member : *object) keys.push_back(member.key());
  std::sort(keys.begin(), keys.end());
  json::object out;
  for (const auto key : keys) out[key] = sorted(object->at(key));
  return out;
}

// ---- Writing ---------------------------------------------------------------------------------------------------------

class Writer {
 public:
  std::string take() { return std::move(out_); }

  void open(const char* brace = "{") {
    out_ += brace;
    first_ = true;
    ++depth_;
  }
  void close(const char* brace = "}") {
    --depth_;
    if (!first_) line();
    out_ += brace;
    first_ = false;
  }
  Writer& key(std::string_view name) {
    item();
    out_ += protocol::quote(name);
    out_ += ": ";
    return *this;
  }
  // The next item of a list, or a member's line.
  void item() {
    if (!first_) out_ += ',';
    first_ = false;
    line();
  }
  void raw(std::string_view text) { out_ += text; }
  void text(std::string_view value) { out_ += protocol::quote(value); }
  void value(const json::value& value) { out_ += compact_json(value); }
  // A list with one item on each line.
  template <class List, class Write>
  void list(const List& items, Write write) {
    open("[");
    for (const auto& one : items) {
      item();
      write(one);
    }
    close("]");
  }
  // An object on one line, but for a content of several lines.
  void message(const json::value& value) {
    const auto* object = value.if_object();
    const auto* content = object ? object->if_contains("content") : nullptr;
    if (!content || !content->is_string() || object->contains(kLines) || content->get_string().find('\n') == json::string::npos) {
      out_ += compact_json(value);
      return;
    }
    out_ += '{';
    bool any = false;
    for (const auto& member : *object) {
      if (any) out_ += ',';
      any = true;
      if (member.key() != "content") {
        out_ += protocol::quote(member.key()) + ":" + compact_json(member.value());
        continue;
      }
      out_ += "\"" + std::string(kLines) + "\": ";
      lines(std::string_view(content->get_string()));
    }
    out_ += '}';
  }
  // Split at each newline; joined by newlines again when it is read.
  void lines(std::string_view text) {
    open("[");
    while (true) {
      const auto end = text.find('\n');
      item();
      out_ += protocol::quote(text.substr(0, end));
      if (end == std::string_view::npos) break;
      text.remove_prefix(end + 1);
    }
    close("]");
  }

 private:
  void line() {
    out_ += '\n';
    out_.append(static_cast<std::size_t>(depth_) * 2, ' ');
  }

  std::string out_;
  int depth_ = 0;
  bool first_ = true;
};

// 32-bit floats, little-endian, in base64: as OpenAI's `encoding_format: base64` has them, and no digit is lost.
std::string encode_vector(const std::vector<float>& vector) {
  std::string bytes;
  bytes.reserve(vector.size() * 4);
  for (const float x : vector) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    for (unsigned shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(bits >> shift & 0xffU);
  }
  return base64_encode(bytes);
}

std::optional<std::vector<float>> decode_vector(std::string_view text) {
  const auto bytes = base64_decode(text);
  if (!bytes || bytes->empty() || bytes->size() % 4 != 0) return std::nullopt;
  std::vector<float> out;
  out.reserve(bytes->size() / 4);
  for (std::size_t at = 0; at < bytes->size(); at += 4) {
    std::uint32_t bits = 0;
    for (std::size_t i = 4; i-- > 0;) bits = bits << 8U | static_cast<unsigned char>((*bytes)[at + i]);
    const auto x = std::bit_cast<float>(bits);
    if (!std::isfinite(x)) return std::nullopt;
    out.push_back(x);
  }
  return out;
}

void write_ask(Writer& out, const json::object& ask) {
  out.open();
  for (const char* name : {"alias", "model", "parameters", "output_schema"}) {
    if (const auto* value = ask.if_contains(name)) out.key(name).value(*value);
  }
  for (const char* name : {"tools", "messages", "texts"}) {
    const auto* list = ask.if_contains(name);
    if (!list || !list->is_array()) continue;
    out.key(name);
    out.list(list->get_array(), [&](const json::value& item) { out.message(item); });
  }
  out.close();
}

void write_reply(Writer& out, const Entry& entry) {
  const auto& reply = entry.reply;
  out.open();
  if (!entry.vectors.empty()) {
    out.key("vectors");
    out.list(entry.vectors, [&](const std::vector<float>& vector) { out.text(encode_vector(vector)); });
  } else if (reply.content.find('\n') == std::string::npos) {
    out.key("content").text(reply.content);
  } else {
    out.key(kLines).lines(reply.content);
  }
  std::string whole;
  for (const auto& piece : entry.pieces) whole += piece;
  if (!entry.pieces.empty() && whole == reply.content) {
    json::array sizes;
    for (const auto& piece : entry.pieces) sizes.push_back(piece.size());
    out.key("pieces").value(sizes);
  } else if (!entry.pieces.empty()) {
    out.key("pieces");
    out.list(entry.pieces, [&](const std::string& piece) { out.text(piece); });
  }
  if (!reply.tool_calls.empty()) {
    out.key("tool_calls");
    out.list(reply.tool_calls, [&](const models::ToolCall& call) {
      out.value(json::object{{"id", call.id}, {"name", call.name}, {"arguments", call.arguments_json}});
    });
  }
  if (entry.vectors.empty()) out.key("finish_reason").text(reply.finish_reason);
  out.key("model").text(reply.model);
  out.key("provider").text(reply.provider);
  out.key("usage").value(json::object{{"input_tokens", reply.usage.input_tokens}, {"output_tokens", reply.usage.output_tokens}});
  out.close();
}

void write_entry(Writer& out, const Entry& entry) {
  out.open();
  if (entry.kind == Kind::kModel) {
    out.key("ask");
    write_ask(out, entry.ask);
    if (!entry.prompts.empty()) {
      out.key("prompts");
      out.list(entry.prompts, [&](const PromptUse& use) { out.value(to_json(use)); });
    }
  } else {
    out.key("function").text(entry.address);
    out.key("effect").text(entry.effect);
    if (entry.stream) out.key("stream").raw("true");
    out.key("arguments").raw(entry.arguments);
  }
  if (!entry.caller.empty()) out.key("caller").text(entry.caller);
  if (!entry.chunks.empty()) {
    out.key("chunks");
    out.list(entry.chunks, [&](const std::string& chunk) { out.raw(chunk); });
  }
  if (entry.error) {
    out.key("error").value(*entry.error);
  } else if (entry.kind == Kind::kModel) {
    out.key("reply");
    write_reply(out, entry);
  } else {
    out.key("value").raw(entry.value);
    if (!entry.bytes.empty()) {
      out.key("bytes");
      out.list(entry.bytes, [&](const std::string& pointer) { out.text(pointer); });
    }
  }
  out.close();
}

// ---- Reading ---------------------------------------------------------------------------------------------------------

class Place {
 public:
  Place(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  // `at` points into the text.
  Error wrong(std::string_view at, const std::string& message, const std::string& hint = "Record it anew, or take an older version of the file.") const {
    int line = 0;
    if (at.data() != nullptr && at.data() >= text_.data() && at.data() <= text_.data() + text_.size()) {
      line = 1 + static_cast<int>(std::count(text_.data(), at.data(), '\n'));
    }
    return Error(ErrorCode::kConfig, message, hint).at(file_, line);
  }

 private:
  std::string_view text_;
  const std::string& file_;
};

std::vector<RawMember> members_of(std::string_view text) {
  auto members = protocol::raw_members(text);
  return members ? std::move(*members) : std::vector<RawMember>();
}

Result<json::value> value_at(const Place& place, std::string_view raw) {
  auto value = parse_json(raw);
  if (!value) return fail(place.wrong(raw, value.error().message));
  return value;
}

Result<std::string> text_at(const Place& place, std::string_view raw, const char* name) {
  if (!raw.starts_with('"')) return fail(place.wrong(raw, std::string("'") + name + "' is not a text"));
  return protocol::unquote(raw);
}

std::optional<std::string> joined_lines(const json::value& value) {
  const auto* list = value.if_array();
  if (!list || list->empty()) return std::nullopt;
  std::string out;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const auto* line = (*list)[i].if_string();
    if (!line) return std::nullopt;
    if (i > 0) out += '\n';
    out += std::string_view(*line);
  }
  return out;
}

// {"content_lines": […]} as the {"content": "…"} that it stands for, in the same place.
Result<json::object> message_at(const Place& place, std::string_view raw) {
  auto value = value_at(place, raw);
  if (!value) return fail(std::move(value.error()));
  if (!value->is_object()) return fail(place.wrong(raw, "a message is not an object"));
  json::object out;
  for (auto& member : value->get_object()) {
    if (member.key() != kLines) {
      out[member.key()] = std::move(member.value());
      continue;
    }
    auto text = joined_lines(member.value());
    if (!text) return fail(place.wrong(raw, "content_lines is not a list of texts"));
    out["content"] = std::move(*text);
  }
  return out;
}

Result<json::array> messages_at(const Place& place, std::string_view raw) {
  if (!raw.starts_with('[')) return fail(place.wrong(raw, "a list was expected"));
  json::array out;
  for (const auto item : protocol::raw_elements(raw)) {
    auto message = message_at(place, item);
    if (!message) return fail(std::move(message.error()));
    out.push_back(std::move(*message));
  }
  return out;
}

Result<std::vector<std::string>> texts_at(const Place& place, std::string_view raw, const char* name) {
  if (!raw.starts_with('[')) return fail(place.wrong(raw, std::string("'") + name + "' is not a list"));
  std::vector<std::string> out;
  for (const auto item : protocol::raw_elements(raw)) {
    auto text = text_at(place, item, name);
    if (!text) return fail(std::move(text.error()));
    out.push_back(std::move(*text));
  }
  return out;
}

Result<json::object> ask_at(const Place& place, std::string_view raw) {
  if (!raw.starts_with('{')) return fail(place.wrong(raw, "ask is not an object"));
  json::object ask;
  for (const auto& member : members_of(raw)) {
    if (member.key == "texts") {
      auto texts = texts_at(place, member.value, "texts");
      if (!texts) return fail(std::move(texts.error()));
      json::array list;
      for (const auto& text : *texts) list.push_back(json::value(text));
      ask["texts"] = std::move(list);
    } else if (member.key == "messages" || member.key == "tools") {
      auto items = messages_at(place, member.value);
      if (!items) return fail(std::move(items.error()));
      ask[member.key] = std::move(*items);
    } else if (member.key == "alias" || member.key == "model") {
      auto text = text_at(place, member.value, member.key == "alias" ? "alias" : "model");
      if (!text) return fail(std::move(text.error()));
      ask[member.key] = std::move(*text);
    } else if (member.key == "parameters" || member.key == "output_schema") {
      auto value = value_at(place, member.value);
      if (!value) return fail(std::move(value.error()));
      if (!value->is_object()) return fail(place.wrong(member.value, std::string(member.key) + " is not an object"));
      ask[member.key] = std::move(*value);
    } else {
      return fail(place.wrong(member.key, "unknown member '" + std::string(member.key) + "' of an ask"));
    }
  }
  for (const char* name : {"alias", "model"}) {
    if (!ask.contains(name)) return fail(place.wrong(raw, std::string("an ask has no ") + name));
  }
  if (ask.contains("messages") == ask.contains("texts")) {
    return fail(place.wrong(raw, ask.contains("texts") ? "an ask has both messages and texts" : "an ask has no messages"));
  }
  return ask;
}

Result<void> read_pieces(const Place& place, std::string_view raw, Entry& entry) {
  if (!raw.starts_with('[')) return fail(place.wrong(raw, "pieces is not a list"));
  std::string_view rest = entry.reply.content;
  const auto items = protocol::raw_elements(raw);
  const bool texts = !items.empty() && items.front().starts_with('"');
  for (const auto item : items) {
    if (texts != item.starts_with('"')) return fail(place.wrong(item, "pieces are neither all texts nor all numbers of bytes"));
    if (texts) {
      entry.pieces.push_back(protocol::unquote(item));
      continue;
    }
    std::size_t size = 0;
    if (item.empty() || item.size() > 9 || !std::all_of(item.begin(), item.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      return fail(place.wrong(item, "a piece is neither a text nor a number of bytes"));
    }
    for (const char c : item) size = size * 10 + static_cast<std::size_t>(c - '0');
    if (size > rest.size()) return fail(place.wrong(item, "the pieces are longer than the content"));
    entry.pieces.emplace_back(rest.substr(0, size));
    rest.remove_prefix(size);
  }
  if (!texts && !items.empty() && !rest.empty()) return fail(place.wrong(raw, "the pieces are shorter than the content"));
  return {};
}

std::int64_t tokens(const json::object& usage, const char* name) {
  const auto* value = usage.if_contains(name);
  return value && value->is_int64() ? value->get_int64() : 0;
}

Result<void> read_reply(const Place& place, std::string_view raw, Entry& entry) {
  if (!raw.starts_with('{')) return fail(place.wrong(raw, "reply is not an object"));
  std::optional<std::string_view> pieces;
  for (const auto& member : members_of(raw)) {
    if (member.key == "pieces") {
      pieces = member.value;
    } else if (member.key == kLines) {
      auto value = value_at(place, member.value);
      if (!value) return fail(std::move(value.error()));
      auto text = joined_lines(*value);
      if (!text) return fail(place.wrong(member.value, "content_lines is not a list of texts"));
      entry.reply.content = std::move(*text);
    } else if (member.key == "usage") {
      auto value = value_at(place, member.value);
      if (!value) return fail(std::move(value.error()));
      if (!value->is_object()) return fail(place.wrong(member.value, "usage is not an object"));
      entry.reply.usage = {tokens(value->get_object(), "input_tokens"), tokens(value->get_object(), "output_tokens")};
    } else if (member.key == "vectors") {
      auto texts = texts_at(place, member.value, "vectors");
      if (!texts) return fail(std::move(texts.error()));
      for (const auto& text : *texts) {
        auto vector = decode_vector(text);
        if (!vector) return fail(place.wrong(member.value, "a vector is not base64 of 32-bit floats"));
        if (!entry.vectors.empty() && vector->size() != entry.vectors.front().size()) return fail(place.wrong(member.value, "the vectors differ in length"));
        entry.vectors.push_back(std::move(*vector));
      }
    } else if (member.key == "tool_calls") {
      if (!member.value.starts_with('[')) return fail(place.wrong(member.value, "tool_calls is not a list"));
      for (const auto item : protocol::raw_elements(member.value)) {
        auto value = value_at(place, item);
        if (!value) return fail(std::move(value.error()));
        if (!value->is_object()) return fail(place.wrong(item, "a tool call is not an object"));
        const auto& call = value->get_object();
        entry.reply.tool_calls.push_back({std::string(string_or(call, "id")), std::string(string_or(call, "name")), std::string(string_or(call, "arguments"))});
      }
    } else {
      std::string* target = member.key == "content"         ? &entry.reply.content
                            : member.key == "finish_reason" ? &entry.reply.finish_reason
                            : member.key == "model"         ? &entry.reply.model
                            : member.key == "provider"      ? &entry.reply.provider
                                                            : nullptr;
      if (!target) return fail(place.wrong(member.key, "unknown member '" + std::string(member.key) + "' of a reply"));
      auto text = text_at(place, member.value, "reply");
      if (!text) return fail(std::move(text.error()));
      *target = std::move(*text);
    }
  }
  if (pieces) return read_pieces(place, *pieces, entry);
  return {};
}

Result<Entry> entry_at(const Place& place, std::string_view raw) {
  if (!raw.starts_with('{')) return fail(place.wrong(raw, "an entry is not an object"));
  Entry entry;
  bool asked = false;
  bool answered = false;
  const auto members = members_of(raw);
  for (const auto& member : members) {
    Result<void> done;
    const auto take_text = [&](std::string& target, const char* name) {
      auto text = text_at(place, member.value, name);
      if (!text) done = fail(std::move(text.error()));
      else target = std::move(*text);
    };
    if (member.key == "ask" || member.key == "function") {
      if (asked) return fail(place.wrong(member.key, "an entry asks twice"));
      asked = true;
      if (member.key == "function") {
        entry.kind = Kind::kFunction;
        take_text(entry.address, "function");
      } else {
        auto ask = ask_at(place, member.value);
        if (!ask) return fail(std::move(ask.error()));
        entry.ask = std::move(*ask);
      }
    } else if (member.key == "prompts") {
      if (!member.value.starts_with('[')) return fail(place.wrong(member.value, "prompts is not a list"));
      for (const auto item : protocol::raw_elements(member.value)) {
        auto value = value_at(place, item);
        auto use = value ? prompt_use(*value) : Result<PromptUse>(fail(value.error()));
        if (!use) return fail(place.wrong(item, use.error().message));
        entry.prompts.push_back(std::move(*use));
      }
    } else if (member.key == "effect") {
      take_text(entry.effect, "effect");
    } else if (member.key == "caller") {
      take_text(entry.caller, "caller");
    } else if (member.key == "stream") {
      entry.stream = member.value == "true";
    } else if (member.key == "arguments") {
      if (!member.value.starts_with('{')) return fail(place.wrong(member.value, "arguments is not an object"));
      entry.arguments = std::string(member.value);
    } else if (member.key == "chunks") {
      if (!member.value.starts_with('[')) return fail(place.wrong(member.value, "chunks is not a list"));
      for (const auto item : protocol::raw_elements(member.value)) entry.chunks.emplace_back(item);
    } else if (member.key == "value" || member.key == "reply" || member.key == "error") {
      if (answered) return fail(place.wrong(member.key, "an entry has two answers"));
      answered = true;
      if (member.key == "value") {
        entry.value = std::string(member.value);
      } else if (member.key == "reply") {
        done = read_reply(place, member.value, entry);
      } else {
        auto value = value_at(place, member.value);
        if (!value) return fail(std::move(value.error()));
        if (!value->is_object()) return fail(place.wrong(member.value, "error is not an object"));
        entry.error = std::move(value->get_object());
      }
    } else if (member.key == "bytes") {
      auto pointers = texts_at(place, member.value, "bytes");
      if (!pointers) return fail(std::move(pointers.error()));
      entry.bytes = std::move(*pointers);
    } else {
      return fail(place.wrong(member.key, "unknown member '" + std::string(member.key) + "' of an entry"));
    }
    if (!done) return fail(std::move(done.error()));
  }
  if (!asked || !answered) return fail(place.wrong(raw, asked ? "an entry has no answer: reply, value or error" : "an entry has neither ask nor function"));
  for (const auto& member : members) {
    const bool of_model = member.key == "prompts" || member.key == "reply";
    const bool of_both = member.key == "ask" || member.key == "function" || member.key == "caller" || member.key == "error";
    if (!of_both && of_model != (entry.kind == Kind::kModel)) {
      return fail(place.wrong(member.key, "'" + std::string(member.key) + "' stands in an entry of a " + (of_model ? "function" : "model")));
    }
  }
  const auto* messages = entry.ask.if_contains("messages");
  const auto* embedded = entry.ask.if_contains("texts");
  const std::size_t count = messages != nullptr ? messages->as_array().size() : 0;
  if (entry.vectors.size() != (embedded != nullptr && !entry.error ? embedded->as_array().size() : 0)) {
    return fail(place.wrong(raw, "there is not a vector for each text"));
  }
  for (const auto& use : entry.prompts) {
    if (use.message >= count) return fail(place.wrong(raw, "a prompt names a message that is not there"));
  }
  return entry;
}

}  // namespace

std::string canonical_json(const json::value& value) { return compact_json(sorted(value)); }

std::string canonical_text(std::string_view text) {
  if (protocol::check_json(text) && protocol::has_long_integer(text)) return std::string(text);
  auto value = parse_json(text);
  return value ? canonical_json(*value) : std::string(text);
}

std::string model_key(const json::object& ask) { return "model " + canonical_json(ask); }
std::string function_key(const std::string& address, bool stream, std::string_view arguments) {
  return "function " + address + (stream ? " stream " : " ") + canonical_text(arguments);
}
std::string key_of(const Entry& entry) {
  return entry.kind == Kind::kModel ? model_key(entry.ask) : function_key(entry.address, entry.stream, entry.arguments);
}

json::object to_json(const PromptUse& use) {
  return {{"name", use.name}, {"message", use.message}, {"text", use.text}, {"variables", use.variables}};
}

Result<PromptUse> prompt_use(const json::value& value) {
  if (!value.is_object()) return fail(ErrorCode::kConfig, "a prompt is not an object");
  const auto& object = value.get_object();
  const auto* message = object.if_contains("message");
  if (!message || !message->is_int64() || message->get_int64() < 0) return fail(ErrorCode::kConfig, "a prompt does not say which message it is");
  PromptUse use;
  use.name = string_or(object, "name");
  use.message = static_cast<std::size_t>(message->get_int64());
  use.text = string_or(object, "text");
  use.variables = string_or(object, "variables");
  if (use.name.empty()) return fail(ErrorCode::kConfig, "a prompt has no name");
  return use;
}

std::vector<std::string> lines_of(const json::object& ask) {
  std::vector<std::string> lines;
  for (const char* name : {"alias", "model", "parameters", "output_schema"}) {
    const auto* value = ask.if_contains(name);
    if (value) lines.push_back(std::string(name) + ": " + (value->is_string() ? std::string(value->get_string()) : canonical_json(*value)));
  }
  if (const auto* tools = ask.if_contains("tools"); tools && tools->is_array()) {
    for (const auto& tool : tools->get_array()) {
      if (tool.is_object()) lines.push_back("tool " + std::string(string_or(tool.get_object(), "name")) + " " + std::string(string_or(tool.get_object(), "hash")));
    }
  }
  if (const auto* texts = ask.if_contains("texts"); texts && texts->is_array()) {
    for (const auto& text : texts->get_array()) lines.push_back("text: " + canonical_json(text));
  }
  const auto* messages = ask.if_contains("messages");
  if (!messages || !messages->is_array()) return lines;
  for (const auto& message : messages->get_array()) {
    if (!message.is_object()) continue;
    const auto& object = message.get_object();
    const std::string role(string_or(object, "role", "?"));
    for (const auto& member : object) {
      if (member.key() == "role") continue;
      if (member.key() != "content" || !member.value().is_string()) {
        lines.push_back(role + " " + std::string(member.key()) + ": " + canonical_json(member.value()));
        continue;
      }
      const std::string_view content(member.value().get_string());
      for (const auto line : split_lines(content)) lines.push_back(role + ": " + std::string(line));
      if (content.empty()) lines.push_back(role + ":");
    }
  }
  return lines;
}

Result<Recording> parse_recording(std::string_view text, const std::string& file) {
  if (text.size() > kMostBytes) return fail(Error(ErrorCode::kConfig, "larger than " + std::to_string(kMostBytes >> 20U) + " MiB").at(file));
  const Place place(text, file);
  const auto members = protocol::raw_members(text);
  if (!members) return fail(place.wrong({}, "not a recording: " + members.error().message));
  const auto format = protocol::find_member(*members, "format");
  if (!format) return fail(place.wrong(text, "not a recording: it has no format number"));
  if (*format != std::to_string(kFormat)) {
    const bool number = !format->empty() && std::all_of(format->begin(), format->end(), [](char c) { return c >= '0' && c <= '9'; }) && *format != "0";
    if (!number) return fail(place.wrong(*format, "the recording's format number is " + std::string(format->substr(0, 20))));
    return fail(Error(ErrorCode::kStoreNewer,
                      "the recording has format " + std::string(format->substr(0, 20)) + ", and this engine reads format " + std::to_string(kFormat),
                      "Use the engine that recorded it, or record it anew.")
                    .at(file));
  }
  Recording recording;
  for (const auto& member : *members) {
    if (member.key == "format") continue;
    if (member.key == "name" || member.key == "override") {
      auto value = text_at(place, member.value, member.key == "name" ? "name" : "override");
      if (!value) return fail(std::move(value.error()));
      (member.key == "name" ? recording.name : recording.override_alias) = std::move(*value);
    } else if (member.key == "entries") {
      if (!member.value.starts_with('[')) return fail(place.wrong(member.value, "entries is not a list"));
      const auto items = protocol::raw_elements(member.value);
      if (items.size() > kMostEntries) return fail(place.wrong(member.value, "more than " + std::to_string(kMostEntries) + " entries"));
      for (const auto item : items) {
        auto entry = entry_at(place, item);
        if (!entry) return fail(std::move(entry.error()));
        recording.entries.push_back(std::move(*entry));
      }
    } else {
      return fail(place.wrong(member.key, "unknown member '" + std::string(member.key) + "' of a recording"));
    }
  }
  return recording;
}

std::string to_text(const Recording& recording) {
  Writer out;
  out.open();
  out.key("format").raw(std::to_string(kFormat));
  out.key("name").text(recording.name);
  if (!recording.override_alias.empty()) out.key("override").text(recording.override_alias);
  out.key("entries");
  out.list(recording.entries, [&](const Entry& entry) { write_entry(out, entry); });
  out.close();
  return out.take() + "\n";
}

}  // namespace sabir::recordings
