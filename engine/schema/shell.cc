#include "sabir/schema/shell.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <set>
#include <vector>

#include "sabir/base/text.h"
#include "shell_scan.h"
#include "shell_types.h"

namespace sabir::schema {
namespace {

constexpr std::size_t kMostFunctions = 10'000;
constexpr int kMostPositions = 99;

bool is_identifier(std::string_view name) {
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name.front())) != 0) return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

// Names that bash or a program it starts gives a meaning of its own: a caller must not set them.
bool is_reserved(std::string_view name) {
  const bool upper = std::none_of(name.begin(), name.end(), [](unsigned char c) { return std::islower(c) != 0; });
  return upper || name.starts_with("sabir_") || name.starts_with("__") || name.starts_with("BASH") || name.ends_with("_proxy") || name == "histchars" || name == "auto_resume";
}

// ---- literals --------------------------------------------------------------------------------------------------------

struct Literal {
  std::string text;
  bool quoted = false;
};

// One word of static text that begins at `at`; false where it is anything else.
bool literal_word(std::string_view source, std::size_t& at, Literal& out) {
  while (at < source.size()) {
    const char c = source[at];
    if (c == '\'') {
      const std::size_t end = source.find('\'', at + 1);
      if (end == std::string_view::npos) return false;
      out.text += source.substr(at + 1, end - at - 1);
      out.quoted = true;
      at = end + 1;
    } else if (c == '"') {
      out.quoted = true;
      for (++at; at < source.size() && source[at] != '"'; ++at) {
        if (source[at] == '$' || source[at] == '`') return false;
        if (source[at] == '\\' && at + 1 < source.size() && std::string_view("\"\\$`\n").find(source[at + 1]) != std::string_view::npos) {
          ++at;
          if (source[at] == '\n') continue;
        }
        out.text += source[at];
      }
      if (at >= source.size()) return false;
      ++at;
    } else if (source.substr(at).starts_with("$'")) {
      out.quoted = true;
      for (at += 2; at < source.size() && source[at] != '\''; ++at) {
        if (source[at] != '\\') {
          out.text += source[at];
          continue;
        }
        if (++at >= source.size()) return false;
        const std::size_t known = std::string_view("nt\\'\"").find(source[at]);
        if (known == std::string_view::npos) return false;
        out.text += "\n\t\\'\""[known];
      }
      if (at >= source.size()) return false;
      ++at;
    } else if (std::string_view(" \t\n;&|<>()").find(c) != std::string_view::npos) {
      break;
    } else if (std::string_view("$`*?[]{}~\\").find(c) != std::string_view::npos) {
      return false;
    } else {
      out.text += c;
      ++at;
    }
  }
  return true;
}

json::value scalar_of(const Literal& literal) {
  if (literal.quoted) return json::value(literal.text);
  if (literal.text == "true" || literal.text == "false") return literal.text == "true";
  if (!literal.text.empty() && literal.text.find_first_not_of("0123456789.-") == std::string::npos) {
    if (auto number = parse_json(literal.text); number && number->is_number()) return std::move(*number);
  }
  return json::value(literal.text);
}

// The value of an assignment, where it is static.
bool literal_value(std::string_view source, json::value& out) {
  std::size_t at = 0;
  if (!source.starts_with('(')) {
    Literal literal;
    if (!literal_word(source, at, literal) || at != source.size()) return false;
    out = scalar_of(literal);
    return true;
  }
  if (!source.ends_with(')')) return false;
  source = source.substr(1, source.size() - 2);
  json::array list;
  while (at < source.size()) {
    const char c = source[at];
    if (c == ' ' || c == '\t' || c == '\n') {
      ++at;
    } else if (c == '#') {
      at = std::min(source.find('\n', at), source.size());
    } else {
      Literal literal;
      const std::size_t from = at;
      if (!literal_word(source, at, literal) || at == from) return false;
      list.push_back(scalar_of(literal));
    }
  }
  out = std::move(list);
  return true;
}

