#include "doc.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "sabir/base/text.h"

namespace sabir::schema {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::size_t indent_of(std::string_view line) {
  const std::size_t at = line.find_first_not_of(" \t");
  return at == std::string_view::npos ? line.size() : at;
}

bool is_word(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c >= 0x80;
  });
}

void append(std::string& to, std::string_view text) {
  text = trim(text);
  if (text.empty()) return;
  if (!to.empty()) to += ' ';
  to += text;
}

// "5s", "250 ms", "2m"; 0 = not a time.
int milliseconds(std::string_view text) {
  text = trim(text);
  double number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec != std::errc() || !(number > 0)) return 0;
  const auto unit = trim(text.substr(static_cast<std::size_t>(end - text.data())));
  const double factor = unit == "ms" ? 1 : unit == "s" ? 1000 : unit == "m" || unit == "min" ? 60000 : 0;
  const double out = number * factor;
  return out > 86'400'000.0 ? 86'400'000 : static_cast<int>(out);
}

// Takes `Effect: read` and its like; a line of prose that only starts so is left alone.
bool take_tag(std::string_view line, Doc& doc) {
  line = trim(line);
  const bool marked = !line.empty() && (line.front() == '@' || line.front() == '\\');
  if (marked) line.remove_prefix(1);
  const std::size_t end = line.find_first_of(" \t:");
  const std::string_view word = line.substr(0, end);
  const std::string name = lower(word);
  if (name != "effect" && name != "idempotent" && name != "secrets" && name != "secret" && name != "timeout" &&
      name != "concurrency" && name != "retries") {
    return false;
  }
  const bool colon = end != std::string_view::npos && line[end] == ':';
  if (!marked && (!colon || !std::isupper(static_cast<unsigned char>(word.front())))) return false;
  std::string_view value = end == std::string_view::npos ? std::string_view() : trim(line.substr(end + 1));
  if (value.ends_with('.')) value.remove_suffix(1);
  const bool one_word = value.find(' ') == std::string_view::npos;
  if (name == "effect") {
    const std::string effect = lower(value);
    if (effect == "read") doc.effect = Effect::kRead;
    else if (effect == "write") doc.effect = Effect::kWrite;
    else if (effect == "irreversible") doc.effect = Effect::kIrreversible;
    else if (marked || one_word) {
      doc.warnings.push_back("Effect: '" + std::string(value) + "' is none of read, write, irreversible; write is assumed");
    } else {
      return false;
    }
    return true;
  }
  if (name == "idempotent") {
    const std::string answer = lower(value);
    if (answer == "yes" || answer == "true" || (marked && answer.empty())) doc.idempotent = true;
    else if (answer != "no" && answer != "false") {
      if (!marked && !one_word) return false;
      doc.warnings.push_back("Idempotent: '" + std::string(value) + "' is neither yes nor no; no is assumed");
    }
    return true;
  }
  if (name == "timeout") {
    doc.timeout_ms = milliseconds(value);
    if (doc.timeout_ms == 0) {
      if (!marked && !one_word && !(value.size() > 0 && std::isdigit(static_cast<unsigned char>(value.front())))) return false;
      doc.warnings.push_back("Timeout: '" + std::string(value) + "' is not a time such as 500ms, 5s or 2m; it is ignored");
    }
    return true;
  }
  if (name == "concurrency" || name == "retries") {
    const int most = name == "retries" ? 10 : 1000;
    int number = 0;
    const auto [end_of_number, ec] = std::from_chars(value.data(), value.data() + value.size(), number);
    const bool whole = ec == std::errc() && end_of_number == value.data() + value.size() && number >= 1 && number <= most;
    if (!whole) {
      if (!marked && !one_word) return false;
      doc.warnings.push_back(std::string(word) + ": '" + std::string(value) + "' is not a whole number from 1 to " + std::to_string(most) + "; it is ignored");
    } else {
      (name == "retries" ? doc.retries : doc.concurrency) = number;
    }
    return true;
  }
  std::vector<std::string> names;
  std::size_t from = 0;
  while (from <= value.size()) {
    const std::size_t comma = std::min(value.find(',', from), value.size());
    const auto part = trim(value.substr(from, comma - from));
    if (!is_word(part)) {
      if (!marked && names.empty()) return false;
      doc.warnings.push_back("Secrets: '" + std::string(part) + "' is not the name of a secret; it is ignored");
    } else {
      names.emplace_back(part);
    }
    from = comma + 1;
  }
  doc.secrets.insert(doc.secrets.end(), names.begin(), names.end());
  return true;
}

