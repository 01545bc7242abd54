#include "exec_arguments.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "sabir/base/text.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::adapter {
namespace {

struct Value {
  std::string json;                       // raw; "null" where `whole` is set
  const protocol::Blob* whole = nullptr;  // the value itself came as a blob
};

// A string literal, or a key between its quotes, with half of a surrogate pair: no UTF-8 can hold it.
bool has_lone_surrogate(std::string_view raw) {
  const auto unit = [&](std::size_t at) -> unsigned {
    if (at + 6 > raw.size() || raw[at] != '\\' || raw[at + 1] != 'u') return 0;
    return static_cast<unsigned>(std::strtoul(std::string(raw.substr(at + 2, 4)).c_str(), nullptr, 16));
  };
  for (std::size_t at = 0; at + 1 < raw.size(); ++at) {
    if (raw[at] != '\\') continue;
    const unsigned first = unit(at);
    if (first >= 0xDC00 && first < 0xE000) return true;
    if (first >= 0xD800 && first < 0xDC00) {
      const unsigned second = unit(at + 6);
      if (second < 0xDC00 || second >= 0xE000) return true;
      at += 6;
    }
    ++at;
  }
  return false;
}

// The name of a member that some object in the text has twice; a JSON text passes through as it came, and its reader would
// have to choose. "" where there is none.
std::string repeated_member(std::string_view raw) {
  if (raw.find('{') == std::string_view::npos) return {};
  if (raw.starts_with('[')) {
    for (const auto& element : protocol::raw_elements(raw)) {
      if (auto found = repeated_member(element); !found.empty()) return found;
    }
    return {};
  }
  if (!raw.starts_with('{')) return {};
  const auto members = protocol::raw_members(raw);
  if (!members) return {};
  std::set<std::string> keys;
  for (const auto& member : *members) {
    if (!keys.insert(protocol::unquote_key(member.key)).second) return "\"" + std::string(member.key) + "\"";
    if (auto found = repeated_member(member.value); !found.empty()) return found;
  }
  return {};
}

std::string kind_of(const Value& value) {
  if (value.whole) return value.whole->bytes ? "bytes" : "string";
  switch (value.json.empty() ? 'n' : value.json.front()) {
    case '"': return "string";
    case '[': return "array";
    case '{': return "object";
    case 't':
    case 'f': return "boolean";
    case 'n': return "null";
    default: return value.json.find_first_of(".eE") == std::string::npos ? "integer" : "number";
  }
}

std::string json_of(const Value& value) {
  if (!value.whole) return value.json;
  return protocol::quote(value.whole->bytes ? base64_encode(value.whole->data) : value.whole->data);
}

std::string text_of_json(std::string_view raw) { return raw.starts_with('"') ? protocol::unquote(raw) : std::string(raw); }

std::string text_of(const Value& value) {
  if (value.whole) return value.whole->bytes ? base64_encode(value.whole->data) : value.whole->data;
  return text_of_json(value.json);
}

class Binder {
 public:
  Binder(const ExecFunction& function, const protocol::Payload& arguments) : function_(function), arguments_(arguments) {}

  Result<ExecInput> bind(const std::string& file) {
    if (auto read = read_arguments(); !read) return fail(std::move(read.error()));
    const ExecParameter* others = nullptr;
    for (const auto& parameter : function_.parameters) {
      if (parameter.pass == "options") {
        others = &parameter;
      } else if (auto done = one(parameter); !done) {
        return fail(std::move(done.error()));
      }
    }
    if (others) {
      if (auto done = the_others(*others); !done) return fail(std::move(done.error()));
    }
    if (!values_.empty()) {
      std::vector<std::string> names;
      for (const auto& parameter : function_.parameters) names.push_back(parameter.name);
      return fail(ErrorCode::kInvalidArguments, function_.name + " has no parameter " + values_.begin()->first, did_you_mean(values_.begin()->first, names));
    }
    ExecInput out;
    const auto add = [&out](std::string_view word) {
      out.words += word;
      out.words += '\0';
    };
    add("1");
    add(file);
    add(function_.name);
    options_.insert(options_.end(), words_.begin(), words_.end());
    add(std::to_string(options_.size()));
    for (const auto& word : options_) add(word);
    add(std::to_string(variables_.size()));
    for (const auto& variable : variables_) {
      add(variable.name);
      add(variable.kind);
      add(variable.form);
      add(std::to_string(variable.values.size()));
      for (const auto& value : variable.values) add(value);
    }
    out.standard_in = std::move(standard_in_);
    out.has_standard_in = has_standard_in_;
    return out;
  }

 private:
  struct Variable {
    std::string name;
    std::string kind;  // of the JSON value; "absent"
    std::string form;  // "text", "list", "map", "none"
    std::vector<std::string> values;
  };