// ---- tags ------------------------------------------------------------------------------------------------------------

struct Tagged {
  json::array parameters;
  json::object result{{"schema", {{"type", "string"}}}, {"type", ""}, {"as", "text"}};
  std::string doc;
  bool generator = false;
  bool hidden = false;
  bool has_parameters = false;  // a tag says what they are, or that there are none
  std::string wrong;            // why the function cannot be served
  int wrong_line = 0;
  json::array warnings;
};

std::string_view first_word(std::string_view text, std::string_view& rest) {
  text = trim(text);
  const std::size_t end = std::min(text.find_first_of(" \t"), text.size());
  rest = trim(text.substr(end));
  return text.substr(0, end);
}

class Tags {
 public:
  explicit Tags(Tagged& out) : out_(out) {}

  // A comment's line without its '#'.
  void line(std::string_view raw, int number) {
    number_ = number;
    const auto text = trim(raw);
    if (!text.starts_with('@')) {
      // What is indented further belongs to the tag above it.
      if (continued_ && !text.empty() && raw.starts_with("  ")) {
        auto& doc = (*continued_)["doc"];
        doc = json::value(std::string(doc.is_string() ? std::string_view(doc.get_string()) : std::string_view()) + " " + std::string(text));
        return;
      }
      continued_ = nullptr;
      add_doc(raw.starts_with(' ') ? raw.substr(1) : raw);
      return;
    }
    continued_ = nullptr;
    std::string_view rest;
    const auto tag = first_word(text.substr(1), rest);
    if (tag == "arg" || tag == "param") return parameter(rest, tag == "param" ? "@param" : "@arg", "word");
    if (tag == "opt" || tag == "option") return parameter(rest, "@opt", "option");
    if (tag == "flag") return parameter(rest, "@flag", "flag");
    if (tag == "stdin") return parameter(rest, "@stdin", "stdin");
    if (tag == "options") return parameter(rest, "@options", "options");
    if (tag == "noargs") {
      out_.has_parameters = true;
    } else if (tag == "return" || tag == "returns" || tag == "stdout" || tag == "stream") {
      result(rest, tag == "stream");
    } else if (tag == "private" || tag == "internal") {
      out_.hidden = true;
    } else if (tag == "description" || tag == "describe" || tag == "brief") {
      add_doc(rest);
    } else {
      // The engine reads the tags that all languages share.
      add_doc(text);
    }
  }

 private:
  void add_doc(std::string_view text) {
    out_.doc += text;
    out_.doc += '\n';
  }

  void refuse(std::string why) {
    if (!out_.wrong.empty()) return;
    out_.wrong = std::move(why);
    out_.wrong_line = number_;
  }