// Sets text and summary from what is left of the comment.
void settle(Doc& doc, std::vector<std::string> lines) {
  while (!lines.empty() && trim(lines.front()).empty()) lines.erase(lines.begin());
  while (!lines.empty() && trim(lines.back()).empty()) lines.pop_back();
  bool in_summary = true;
  bool blank = false;
  for (const auto& line : lines) {
    if (trim(line).empty()) {
      blank = true;
      in_summary = in_summary && doc.summary.empty();
      continue;
    }
    if (in_summary) append(doc.summary, line);
    if (!doc.text.empty()) doc.text += blank ? "\n\n" : "\n";
    blank = false;
    const std::size_t last = line.find_last_not_of(" \t\r");
    doc.text += line.substr(0, last + 1);
  }
}

// The end of the bracketed text that starts at `from` with '(' , '[' , '{' or '<'; npos when it does not close.
std::size_t closing(std::string_view text, std::size_t from) {
  int depth = 0;
  for (std::size_t i = from; i < text.size(); ++i) {
    if (text[i] == '(' || text[i] == '[' || text[i] == '{' || text[i] == '<') ++depth;
    if (text[i] == ')' || text[i] == ']' || text[i] == '}' || (text[i] == '>' && (i == 0 || text[i - 1] != '='))) --depth;
    if (depth == 0) return i;
  }
  return std::string_view::npos;
}

enum class Section { kNone, kParameters, kReturns, kOther };

Section google_section(std::string_view heading) {
  const std::string name = lower(trim(heading));
  if (name == "args" || name == "arguments" || name == "parameters" || name == "params" || name == "keyword args" ||
      name == "keyword arguments" || name == "other parameters" || name == "attributes") {
    return Section::kParameters;
  }
  if (name == "returns" || name == "return" || name == "yields" || name == "yield") return Section::kReturns;
  static constexpr std::string_view kOthers[] = {"raises", "example", "examples", "note", "notes", "warning", "warnings",
                                                 "see also", "references", "todo", "warns"};
  return std::find(std::begin(kOthers), std::end(kOthers), name) != std::end(kOthers) ? Section::kOther : Section::kNone;
}

// "name (type, optional): text"; false when the line has another shape.
bool google_entry(std::string_view line, Doc& doc, std::string& current) {
  std::string_view rest = trim(line);
  while (rest.starts_with('*')) rest.remove_prefix(1);
  const std::size_t end = rest.find_first_of(" (:");
  if (end == std::string_view::npos || !is_word(rest.substr(0, end))) return false;
  const std::string name(rest.substr(0, end));
  rest = trim(rest.substr(end));
  ParameterDoc entry;
  if (rest.starts_with('(')) {
    const std::size_t close = closing(rest, 0);
    if (close == std::string_view::npos) return false;
    std::string_view type = trim(rest.substr(1, close - 1));
    if (const std::size_t optional = type.rfind(", optional"); optional != std::string_view::npos) type = type.substr(0, optional);
    entry.type = trim(type);
    rest = trim(rest.substr(close + 1));
  }
  if (!rest.starts_with(':')) return false;
  entry.text = trim(rest.substr(1));
  doc.parameters[name] = std::move(entry);
  current = name;
  return true;
}