  Result<void> read_arguments() {
    const auto members = protocol::raw_members(arguments_.json);
    if (!members) return fail(ErrorCode::kInvalidArguments, "the arguments are no object");
    std::map<std::string, std::vector<const protocol::Blob*>> blobs;
    for (const auto& blob : arguments_.blobs) {
      if (!blob.at.starts_with('/')) return fail(ErrorCode::kInvalidArguments, "a blob's place '" + blob.at + "' is none");
      if (!blob.bytes && find_invalid_utf8(blob.data) != std::string_view::npos) {
        return fail(ErrorCode::kInvalidArguments, "the text at '" + blob.at + "' is not UTF-8");
      }
      blobs[protocol::pointer_token(std::string_view(blob.at).substr(1, blob.at.find('/', 1) - 1))].push_back(&blob);
    }
    for (const auto& member : *members) {
      const std::string name = protocol::unquote_key(member.key);
      Value value;
      if (const auto own = blobs.find(name); own != blobs.end()) {
        const std::size_t prefix = std::min(own->second.front()->at.find('/', 1), own->second.front()->at.size());
        if (own->second.size() == 1 && own->second.front()->at.size() == prefix && member.value == "null") {
          value.whole = own->second.front();
        } else {
          auto placed = place_blobs(member.value, own->second, prefix);
          if (!placed) return fail(std::move(placed.error()));
          value.json = std::move(*placed);
        }
        blobs.erase(own);
      } else {
        value.json = member.value;
      }
      if (const auto twice = repeated_member(value.json); !twice.empty()) {
        return fail(ErrorCode::kInvalidArguments, "the argument " + name + " has the member " + twice + " twice");
      }
      values_.insert_or_assign(name, std::move(value));
    }
    if (!blobs.empty()) return fail(ErrorCode::kInvalidArguments, "a blob's place leads to no argument: " + blobs.begin()->second.front()->at);
    return {};
  }

  Result<void> one(const ExecParameter& parameter) {
    std::optional<Value> value;
    if (auto given = values_.extract(parameter.name)) {
      value = std::move(given.mapped());
      if (auto checked = check(parameter, *value); !checked) return checked;
    } else if (parameter.fallback) {
      value = Value{*parameter.fallback, nullptr};
    } else if (parameter.required) {
      return fail(ErrorCode::kInvalidArguments, "the argument " + parameter.name + " is missing");
    }
    if (parameter.variadic) return repeated(parameter, value);
    if (parameter.pass == "stdin") return on_standard_in(parameter, value);
    Variable variable{parameter.name, value ? kind_of(*value) : "absent", "none", {}};
    std::string text;
    if (value) {
      const bool null = variable.kind == "null";
      if (parameter.form != "json" && has_lone_surrogate(value->json)) {
        return fail(ErrorCode::kInvalidArguments, "the argument " + parameter.name + " holds half of a surrogate pair, which is no character");
      }
      text = parameter.form == "text" ? (null ? std::string() : text_of(*value)) : json_of(*value);
      if (parameter.form == "list" && variable.kind == "array") {
        variable.form = "list";
        for (const auto& element : protocol::raw_elements(value->json)) variable.values.push_back(text_of_json(element));
      } else if (parameter.form == "map" && variable.kind == "object") {
        variable.form = "map";
        const auto members = protocol::raw_members(value->json);
        for (const auto& member : *members) {
          if (member.key.empty()) return fail(ErrorCode::kInvalidArguments, "the argument " + parameter.name + " has a member without a name, which no table of the shell can hold");
          variable.values.push_back(protocol::unquote_key(member.key));
          variable.values.push_back(text_of_json(member.value));
        }
      } else if (!null || parameter.form == "json") {
        variable.form = "text";
        variable.values = {text};
      }
    }
    if (auto good = no_nul(parameter, variable.values); !good) return good;
    if (text.find('\0') != std::string::npos) return no_nul(parameter, {text});
    std::string option = "--" + parameter.name;
    std::replace(option.begin(), option.end(), '_', '-');
    if (parameter.pass == "word") {
      if (value) {
        while (skipped_ > 0) {
          words_.emplace_back();
          --skipped_;
        }
        words_.push_back(text);
      } else {
        ++skipped_;
      }
    } else if (parameter.pass == "flag") {
      if (value && value->json == "true") options_.push_back(option);
    } else if (parameter.pass == "option" && value && variable.form != "none") {
      options_.push_back(option);
      options_.push_back(text);
    }
    variables_.push_back(std::move(variable));
    return {};
  }