  // `name`, `name?`, `name!`, `name…`, with `=default` after the name or its type.
  void parameter(std::string_view rest, const std::string& tag, std::string_view pass) {
    out_.has_parameters = true;
    std::string_view text = trim(rest);
    while (text.starts_with('-')) text.remove_prefix(1);
    const std::size_t end = std::min(text.find_first_of(" \t=?!.<"), text.size());
    std::string name(text.substr(0, end));
    text.remove_prefix(end);
    std::replace(name.begin(), name.end(), '-', '_');
    if (!is_identifier(name)) return refuse(tag + " needs the name of a variable, not '" + name + "'");
    if (is_reserved(name)) return refuse(tag + " " + name + ": the shell has that name for itself; take another, in lower case");
    if (!names_.insert(to_snake_case(name)).second) return refuse(tag + " " + name + ": there is one of that name already");
    bool required = pass == "word" || pass == "stdin";
    bool variadic = false;
    if (text.starts_with("...")) {
      text.remove_prefix(3);
      variadic = true;
    } else if (text.starts_with("…")) {
      text.remove_prefix(std::string_view("…").size());
      variadic = true;
    } else if (text.starts_with('?') || text.starts_with('!')) {
      required = text.front() == '!';
      text.remove_prefix(1);
    }
    if (variadic && pass != "word") return refuse(tag + " " + name + ": only an @arg can be repeated");
    if (variadic_ && pass == "word") return refuse(tag + " " + name + " stands after the one that takes all that follow");
    ShellType type{{{"type", "string"}}, "text", "text", ""};
    json::value fallback;
    bool has_default = false;
    if (text.starts_with('=')) {
      if (!read_default(text, type, fallback)) return refuse(tag + " " + name + ": its default cannot be read");
      has_default = true;
    } else if (pass == "flag") {
      type = {{{"type", "boolean"}}, "text", "text", "boolean"};
      fallback = false;
      has_default = true;
    } else {
      std::string_view after;
      if (auto read = read_shell_type(trim(text), after)) {
        type = std::move(*read);
        text = after;
        if (text.starts_with('=')) {
          if (!read_default(text, type, fallback)) return refuse(tag + " " + name + ": its default is no " + type.written);
          has_default = true;
        }
      } else if (const auto word = trim(text); word.starts_with('{') || word.starts_with('\'') || word.find("[]") < word.find(' ')) {
        // Meant as a type, so it is not taken for a text.
        return refuse(tag + " " + name + ": '" + std::string(word.substr(0, word.find(' '))) + "' is no type");
      }
    }
    if (variadic) variadic_ = true;
    if (variadic) type.schema = type.schema.empty() ? json::object{{"type", "array"}} : json::object{{"type", "array"}, {"items", std::move(type.schema)}};
    json::object entry{{"name", name},
                       {"kind", variadic ? "variadic" : pass == "word" ? "positional" : pass == "options" ? "keyword_variadic" : "keyword"},
                       {"schema", type.schema}, {"required", required && !has_default && !variadic && pass != "options"},
                       {"doc", trim(text)}, {"type", type.written}, {"pass", pass}, {"form", type.form}};
    if (has_default) entry["default"] = std::move(fallback);
    out_.parameters.push_back(std::move(entry));
    continued_ = &out_.parameters.back().get_object();
  }

  // `=default` at the beginning of `text`, which becomes what follows.
  static bool read_default(std::string_view& text, const ShellType& type, json::value& out) {
    text.remove_prefix(1);
    std::size_t end = 0;
    if (text.starts_with('"') || text.starts_with('\'')) {
      end = 1;
      while (end < text.size() && text[end] != text.front()) end += text.front() == '"' && text[end] == '\\' ? 2U : 1U;
      if (end >= text.size()) return false;
      ++end;
    } else if (text.starts_with('[') || text.starts_with('{')) {
      int depth = 0;
      bool quoted = false;
      for (; end < text.size(); ++end) {
        if (text[end] == '"' && (end == 0 || text[end - 1] != '\\')) quoted = !quoted;
        if (!quoted && (text[end] == '[' || text[end] == '{')) ++depth;
        if (!quoted && (text[end] == ']' || text[end] == '}') && --depth == 0) break;
      }
      if (end >= text.size()) return false;
      ++end;
    } else {
      end = std::min(text.find_first_of(" \t"), text.size());
    }
    const auto written = text.substr(0, end);
    text.remove_prefix(end);
    const auto* name = type.schema.if_contains("type");
    const bool is_text = name && (*name == "string" || (name->is_array() && std::find(name->get_array().begin(), name->get_array().end(), json::value("string")) != name->get_array().end()));
    if (written.starts_with('\'')) {
      out = json::value(std::string(written.substr(1, written.size() - 2)));
      return is_text || type.schema.empty();
    }
    auto parsed = parse_json(written);
    if (is_text && !(parsed && (parsed->is_string() || parsed->is_null()))) {
      if (parsed && type.form == "json") out = std::move(*parsed);
      else out = json::value(std::string(written));
      return true;
    }
    if (!parsed) return false;
    const auto is = [&](const char* wanted) { return name && *name == wanted; };
    if ((is("integer") && !(parsed->is_int64() || parsed->is_uint64())) || (is("number") && !parsed->is_number()) ||
        (is("boolean") && !parsed->is_bool()) || (is("array") && !parsed->is_array()) || (is("object") && !parsed->is_object())) {
      return false;
    }
    out = std::move(*parsed);
    return true;
  }