// ":param int name: text"; false when the line is no field.
bool sphinx_field(std::string_view line, Doc& doc, std::string*& continued) {
  if (!line.starts_with(':')) return false;
  const std::size_t end = line.find(':', 1);
  if (end == std::string_view::npos) return false;
  const std::string_view head = line.substr(1, end - 1);
  const std::string_view text = trim(line.substr(end + 1));
  const std::size_t space = head.find(' ');
  const std::string_view field = head.substr(0, space);
  const std::string_view rest = space == std::string_view::npos ? std::string_view() : trim(head.substr(space));
  if (field == "param" || field == "parameter" || field == "arg" || field == "argument" || field == "key" ||
      field == "keyword") {
    const std::size_t last = rest.rfind(' ');
    std::string_view name = last == std::string_view::npos ? rest : rest.substr(last + 1);
    while (name.starts_with('*') || name.starts_with('\\')) name.remove_prefix(1);
    auto& entry = doc.parameters[std::string(name)];
    if (last != std::string_view::npos) entry.type = trim(rest.substr(0, last));
    entry.text = text;
    continued = &entry.text;
    return true;
  }
  if (field == "type") {
    doc.parameters[std::string(rest)].type = text;
    continued = nullptr;
    return true;
  }
  if (field == "return" || field == "returns" || field == "yields" || field == "yield") {
    doc.return_text = text;
    continued = &doc.return_text;
    return true;
  }
  if (field == "rtype") {
    doc.return_type = text;
    continued = nullptr;
    return true;
  }
  if (field == "raises" || field == "raise" || field == "meta") {
    continued = nullptr;
    return true;
  }
  return false;
}

}  // namespace

void Doc::apply(FunctionSchema& function) const {
  function.summary = summary;
  function.doc = text;
  function.effect = effect;
  function.idempotent = idempotent;
  function.secrets = secrets;
  function.timeout_ms = timeout_ms;
  function.concurrency = concurrency;
  function.retries = retries;
  if (retries > 0 && effect != Effect::kRead) {
    function.retries = 0;
    function.warnings.push_back("Retries: only a function with `Effect: read` is called again; it is ignored");
  }
  function.return_doc = return_text;
  function.warnings.insert(function.warnings.end(), warnings.begin(), warnings.end());
}

std::vector<std::string> clean_lines(std::string_view docstring) {
  std::vector<std::string> lines;
  for (const auto line : split_lines(docstring)) lines.emplace_back(line);
  std::size_t margin = std::string::npos;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (!trim(lines[i]).empty()) margin = std::min(margin, indent_of(lines[i]));
  }
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::size_t cut = i == 0 ? indent_of(lines[i]) : margin == std::string::npos ? 0 : margin;
    lines[i] = lines[i].substr(std::min(cut, lines[i].size()));
  }
  while (!lines.empty() && trim(lines.front()).empty()) lines.erase(lines.begin());
  while (!lines.empty() && trim(lines.back()).empty()) lines.pop_back();
  return lines;
}