  Result<void> repeated(const ExecParameter& parameter, const std::optional<Value>& value) {
    Variable variable{parameter.name, "array", "list", {}};
    if (value && kind_of(*value) != "array") return fail(ErrorCode::kInvalidArguments, "the argument " + parameter.name + " must be an array");
    if (value) {
      if (parameter.form == "text" && has_lone_surrogate(value->json)) {
        return fail(ErrorCode::kInvalidArguments, "the argument " + parameter.name + " holds half of a surrogate pair, which is no character");
      }
      for (const auto& element : protocol::raw_elements(value->json)) {
        variable.values.push_back(parameter.form == "text" ? text_of_json(element) : std::string(element));
      }
    }
    if (auto good = no_nul(parameter, variable.values); !good) return good;
    if (!variable.values.empty()) {
      for (; skipped_ > 0; --skipped_) words_.emplace_back();
    }
    words_.insert(words_.end(), variable.values.begin(), variable.values.end());
    variables_.push_back(std::move(variable));
    return {};
  }

  Result<void> on_standard_in(const ExecParameter& parameter, const std::optional<Value>& value) {
    variables_.push_back({parameter.name, value ? kind_of(*value) : "absent", "none", {}});
    if (!value) return {};
    if (has_lone_surrogate(value->json)) {
      return fail(ErrorCode::kInvalidArguments, "the argument " + parameter.name + " holds half of a surrogate pair, which is no character");
    }
    has_standard_in_ = true;
    // Bytes and texts as they are; anything else as JSON.
    if (value->whole) standard_in_ = value->whole->data;
    else if (value->json != "null") standard_in_ = text_of(*value);
    return {};
  }

  // Every name that no parameter has taken, and the members of an object under the parameter's own name (MUST-15).
  Result<void> the_others(const ExecParameter& parameter) {
    if (const auto given = values_.extract(parameter.name)) {
      if (kind_of(given.mapped()) != "object") return fail(ErrorCode::kInvalidArguments, "the argument " + parameter.name + " must be an object");
      const auto members = protocol::raw_members(given.mapped().json);
      for (const auto& member : *members) values_.insert_or_assign(protocol::unquote_key(member.key), Value{std::string(member.value), nullptr});
    }
    Variable variable{parameter.name, "object", parameter.form == "text" ? "map" : "text", {}};
    std::string object = "{";
    for (const auto& [name, value] : values_) {
      if (auto checked = check(parameter, value); !checked) return checked;
      if (name.empty()) return fail(ErrorCode::kInvalidArguments, "an option without a name");
      if (parameter.form == "text" && has_lone_surrogate(value.json)) {
        return fail(ErrorCode::kInvalidArguments, "the argument " + name + " holds half of a surrogate pair, which is no character");
      }
      const std::string text = parameter.form == "text" ? text_of(value) : json_of(value);
      if (auto good = no_nul(parameter, {name, text}); !good) return good;
      object += (object.size() > 1 ? "," : "") + protocol::quote(name) + ":" + json_of(value);
      if (variable.form == "map") {
        variable.values.push_back(name);
        variable.values.push_back(text);
      }
      options_.push_back("--" + name);
      options_.push_back(text);
    }
    values_.clear();
    if (variable.form == "text") variable.values = {object + "}"};
    variables_.push_back(std::move(variable));
    return {};
  }

  static Result<void> check(const ExecParameter& parameter, const Value& value) {
    if (!parameter.validator) return {};
    return parameter.validator->check(json_of(value), ErrorCode::kInvalidArguments, "the argument " + parameter.name);
  }

  static Result<void> no_nul(const ExecParameter& parameter, const std::vector<std::string>& values) {
    for (const auto& value : values) {
      if (value.find('\0') == std::string::npos) continue;
      return fail(ErrorCode::kInvalidArguments, "the argument " + parameter.name + " holds the character NUL, which no word of a process can",
                  "A parameter that is given on standard input takes it: `@stdin` in shell.");
    }
    return {};
  }

  const ExecFunction& function_;
  const protocol::Payload& arguments_;
  std::map<std::string, Value> values_;
  std::vector<std::string> options_;
  std::vector<std::string> words_;
  std::vector<Variable> variables_;
  std::string standard_in_;
  bool has_standard_in_ = false;
  int skipped_ = 0;  // positions left out since the last one given
};

}  // namespace

Result<std::string> place_blobs(std::string_view text, const std::vector<const protocol::Blob*>& blobs, std::size_t prefix) {
  std::map<std::size_t, const protocol::Blob*> places;
  for (const auto* blob : blobs) {
    const auto at = protocol::raw_at(text, std::string_view(blob->at).substr(prefix));
    if (at != "null" || !places.emplace(static_cast<std::size_t>(at.data() - text.data()), blob).second) {
      return fail(ErrorCode::kInvalidArguments, "a blob's place '" + blob->at + "' leads to no null");
    }
  }
  std::string out;
  std::size_t from = 0;
  for (const auto& [at, blob] : places) {
    out += text.substr(from, at - from);
    protocol::append_quoted(out, blob->bytes ? base64_encode(blob->data) : blob->data);
    from = at + 4;
  }
  out += text.substr(from);
  return out;
}

Result<ExecInput> bind_arguments(const ExecFunction& function, const std::string& file, const protocol::Payload& arguments) {
  return Binder(function, arguments).bind(file);
}

}  // namespace sabir::adapter