  void result(std::string_view rest, bool stream) {
    std::string_view after;
    auto type = read_shell_type(trim(rest), after);
    if (stream) {
      out_.generator = true;
      // `@stream lines` says what a stream is anyway.
      if (type && type->result == "lines") type = ShellType{{{"type", "string"}}, "text", "text", "lines"};
      if (type && (type->result == "status" || type->result == "bytes")) return refuse("@stream cannot be of " + type->written);
    }
    if (!type) {
      out_.result["doc"] = trim(rest);
    } else {
      out_.result = {{"schema", type->schema}, {"type", type->written}, {"as", type->result}, {"doc", trim(after)}};
    }
    continued_ = &out_.result;
  }

  Tagged& out_;
  std::set<std::string> names_;
  json::object* continued_ = nullptr;
  int number_ = 0;
  bool variadic_ = false;
};

// ---- what a body says where no tag does ------------------------------------------------------------------------------

struct Position {
  std::string name;
  bool required = true;
  std::string fallback;
  bool has_fallback = false;
};

// `$3`, `${3}`, `${3:-text}`, `${3:?text}`, with or without quotes around; 0 when the value is nothing of that.
int position_of(std::string_view value, Position& out) {
  if (value.starts_with('"')) value.remove_prefix(1);
  if (!value.starts_with('$')) return 0;
  value.remove_prefix(1);
  const bool braces = value.starts_with('{');
  if (braces) value.remove_prefix(1);
  int number = 0;
  const auto [end, ec] = std::from_chars(value.data(), value.data() + (braces ? std::min<std::size_t>(value.size(), 2) : std::min<std::size_t>(value.size(), 1)), number);
  if (ec != std::errc() || number < 1 || number > kMostPositions) return 0;
  value.remove_prefix(static_cast<std::size_t>(end - value.data()));
  if (!braces) return number;
  if (value.starts_with('}')) return number;
  if (value.starts_with(':')) value.remove_prefix(1);
  if (value.starts_with('-') || value.starts_with('=')) {
    out.required = false;
    const std::size_t close = value.find('}');
    if (close != std::string_view::npos && value.substr(1, close - 1).find_first_of("$`\"'\\{") == std::string_view::npos) {
      out.fallback = value.substr(1, close - 1);
      out.has_fallback = true;
    }
  }
  return number;
}

