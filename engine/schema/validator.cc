#include "sabir/schema/validator.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "quick_check.h"
#include "sabir/base/text.h"
#include "sabir/bridge/bridge.h"

namespace sabir::schema {
namespace {

constexpr std::size_t kMostInMessage = 3;

std::string take(sb_buf buffer) {
  std::string text(buffer.data ? buffer.data : "", buffer.size);
  sb_free(buffer);
  return text;
}

std::string unescape(std::string_view token) {
  std::string out;
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (token[i] == '~' && i + 1 < token.size()) {
      ++i;
      out += token[i] == '1' ? '/' : '~';
    } else {
      out += token[i];
    }
  }
  return out;
}

std::vector<std::string> tokens_of(std::string_view pointer) {
  std::vector<std::string> out;
  std::size_t at = 0;
  while (at < pointer.size()) {
    const std::size_t next = std::min(pointer.find('/', at + 1), pointer.size());
    out.push_back(unescape(pointer.substr(at + 1, next - at - 1)));
    at = next;
  }
  return out;
}

// The part of the schema that a keyword's path points at, or its parent with `up` = 1.
const json::value* find(const json::value& schema, std::string_view pointer, std::size_t up) {
  auto tokens = tokens_of(pointer);
  if (tokens.size() < up) return nullptr;
  tokens.resize(tokens.size() - up);
  const json::value* at = &schema;
  for (const auto& token : tokens) {
    if (at->is_object()) {
      at = at->get_object().if_contains(token);
    } else if (at->is_array()) {
      std::size_t index = 0;
      for (const char c : token) index = c >= '0' && c <= '9' && index < 1'000'000 ? index * 10 + static_cast<std::size_t>(c - '0') : 1'000'000;
      at = index < at->get_array().size() ? &at->get_array()[index] : nullptr;
    } else {
      return nullptr;
    }
    if (!at) return nullptr;
  }
  return at;
}

// "string", "array of integers", "one of \"a\", \"b\"", "string or null".
std::string words_for(const json::value& schema, int depth = 0) {
  const auto* object = schema.if_object();
  if (!object || object->empty() || depth > 4) return "anything";
  if (const auto* values = object->if_contains("enum"); values && values->is_array()) {
    std::vector<std::string> texts;
    for (const auto& value : values->get_array()) {
      if (texts.size() == 12) {
        texts.emplace_back("…");
        break;
      }
      texts.push_back(json::serialize(value));
    }
    return (texts.size() == 1 ? "" : "one of ") + join(texts, ", ");
  }
  if (const auto* choices = object->if_contains("anyOf"); choices && choices->is_array()) {
    std::vector<std::string> texts;
    for (const auto& choice : choices->get_array()) texts.push_back(words_for(choice, depth + 1));
    return join(texts, " or ");
  }
  const auto* type = object->if_contains("type");
  if (!type) return "anything";
  if (type->is_array()) {
    std::vector<std::string> texts;
    for (const auto& one : type->get_array()) texts.emplace_back(one.is_string() ? one.get_string().c_str() : "");
    return join(texts, " or ");
  }
  std::string word(type->is_string() ? type->get_string().c_str() : "");
  if (word == "array") {
    if (const auto* items = object->if_contains("items"); items && items->is_object() && items->get_object().contains("type")) {
      const std::string inner = words_for(*items, depth + 1);
      return "array of " + (inner == "string" || inner == "integer" || inner == "number" || inner == "boolean" ? inner + "s" : inner);
    }
  }
  if (const std::string format(string_or(*object, "format")); !format.empty()) return word + " of format " + format;
  if (string_or(*object, "contentEncoding") == "base64") return "base64 text";
  return word;
}

bool takes(const json::value* schema, std::string_view type) {
  if (!schema || !schema->is_object()) return false;
  const auto* found = schema->get_object().if_contains("type");
  if (found && found->is_string()) return found->get_string() == type;
  if (found && found->is_array()) {
    for (const auto& one : found->get_array()) {
      if (one.is_string() && one.get_string() == type) return true;
    }
  }
  return false;
}

// A value of the right kind, for a hint.
std::string example_of(const json::value* schema, std::string_view name) {
  if (schema && schema->is_object()) {
    const auto& object = schema->get_object();
    if (const auto* values = object.if_contains("enum"); values && values->is_array() && !values->get_array().empty()) {
      return json::serialize(values->get_array().front());
    }
    if (const auto* value = object.if_contains("default"); value && !value->is_null()) return json::serialize(*value);
  }
  if (takes(schema, "string")) return "\"…\"";
  if (takes(schema, "integer")) return "1";
  if (takes(schema, "number")) return "1.5";
  if (takes(schema, "boolean")) return "true";
  if (takes(schema, "array")) return "[…]";
  if (takes(schema, "object")) return "{…}";
  return "<" + std::string(name) + ">";
}

struct Violation {
  std::string path;
  std::string keyword;
  std::string expected;
  std::string got;
  std::string message;
  std::string hint;
  std::string schema_path;
  std::vector<std::string> names;
};

std::vector<std::string> property_names(const json::value* schema) {
  std::vector<std::string> out;
  if (!schema || !schema->is_object()) return out;
  if (const auto* properties = schema->get_object().if_contains("properties"); properties && properties->is_object()) {
    for (const auto& member : properties->get_object()) out.emplace_back(member.key());
  }
  return out;
}

const json::value* property_of(const json::value* schema, const std::string& name) {
  if (!schema || !schema->is_object()) return nullptr;
  const auto* properties = schema->get_object().if_contains("properties");
  return properties && properties->is_object() ? properties->get_object().if_contains(name) : nullptr;
}

std::string escape_token(const std::string& name) {
  std::string out;
  for (const char c : name) {
    if (c == '~') out += "~0";
    else if (c == '/') out += "~1";
    else out += c;
  }
  return out;
}

// How to write the right thing at a place: `text="12"` for an argument, `"12"` further down.
std::string write_at(const std::string& path, const std::string& value) {
  const auto tokens = tokens_of(path);
  return tokens.size() == 1 ? "Write " + tokens[0] + "=" + value : "Write " + value;
}

void explain(Violation& v, const json::value& schema) {
  const json::value* const here = find(schema, v.schema_path, 1);
  const std::string place = v.path.empty() ? std::string() : v.path;
  if (v.keyword == "required" && !v.names.empty()) {
    const json::value* const wanted = property_of(here, v.names[0]);
    v.path = place + "/" + escape_token(v.names[0]);
    v.expected = wanted ? words_for(*wanted) : "a value";
    v.got = "nothing";
    v.message = v.path + ": expected " + v.expected + ", but it is missing";
    v.hint = place.empty() ? "Add " + v.names[0] + "=" + example_of(wanted, v.names[0])
                           : "Add \"" + v.names[0] + "\": " + example_of(wanted, v.names[0]);
    v.hint += ".";
    return;
  }
  if (v.keyword == "additionalProperties" && !v.names.empty()) {
    const auto known = property_names(here);
    std::vector<std::string> shown;
    for (const auto& name : v.names) shown.push_back("'" + name + "'");
    v.path = place + "/" + escape_token(v.names[0]);
    v.message = (place.empty() ? "" : place + ": ") + std::string(place.empty() ? "unknown argument " : "unknown member ") + join(shown, ", ");
    v.expected = known.empty() ? "no members" : join(known, ", ");
    v.hint = did_you_mean(v.names[0], known);
    if (v.hint.empty()) v.hint = known.empty() ? "None is taken." : "Known are: " + join(known, ", ") + ".";
    return;
  }
  if (here && (v.keyword == "type" || v.keyword == "anyOf" || v.keyword == "enum" || v.expected.empty())) {
    if (const auto words = words_for(*here); words != "anything") v.expected = words;
  }
  if (v.expected.empty()) v.expected = v.message;
  v.message = (place.empty() ? "" : place + ": ") + "expected " + v.expected + ", got " + v.got;
  const std::size_t space = v.got.find(' ');
  const std::string kind = v.got.substr(0, space);
  const std::string value = space == std::string::npos ? std::string() : v.got.substr(space + 1);
  if (v.keyword == "type" || v.keyword == "anyOf") {
    if (takes(here, "string") && (kind == "number" || kind == "boolean")) {
      v.hint = write_at(v.path, "\"" + value + "\"") + ", a string in quotes.";
    } else if ((takes(here, "integer") || takes(here, "number") || takes(here, "boolean")) && kind == "string" && value.size() > 2) {
      const std::string bare = value.substr(1, value.size() - 2);
      const auto parsed = parse_json(bare);
      const bool fits = parsed && ((takes(here, "integer") && (parsed->is_int64() || parsed->is_uint64())) ||
                                   (takes(here, "number") && parsed->is_number()) || (takes(here, "boolean") && parsed->is_bool()));
      if (fits) v.hint = write_at(v.path, bare) + " without quotes.";
    } else if (takes(here, "integer") && kind == "number") {
      v.hint = "It takes whole numbers only.";
    } else if (takes(here, "array") && kind != "array" && kind != "null") {
      v.hint = write_at(v.path, "[" + (value.empty() || kind == "object" ? std::string("…") : value) + "]") + ", an array.";
    }
    if (v.hint.empty()) v.hint = write_at(v.path, example_of(here, "value")) + ".";
  } else if (v.keyword == "enum" && here && kind == "string" && value.size() > 2) {
    std::vector<std::string> options;
    if (const auto* values = here->as_object().if_contains("enum"); values && values->is_array()) {
      for (const auto& one : values->get_array()) {
        if (one.is_string()) options.emplace_back(one.get_string());
      }
    }
    v.hint = did_you_mean(value.substr(1, value.size() - 2), options);
  }
}

}  // namespace

