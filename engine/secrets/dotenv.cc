#include "sabir/secrets/dotenv.h"

#include <algorithm>

namespace sabir::secrets {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }
bool is_name(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }

struct Reader {
  std::string_view text;
  const std::string& file;
  std::size_t at = 0;
  int line = 1;

  bool end() const { return at >= text.size(); }
  char here() const { return text[at]; }
  void skip_blanks() {
    while (!end() && is_blank(here())) ++at;
  }
  void skip_line() {
    while (!end() && here() != '\n') ++at;
    if (!end()) ++at;
    ++line;
  }
  std::unexpected<Error> wrong(int where, const char* what) const {
    return fail(Error(ErrorCode::kInvalidArguments, file + ":" + std::to_string(where) + ": " + what, "A line is NAME=value; a value with blanks stands in quotes.").at(file, where));
  }

  Result<std::string> quoted(char quote) {
    const int begun = line;
    std::string out;
    for (++at; !end(); ++at) {
      const char c = here();
      if (c == quote) {
        ++at;
        return out;
      }
      if (c == '\n') ++line;
      if (c == '\\' && quote == '"' && at + 1 < text.size()) {
        const char next = text[++at];
        if (next == 'n') out += '\n';
        else if (next == 't') out += '\t';
        else if (next == '\\' || next == '"' || next == '$' || next == '`') out += next;
        else {
          out += '\\';
          if (next == '\n') ++line;
          out += next;
        }
        continue;
      }
      out += c;
    }
    return wrong(begun, "the quote that begins here does not end");
  }
};

}  // namespace

Result<std::vector<std::pair<std::string, std::string>>> parse_dotenv(std::string_view text, const std::string& file) {
  std::vector<std::pair<std::string, std::string>> out;
  Reader in{text, file};
  if (text.starts_with("\xef\xbb\xbf")) in.at = 3;
  while (!in.end()) {
    in.skip_blanks();
    if (in.end()) break;
    if (in.here() == '\n' || in.here() == '#') {
      in.skip_line();
      continue;
    }
    const int line = in.line;
    if (in.text.substr(in.at).starts_with("export") && in.at + 6 < text.size() && is_blank(text[in.at + 6])) {
      in.at += 6;
      in.skip_blanks();
    }
    const std::size_t begin = in.at;
    while (!in.end() && is_name(in.here())) ++in.at;
    const std::string name(text.substr(begin, in.at - begin));
    in.skip_blanks();
    if (name.empty() || in.end() || in.here() != '=') return in.wrong(line, "there is no NAME= here");
    ++in.at;
    in.skip_blanks();
    std::string value;
    if (!in.end() && (in.here() == '"' || in.here() == '\'')) {
      auto read = in.quoted(in.here());
      if (!read) return fail(std::move(read.error()));
      value = std::move(*read);
      in.skip_blanks();
      if (!in.end() && in.here() != '\n' && in.here() != '#') return in.wrong(in.line, "something stands behind the closing quote");
    } else {
      const std::size_t from = in.at;
      while (!in.end() && in.here() != '\n' && !(in.here() == '#' && in.at > from && is_blank(text[in.at - 1]))) ++in.at;
      std::size_t to = in.at;
      while (to > from && is_blank(text[to - 1])) --to;
      value = text.substr(from, to - from);
    }
    out.emplace_back(name, std::move(value));
    if (!in.end()) in.skip_line();
  }
  return out;
}

std::string dotenv_line(std::string_view name, std::string_view value) {
  std::string out(name);
  out += '=';
  const bool plain = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) { return is_name(c) || std::string_view("-./:+,@%").find(c) != std::string_view::npos; });
  if (plain) return out.append(value);
  out += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\' || c == '$' || c == '`') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace sabir::secrets