Doc python_doc(std::string_view docstring) {
  Doc doc;
  const auto lines = clean_lines(docstring);
  std::vector<std::string> prose;
  Section section = Section::kNone;
  bool numpy = false;
  std::size_t section_indent = 0;
  std::size_t entry_indent = std::string::npos;
  std::string current;
  std::string* continued = nullptr;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string& line = lines[i];
    const std::string_view text = trim(line);
    const std::size_t indent = indent_of(line);
    if (!text.empty() && take_tag(text, doc)) {
      continued = nullptr;
      continue;
    }
    // NumPy: a heading underlined with dashes.
    if (i + 1 < lines.size() && !text.empty()) {
      const std::string_view under = trim(lines[i + 1]);
      if (under.size() >= 3 && under.find_first_not_of("-=") == std::string_view::npos) {
        const Section found = google_section(text);
        if (found != Section::kNone) {
          section = found;
          numpy = true;
          section_indent = indent;
          entry_indent = std::string::npos;
          current.clear();
          if (section == Section::kOther) {
            prose.push_back(line);
            prose.push_back(lines[i + 1]);
          }
          ++i;
          continue;
        }
      }
    }
    if (text.ends_with(':') && google_section(text.substr(0, text.size() - 1)) != Section::kNone &&
        (i + 1 >= lines.size() || trim(lines[i + 1]).empty() || indent_of(lines[i + 1]) > indent)) {
      section = google_section(text.substr(0, text.size() - 1));
      numpy = false;
      section_indent = indent;
      entry_indent = std::string::npos;
      current.clear();
      if (section == Section::kOther) prose.push_back(line);
      continue;
    }
    if (section != Section::kNone && !numpy && !text.empty() && indent <= section_indent) section = Section::kNone;
    if (section == Section::kParameters) {
      if (text.empty()) continue;
      if (entry_indent == std::string::npos) entry_indent = indent;
      if (numpy) {
        if (indent <= entry_indent) {
          const std::size_t colon = text.find(" :");
          std::string_view names = trim(text.substr(0, colon));
          std::string_view type = colon == std::string_view::npos ? std::string_view() : trim(text.substr(colon + 2));
          if (const std::size_t optional = type.rfind(", optional"); optional != std::string_view::npos) type = type.substr(0, optional);
          while (names.starts_with('*')) names.remove_prefix(1);
          current = names.substr(0, names.find(','));
          doc.parameters[current].type = type;
        } else if (!current.empty()) {
          append(doc.parameters[current].text, text);
        }
        continue;
      }
      if (indent <= entry_indent && google_entry(text, doc, current)) continue;
      if (!current.empty()) append(doc.parameters[current].text, text);
      continue;
    }
    if (section == Section::kReturns) {
      if (text.empty()) continue;
      if (entry_indent == std::string::npos) entry_indent = indent;
      const bool first = doc.return_text.empty() && doc.return_type.empty();
      if (first && numpy && indent <= entry_indent) {
        const std::size_t colon = text.find(" : ");
        doc.return_type = colon == std::string_view::npos ? text : trim(text.substr(colon + 3));
        continue;
      }
      if (first && !numpy) {
        const std::size_t colon = text.find(": ");
        const auto head = text.substr(0, colon);
        const bool type_like = colon != std::string_view::npos && (head.find(' ') == std::string_view::npos ||
                                                                    head.find('[') != std::string_view::npos);
        if (type_like) {
          doc.return_type = head;
          append(doc.return_text, text.substr(colon + 1));
          continue;
        }
      }
      append(doc.return_text, text);
      continue;
    }
    if (sphinx_field(text, doc, continued)) continue;
    if (continued && !text.empty() && indent > 0) {
      append(*continued, text);
      continue;
    }
    continued = nullptr;
    prose.push_back(line);
  }
  settle(doc, std::move(prose));
  return doc;
}

Doc plain_doc(std::string_view text) {
  Doc doc;
  std::vector<std::string> rest;
  for (const auto& line : clean_lines(text)) {
    if (!take_tag(line, doc)) rest.push_back(line);
  }
  settle(doc, std::move(rest));
  return doc;
}