struct Validator::State {
  struct Free {
    void operator()(sb_schema* one) const { sb_schema_free(one); }
  };
  json::value source;
  std::optional<QuickCheck> quick;
  std::once_flag once;
  Result<std::unique_ptr<sb_schema, Free>> full;

  // Compiled when it is first needed: most schemas are of the few keywords that the quick check knows, and most values fit.
  const Result<std::unique_ptr<sb_schema, Free>>& compiled() {
    std::call_once(once, [this] {
      const std::string text = json::serialize(source);
      sb_buf error{};
      full = std::unique_ptr<sb_schema, Free>(sb_schema_compile({text.data(), text.size()}, &error));
      if (*full) return;
      std::string message = take(error);
      if (auto parsed = parse_json(message); parsed && parsed->is_object()) message = string_or(parsed->get_object(), "message");
      full = fail(ErrorCode::kInvalidArguments, message, "See JSON Schema 2020-12 for what a schema may say.");
    });
    return full;
  }
};

Validator::Validator(std::unique_ptr<State> state) : state_(std::move(state)) {}
Validator::Validator(Validator&&) noexcept = default;
Validator& Validator::operator=(Validator&&) noexcept = default;
Validator::~Validator() = default;

Result<Validator> Validator::compile(const json::object& schema) {
  auto state = std::make_unique<State>();
  state->source = schema;
  // What the quick check takes is a valid schema.
  state->quick = QuickCheck::compile(schema);
  if (!state->quick) {
    if (const auto& full = state->compiled(); !full) return fail(full.error());
  }
  return Validator(std::move(state));
}