// Parameters by `local city=$1 units="${2:-metric}"`, and by `$1` and "$@" alone.
json::array parameters_of_body(std::string_view body) {
  std::map<int, Position> found;
  bool rest = false;
  bool loops = false;
  int shifted = 0;
  char before = '\n';
  for (std::size_t at = 0; at < body.size();) {
    const char c = body[at];
    const bool begins = before == '\n' || before == ' ' || before == '\t' || before == ';' || before == '&' || before == '|' || before == '(' || before == '{';
    if (c == '\'' ) {
      const std::size_t end = body.find('\'', at + 1);
      at = end == std::string_view::npos ? body.size() : end + 1;
      before = '\'';
      continue;
    }
    if (c == '#' && begins) {
      at = std::min(body.find('\n', at), body.size());
      continue;
    }
    if (c == '\\') {
      at += 2;
      before = '\\';
      continue;
    }
    if (begins && (std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_')) {
      std::size_t end = at;
      while (end < body.size() && (std::isalnum(static_cast<unsigned char>(body[end])) != 0 || body[end] == '_')) ++end;
      const auto word = body.substr(at, end - at);
      if (end < body.size() && body[end] == '=') {
        Position position;
        position.name = word;
        if (const int number = position_of(body.substr(end + 1), position); number > 0 && number + shifted <= kMostPositions && !is_reserved(word)) {
          found.try_emplace(number + shifted, position);
        }
      } else if (word == "shift") {
        const auto after = trim(body.substr(end, std::min<std::size_t>(8, body.size() - end)));
        shifted += !after.empty() && after.front() >= '1' && after.front() <= '9' ? after.front() - '0' : 1;
      }
      before = body[end - 1];
      at = end;
      continue;
    }
    if (c == '$' && at + 1 < body.size()) {
      const std::size_t name = at + (body[at + 1] == '{' ? 2 : 1);
      if (name < body.size() && (body[name] == '@' || body[name] == '*')) {
        rest = true;
      } else if (name < body.size() && body[name] == '#' && body[at + 1] == '#') {
        loops = true;
      } else {
        Position position;
        if (const int number = position_of(body.substr(at), position); number > 0 && number + shifted <= kMostPositions) {
          position.name = "arg" + std::to_string(number + shifted);
          found.try_emplace(number + shifted, position);
        }
      }
    }
    before = c;
    ++at;
  }
  json::array out;
  // A body that counts its arguments takes them as they come.
  if (!(loops && shifted > 0)) {
    const int last = found.empty() ? 0 : found.rbegin()->first;
    std::set<std::string> names;
    for (int number = 1; number <= last; ++number) {
      Position position;
      if (const auto one = found.find(number); one != found.end()) position = one->second;
      if (position.name.empty() || !names.insert(to_snake_case(position.name)).second) {
        position.name = "arg" + std::to_string(number);
        names.insert(position.name);
      }
      json::object entry{{"name", position.name}, {"kind", "positional"}, {"schema", {{"type", "string"}}}, {"required", position.required},
                         {"type", ""}, {"pass", "word"}, {"form", "text"}};
      if (position.has_fallback) entry["default"] = position.fallback;
      out.push_back(std::move(entry));
    }
  }
  if (rest && (out.empty() || shifted > 0)) {
    out.push_back(json::object{{"name", "args"}, {"kind", "variadic"}, {"schema", {{"type", "array"}, {"items", {{"type", "string"}}}}}, {"required", false}, {"type", ""},
                               {"pass", "word"}, {"form", "text"}});
  } else if (loops && shifted > 0) {
    out.push_back(json::object{{"name", "args"}, {"kind", "variadic"}, {"schema", {{"type", "array"}, {"items", {{"type", "string"}}}}}, {"required", false}, {"type", ""},
                               {"pass", "word"}, {"form", "text"}});
  }
  return out;
}

// ---- a file ----------------------------------------------------------------------------------------------------------

std::string_view line_text(std::string_view source, const ShellOutline& outline, int line) {
  const std::size_t from = outline.lines[static_cast<std::size_t>(line - 1)];
  const std::size_t end = static_cast<std::size_t>(line) < outline.lines.size() ? outline.lines[static_cast<std::size_t>(line)] - 1 : source.size();
  auto text = source.substr(from, end - from);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

// Without the blanks and marks before it.
std::string_view comment_text(std::string_view line) {
  line.remove_prefix(std::min(line.find('#'), line.size()));
  while (line.starts_with('#')) line.remove_prefix(1);
  return line;
}

bool is_comment(const ShellOutline& outline, int line) { return line >= 1 && outline.comment[static_cast<std::size_t>(line)]; }

std::string module_doc(std::string_view source, const ShellOutline& outline, const std::set<int>& taken) {
  const int lines = static_cast<int>(outline.lines.size());
  int line = 1;
  std::string doc;
  while (line <= lines && (trim(line_text(source, outline, line)).empty() || line_text(source, outline, line).starts_with("#!"))) ++line;
  for (; is_comment(outline, line) && line <= lines; ++line) {
    if (taken.contains(line)) return {};
    auto text = comment_text(line_text(source, outline, line));
    if (trim(text).starts_with("shellcheck ")) continue;
    if (text.starts_with(' ')) text.remove_prefix(1);
    doc += std::string(text) + "\n";
  }
  return std::string(trim(doc));
}

}  // namespace

bool shell_text_is_closed(std::string_view source) {
  const auto outline = scan_shell(source);
  return outline.closed && !outline.too_deep;
}

json::object describe_shell(std::string_view source, const std::string& path) {
  if (const auto bad = source.find('\0'); bad != std::string_view::npos) {
    return {{"path", path}, {"error", {{"message", "the file holds a NUL byte: it is no shell script"}, {"line", 0}}}};
  }
  if (const auto bad = find_invalid_utf8(source); bad < source.size()) {
    const auto line = 1 + std::count(source.begin(), source.begin() + static_cast<std::ptrdiff_t>(bad), '\n');
    return {{"path", path}, {"error", {{"message", "the file is not UTF-8: save it as UTF-8"}, {"line", line}}}};
  }
  const auto outline = scan_shell(source);
  if (outline.too_deep) {
    return {{"path", path}, {"error", {{"message", "its quotes and substitutions are nested too deep"}, {"line", 0}}}};
  }
  json::array functions;
  json::array unavailable;
  std::set<int> taken;  // lines of comments that belong to functions
  const auto refuse = [&](std::string_view name, int line, std::string reason) {
    unavailable.push_back({{"name", name}, {"line", line}, {"reason", std::move(reason)}});
  };
  for (const auto& function : outline.functions) {
    int first = function.line;
    while (is_comment(outline, first - 1) && !line_text(source, outline, first - 1).starts_with("#!")) --first;
    for (int line = first; line < function.line; ++line) taken.insert(line);
    if (function.name.starts_with('_')) continue;
    Tagged tagged;
    Tags tags(tagged);
    for (int line = first; line < function.line; ++line) {
      const auto text = comment_text(line_text(source, outline, line));
      if (!trim(text).starts_with("shellcheck ")) tags.line(text, line);
    }
    if (tagged.hidden) continue;
    if (!function.inside.empty()) {
      refuse(function.name, function.line, "it is defined inside '" + function.inside + "'");
      continue;
    }
    if (!std::all_of(function.name.begin(), function.name.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; })) {
      refuse(function.name, function.line, "its name has other characters than letters, digits, '_' and '-'");
      continue;
    }
    if (!tagged.wrong.empty()) {
      refuse(function.name, tagged.wrong_line, tagged.wrong);
      continue;
    }
    if (functions.size() >= kMostFunctions) {
      refuse(function.name, function.line, "there are " + std::to_string(kMostFunctions) + " functions before it");
      break;
    }
    if (!tagged.has_parameters) {
      tagged.parameters = parameters_of_body(function.body);
      if (!tagged.parameters.empty()) tagged.warnings.emplace_back("its arguments are read from its body: `# @arg name type what it is` above it says more");
    }
    functions.push_back({{"name", function.name}, {"line", function.line}, {"doc", trim(tagged.doc)}, {"generator", tagged.generator},
                         {"parameters", std::move(tagged.parameters)}, {"result", std::move(tagged.result)}, {"warnings", std::move(tagged.warnings)}});
  }
  json::object constants;
  for (const auto& assignment : outline.assignments) {
    json::value value;
    if (literal_value(assignment.value, value)) constants[assignment.name] = std::move(value);
    else constants.erase(assignment.name);
  }
  return {{"path", path}, {"module_doc", module_doc(source, outline, taken)}, {"constants", std::move(constants)},
          {"functions", std::move(functions)}, {"unavailable", std::move(unavailable)}};
}

}  // namespace sabir::schema
