#include "sabir/base/json.h"

#include <algorithm>
#include <charconv>

namespace sabir {

Result<json::value> parse_json(std::string_view text) {
  json::parse_options options;
  options.max_depth = 256;
  json::stream_parser parser({}, options);
  json::error_code ec;
  const std::size_t used = parser.write_some(text.data(), text.size(), ec);
  std::size_t at = used;
  if (!ec && used < text.size()) {
    const std::size_t rest = text.find_first_not_of(" \t\r\n", used);
    if (rest != std::string_view::npos) {
      at = rest;
      ec = json::error::extra_data;
    }
  }
  if (!ec) parser.finish(ec);
  if (ec) {
    int line = 1;
    int column = 1;
    for (std::size_t i = 0; i < at && i < text.size(); ++i) {
      if (text[i] == '\n') {
        ++line;
        column = 1;
      } else {
        ++column;
      }
    }
    Error error(ErrorCode::kInvalidArguments, "not valid JSON: " + ec.message() + " at line " + std::to_string(line) +
                                                  ", column " + std::to_string(column));
    error.line = line;
    error.column = column;
    return fail(std::move(error));
  }
  return parser.release();
}

namespace {

// The shortest text that reads back as the same number; a fraction or exponent marks it as no integer.
void write_double(double value, std::string& out) {
  char buffer[32];
  const auto [end, ec] = std::to_chars(buffer, buffer + sizeof buffer, value);
  const std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  out += text;
  if (text.find_first_of(".en") == std::string_view::npos) out += ".0";
}

void new_line(std::string& out, int spaces) {
  if (spaces < 0) return;
  out += '\n';
  out.append(static_cast<std::size_t>(spaces), ' ');
}

// Most strings have nothing to escape.
void write_string(std::string_view text, std::string& out) {
  if (std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; })) {
    out += json::serialize(json::string_view(text));
    return;
  }
  out += '"';
  out += text;
  out += '"';
}

void write(const json::value& value, std::string& out, int indent);

// `indent` < 0 writes everything on one line.
void write_object(const json::object& object, std::string& out, int indent) {
  const int inner = indent >= 0 ? indent + 2 : -1;
  out += '{';
  bool first = true;
  for (const auto& member : object) {
    if (!first) out += ',';
    first = false;
    new_line(out, inner);
    write_string(member.key(), out);
    out += indent >= 0 ? ": " : ":";
    write(member.value(), out, inner);
  }
  if (!first) new_line(out, indent);
  out += '}';
}

void write(const json::value& value, std::string& out, int indent) {
  const int inner = indent >= 0 ? indent + 2 : -1;
  if (value.is_object()) {
    write_object(value.get_object(), out, indent);
  } else if (value.is_string()) {
    write_string(value.get_string(), out);
  } else if (value.is_array() && !value.get_array().empty()) {
    out += '[';
    bool first = true;
    for (const auto& item : value.get_array()) {
      if (!first) out += ',';
      first = false;
      new_line(out, inner);
      write(item, out, inner);
    }
    new_line(out, indent);
    out += ']';
  } else if (value.is_double()) {
    write_double(value.get_double(), out);
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

std::string pretty_json(const json::value& value) {
  std::string out;
  write(value, out, 0);
  return out;
}

std::string compact_json(const json::value& value) {
  std::string out;
  write(value, out, -1);
  return out;
}

std::string compact_json(const json::object& object) {
  std::string out;
  write_object(object, out, -1);
  return out;
}

json::object to_json(const Error& error) {
  json::object object;
  object["type"] = error_code_name(error.code);
  object["message"] = error.message;
  if (!error.hint.empty()) object["hint"] = error.hint;
  if (!error.file.empty()) object["file"] = error.file;
  if (error.line > 0) object["line"] = error.line;
  if (error.column > 0) object["column"] = error.column;
  if (!error.data.empty()) {
    if (auto data = parse_json(error.data); data && data->is_object()) {
      for (const auto& member : data->get_object()) {
        if (!object.contains(member.key())) object[member.key()] = member.value();
      }
    }
  }
  return object;
}

Error error_from_json(const json::object& object) {
  Error error(error_code_from_name(string_or(object, "type")), std::string(string_or(object, "message")),
              std::string(string_or(object, "hint")));
  error.file = string_or(object, "file");
  if (const auto* line = object.if_contains("line"); line && line->is_int64()) {
    error.line = static_cast<int>(line->get_int64());
  }
  if (const auto* column = object.if_contains("column"); column && column->is_int64()) {
    error.column = static_cast<int>(column->get_int64());
  }
  json::object data;
  for (const auto& member : object) {
    const auto key = member.key();
    if (key != "type" && key != "message" && key != "hint" && key != "file" && key != "line" && key != "column") {
      data[key] = member.value();
    }
  }
  if (!data.empty()) error.data = json::serialize(data);
  return error;
}

std::string_view string_or(const json::object& object, std::string_view key, std::string_view otherwise) {
  if (const auto* value = object.if_contains(key); value && value->is_string()) {
    return {value->get_string().data(), value->get_string().size()};
  }
  return otherwise;
}

}  // namespace sabir