bool Validator::surely_fits(std::string_view instance_json) const { return state_->quick && state_->quick->accepts(instance_json); }

std::optional<std::uint64_t> Validator::fitting_members(std::string_view instance_json) const {
  return state_->quick ? state_->quick->members(instance_json) : std::nullopt;
}

Result<void> Validator::check(std::string_view instance_json, ErrorCode code, std::string_view what) const {
  if (surely_fits(instance_json)) return {};
  const auto& full = state_->compiled();
  if (!full) return fail(full.error());
  sb_buf out{};
  const int status = sb_schema_validate(full->get(), {instance_json.data(), instance_json.size()}, &out);
  if (status == 0) return {};
  const auto report = parse_json(take(out));
  const std::string subject(what);
  if (status == 2 || !report || !report->is_array()) {
    std::string why = report && report->is_object() ? std::string(string_or(report->get_object(), "message")) : "unreadable";
    return fail(code, subject + ": not valid JSON: " + why, "Send one JSON value, nested at most 128 deep.");
  }
  std::vector<Violation> violations;
  for (const auto& entry : report->get_array()) {
    const auto* object = entry.if_object();
    if (!object) continue;
    Violation v;
    v.path = string_or(*object, "path");
    v.keyword = string_or(*object, "keyword");
    v.expected = string_or(*object, "expected");
    v.got = string_or(*object, "got");
    v.message = string_or(*object, "message");
    v.schema_path = string_or(*object, "schema_path");
    if (const auto* names = object->if_contains("names"); names && names->is_array()) {
      for (const auto& name : names->get_array()) {
        if (name.is_string()) v.names.emplace_back(name.get_string());
      }
    }
    explain(v, state_->source);
    violations.push_back(std::move(v));
  }
  // An unknown name explains a missing one beside it, so it comes first.
  std::size_t unknown = 0;
  for (std::size_t i = 0; i < violations.size(); ++i) {
    if (violations[i].keyword != "additionalProperties") continue;
    const auto begin = violations.begin();
    std::rotate(begin + static_cast<std::ptrdiff_t>(unknown++), begin + static_cast<std::ptrdiff_t>(i), begin + static_cast<std::ptrdiff_t>(i) + 1);
  }
  std::string message = subject + ": ";
  std::string hint;
  json::array list;
  for (std::size_t i = 0; i < violations.size(); ++i) {
    const auto& v = violations[i];
    if (i < kMostInMessage) {
      message += (i > 0 ? "; " : "") + v.message;
      if (!v.hint.empty() && hint.find(v.hint) == std::string::npos) hint += (hint.empty() ? "" : " ") + v.hint;
    }
    json::object one;
    one["path"] = v.path;
    one["expected"] = v.expected;
    one["got"] = v.got;
    one["message"] = v.message;
    list.push_back(std::move(one));
  }
  if (violations.size() > kMostInMessage) message += "; and " + std::to_string(violations.size() - kMostInMessage) + " more";
  if (code == ErrorCode::kInvalidResult) hint = "The function returned what its own signature forbids: correct the one or the other.";
  json::object data;
  data["violations"] = std::move(list);
  return fail(Error(code, std::move(message), std::move(hint)).with_data(json::serialize(data)));
}

}  // namespace sabir::schema