Doc yard_doc(const std::vector<std::string>& raw) {
  Doc doc;
  std::vector<std::string> prose;
  std::string* continued = nullptr;
  std::string ignored;
  for (const auto& raw_line : raw) {
    std::string_view line = raw_line;
    if (trim(line).starts_with("=begin") || trim(line).starts_with("=end")) continue;
    line.remove_prefix(std::min(indent_of(line), line.size()));
    if (line.starts_with('#')) {
      line.remove_prefix(1);
      if (line.starts_with(' ')) line.remove_prefix(1);
    }
    const std::string_view text = trim(line);
    if (text.starts_with("frozen_string_literal:") || text.starts_with("encoding:") || text.starts_with("!/") ||
        text.starts_with("rubocop:")) {
      continue;
    }
    if (take_tag(text, doc)) {
      continued = nullptr;
      continue;
    }
    if (!text.starts_with('@')) {
      if (continued && indent_of(line) > 0 && !text.empty()) {
        append(*continued, text);
      } else {
        if (!text.empty() || !continued) prose.emplace_back(line);
        continued = nullptr;
      }
      continue;
    }
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view tag = text.substr(1, end - 1);
    std::string_view rest = trim(text.substr(end));
    const auto take_type = [&]() -> std::string {
      if (!rest.starts_with('[')) return {};
      const std::size_t close = closing(rest, 0);
      if (close == std::string_view::npos) return {};
      const std::string type(trim(rest.substr(1, close - 1)));
      rest = trim(rest.substr(close + 1));
      return type;
    };
    const auto take_word = [&]() -> std::string {
      const std::size_t stop = std::min(rest.find_first_of(" \t["), rest.size());
      std::string word(rest.substr(0, stop));
      rest = trim(rest.substr(stop));
      return word;
    };
    ignored.clear();
    continued = &ignored;
    if (tag == "param") {
      std::string type = take_type();
      std::string name = take_word();
      while (name.starts_with('*') || name.starts_with('&')) name.erase(0, 1);
      if (name.ends_with(':')) name.pop_back();
      if (type.empty()) type = take_type();
      auto& entry = doc.parameters[name];
      entry = {type, std::string(rest)};
      continued = &entry.text;
    } else if (tag == "option") {
      const std::string name = take_word();
      std::string type = take_type();
      std::string key = take_word();
      if (key.starts_with(':')) key.erase(0, 1);
      if (rest.starts_with('(')) {
        if (const std::size_t close = closing(rest, 0); close != std::string_view::npos) rest = trim(rest.substr(close + 1));
      }
      doc.options[name].push_back({key, {type, std::string(rest)}});
    } else if (tag == "return") {
      doc.return_type = take_type();
      doc.return_text = rest;
      continued = &doc.return_text;
    } else if (tag == "private" || (tag == "api" && rest == "private")) {
      doc.is_private = true;
    } else if (tag == "note" || tag == "deprecated" || tag == "example") {
      prose.emplace_back(line);
      continued = nullptr;
    }
  }
  settle(doc, std::move(prose));
  return doc;
}

Doc doxygen_doc(const std::vector<std::string>& raw) {
  Doc doc;
  std::vector<std::string> prose;
  std::string* continued = nullptr;
  std::string ignored;
  for (const auto& raw_line : raw) {
    std::string_view line = trim(raw_line);
    for (const std::string_view mark : {"///<", "//!<", "/**<", "/*!<", "///", "//!", "/**", "/*!", "/*", "//"}) {
      if (line.starts_with(mark)) {
        line.remove_prefix(mark.size());
        break;
      }
    }
    if (line.ends_with("*/")) line.remove_suffix(2);
    if (line.starts_with('*')) line.remove_prefix(1);
    if (line.starts_with(' ')) line.remove_prefix(1);
    const std::string_view text = trim(line);
    if (take_tag(text, doc)) {
      continued = nullptr;
      continue;
    }
    if (text.empty() || (text.front() != '@' && text.front() != '\\')) {
      if (continued && !text.empty()) {
        append(*continued, text);
      } else {
        prose.emplace_back(line);
        continued = nullptr;
      }
      continue;
    }
    const std::size_t end = std::min(text.find_first_of(" \t["), text.size());
    const std::string_view command = text.substr(1, end - 1);
    std::string_view rest = trim(text.substr(end));
    ignored.clear();
    continued = &ignored;
    if (command == "param" || command == "tparam") {
      if (rest.starts_with('[')) rest = trim(rest.substr(std::min(rest.find(']'), rest.size() - 1) + 1));
      const std::size_t stop = std::min(rest.find_first_of(" \t"), rest.size());
      auto& entry = doc.parameters[std::string(rest.substr(0, stop))];
      entry.text = trim(rest.substr(stop));
      continued = &entry.text;
    } else if (command == "return" || command == "returns" || command == "result") {
      doc.return_text = rest;
      continued = &doc.return_text;
    } else if (command == "brief" || command == "short" || command == "details") {
      prose.emplace_back(rest);
      continued = nullptr;
    } else if (command == "file") {
      continued = nullptr;
    } else if (command == "internal" || command == "private") {
      doc.is_private = true;
    } else if (command == "note" || command == "warning") {
      prose.emplace_back(text);
      continued = nullptr;
    }
  }
  settle(doc, std::move(prose));
  return doc;
}

}  // namespace sabir::schema
