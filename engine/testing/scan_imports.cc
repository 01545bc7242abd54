#include "scan_imports.h"

#include <algorithm>

#include "sabir/base/text.h"

namespace sabir::testing {
namespace {

constexpr std::size_t kNone = std::string_view::npos;

// Calls `each` with every word of the code and the offset behind it.
template <typename Each>
void for_each_word(std::string_view code, Each each) {
  std::size_t at = 0;
  while (at < code.size()) {
    if (!is_word_char(code[at])) {
      ++at;
      continue;
    }
    const std::size_t begin = at;
    while (at < code.size() && is_word_char(code[at])) ++at;
    each(code.substr(begin, at - begin), begin, at);
  }
}

std::size_t skip_blanks(std::string_view code, std::size_t at, std::string_view blanks = " \t") { return std::min(code.find_first_not_of(blanks, at), code.size()); }

// A literal that begins at `at`, quotes or none; "" where there is none or it is put together.
std::string_view literal_at(std::string_view code, std::size_t at) {
  if (at >= code.size() || (code[at] != '"' && code[at] != '\'' && code[at] != '`')) return {};
  const std::size_t close = code.find(code[at], at + 1);
  if (close == kNone) return {};
  const auto text = code.substr(at + 1, close - at - 1);
  return text.find_first_of("\n{$#") == kNone || text.starts_with("#") ? text : std::string_view();
}

// ---- Python ----------------------------------------------------------------------------------------------------------

void python(std::string_view code, const AddRef& add) {
  const auto name_end = [&](std::size_t at) {
    while (at < code.size() && (is_word_char(code[at]) || code[at] == '.')) ++at;
    return at;
  };
  std::size_t line = 0;
  while (line < code.size()) {
    const std::size_t line_end = std::min(code.find('\n', line), code.size());
    // Statements of a line; a semicolon inside of a string begins no import.
    for (std::size_t at = line; at < line_end;) {
      const std::size_t begin = skip_blanks(code, at);
      const std::size_t end = std::min(code.find(';', begin), line_end);
      // "if x: import y" and "try: import y" stand on one line, too.
      std::string_view statement = code.substr(begin, end > begin ? end - begin : 0);
      std::size_t offset = begin;
      for (const std::string_view word : {": import ", ": from "}) {
        if (const auto colon = statement.find(word); colon != kNone) {
          statement = statement.substr(colon + 2);
          offset += colon + 2;
        }
      }
      if (statement.starts_with("import ") || statement.starts_with("import\t")) {
        for (std::size_t from = offset + 7; from < end;) {
          from = skip_blanks(code, from, " \t\\\r\n(");
          const std::size_t to = name_end(from);
          if (to == from) break;
          add(RefKind::kModule, code.substr(from, to - from));
          const std::size_t comma = code.find_first_of(",\n#;", to);
          if (comma == kNone || code[comma] != ',') break;
          from = comma + 1;
        }
      } else if (statement.starts_with("from ") || statement.starts_with("from\t")) {
        std::size_t from = skip_blanks(code, offset + 5);
        std::size_t to = name_end(from);
        const auto module = code.substr(from, to - from);
        std::size_t at_import = skip_blanks(code, to, " \t\\\r\n");
        if (!module.empty() && code.substr(at_import).starts_with("import")) {
          add(RefKind::kModule, std::string(module) + ":");
          from = skip_blanks(code, at_import + 6, " \t\\\r");
          const bool wrapped = from < code.size() && code[from] == '(';
          const std::size_t last = wrapped ? std::min(code.find(')', from), code.size()) : std::min(code.find('\n', from), code.size());
          bool renamed = false;
          bool comment = false;
          for (std::size_t word = from; word < last;) {
            if (code[word] == '#') comment = true;
            if (code[word] == '\n') comment = false;
            if (comment || !(is_word_char(code[word]) || code[word] == '*')) {
              ++word;
              continue;
            }
            std::size_t word_end = word + 1;
            while (word_end < last && is_word_char(code[word_end])) ++word_end;
            const auto name = code.substr(word, word_end - word);
            if (name == "as") renamed = true;
            else if (renamed) renamed = false;
            else add(RefKind::kModule, std::string(module) + ":" + std::string(name));
            word = word_end;
          }
        }
      }
      at = end + 1;
    }
    line = line_end + 1;
  }
  for_each_word(code, [&](std::string_view word, std::size_t, std::size_t end) {
    if (word != "import_module" && word != "__import__" && word != "run_module" && word != "run_path" && word != "exec_module" && word != "importorskip") return;
    if (end >= code.size() || code[end] != '(' || word == "exec_module") return;
    const auto name = literal_at(code, skip_blanks(code, end + 1, " \t\n"));
    if (name.empty()) add(RefKind::kAnyFile, "");
    else add(RefKind::kModule, name);
  });
}

// ---- Ruby ------------------------------------------------------------------------------------------------------------

void ruby(std::string_view code, const AddRef& add) {
  for_each_word(code, [&](std::string_view word, std::size_t begin, std::size_t end) {
    const bool loads = word == "require_relative" || word == "require" || word == "load" || word == "autoload";
    if (!loads || (begin > 0 && (code[begin - 1] == '.' || code[begin - 1] == ':' || code[begin - 1] == '@'))) return;
    // .rspec's --require spec_helper.
    if (begin > 1 && code[begin - 1] == '-') {
      const std::size_t from = skip_blanks(code, end, " \t=");
      const std::size_t to = std::min(code.find_first_of(" \t\n", from), code.size());
      return add(RefKind::kModule, code.substr(from, to - from));
    }
    if (end < code.size() && code[end] != ' ' && code[end] != '(' && code[end] != '\t') return;
    std::size_t at = skip_blanks(code, end, " \t(");
    if (word == "autoload") at = skip_blanks(code, std::min(code.find(',', at), code.size() - 1) + 1);
    if (at >= code.size() || code[at] == '\n' || code[at] == ':' || code[at] == '=' || code[at] == ',') return;
    const auto name = literal_at(code, at);
    if (name.empty()) {
      // `load: true`, `load = 3` are no calls; a name that is put together may be any file.
      if (is_word_char(code[at]) || code[at] == '"' || code[at] == '\'') add(RefKind::kAnyFile, "");
      return;
    }
    add(RefKind::kModule, word == "require_relative" && !name.starts_with(".") ? "./" + std::string(name) : std::string(name));
  });
}

// ---- JavaScript and TypeScript -------------------------------------------------------------------------------------------

void javascript(std::string_view code, const AddRef& add) {
  for_each_word(code, [&](std::string_view word, std::size_t begin, std::size_t end) {
    if (word != "from" && word != "import" && word != "require" && word != "resolve") return;
    if (word != "resolve" && begin > 0 && code[begin - 1] == '.') return;
    std::size_t at = skip_blanks(code, end, " \t\r\n");
    if (at >= code.size()) return;
    if (code[at] == '(' && word != "from") {
      at = skip_blanks(code, at + 1, " \t\r\n");
      const auto name = literal_at(code, at);
      if (!name.empty()) add(RefKind::kModule, name);
      else if (word != "resolve" && at < code.size() && code[at] != ')') add(RefKind::kAnyFile, "");
      return;
    }
    if (word == "require" || word == "resolve") return;
    if (const auto name = literal_at(code, at); !name.empty()) add(RefKind::kModule, name);
  });
  // vi.mock("../a"), new URL("./a.json", import.meta.url): what begins so is a path from here.
  for (std::size_t at = code.find_first_of("\"'`"); at != kNone; at = code.find_first_of("\"'`", at + 1)) {
    const auto text = literal_at(code, at);
    if ((text.starts_with("./") || text.starts_with("../")) && text.size() <= kMostRefBytes) add(RefKind::kModule, text);
  }
}

// ---- Rust ------------------------------------------------------------------------------------------------------------

void rust(std::string_view code, const AddRef& add) {
  if (code.find("test]") != kNone || code.find("#[cfg(test") != kNone || code.find("#[test") != kNone || code.find("rstest") != kNone) add(RefKind::kTests, "");
  const auto segments = [&](std::size_t at, int most) {
    for (int i = 0; i < most && code.substr(at).starts_with("::"); ++i) {
      at += 2;
      if (at < code.size() && code[at] == '*') return add(RefKind::kAnyFile, "");
      if (at < code.size() && code[at] == '{') {
        // use crate::{a, b::c}: every word may be a module.
        const std::size_t close = std::min(code.find(';', at), code.size());
        for_each_word(code.substr(at, close - at), [&](std::string_view word, std::size_t, std::size_t) { add(RefKind::kModule, word); });
        return;
      }
      std::size_t end = at;
      while (end < code.size() && is_word_char(code[end])) ++end;
      if (end == at) return;
      add(RefKind::kModule, code.substr(at, end - at));
      at = end;
    }
  };
  for_each_word(code, [&](std::string_view word, std::size_t, std::size_t end) {
    if (word == "crate" || word == "super" || word == "self") return segments(end, 3);
    if (word != "mod" && word != "use") return;
    const std::size_t at = skip_blanks(code, end);
    std::size_t to = at;
    while (to < code.size() && is_word_char(code[to])) ++to;
    const auto name = code.substr(at, to - at);
    if (name.empty() || name == "crate" || name == "super" || name == "self" || name == "std" || name == "core" || name == "alloc") return;
    add(RefKind::kModule, name);
  });
}

// ---- Go --------------------------------------------------------------------------------------------------------------

// Imports are literals, as the scanner finds them all; what is embedded is said in a comment.
void go(std::string_view code, const AddRef& add) {
  for (const auto line : split_lines(code)) {
    auto rest = trim(line);
    if (!rest.starts_with("//go:embed")) continue;
    for (rest = trim(rest.substr(10)); !rest.empty();) {
      const std::size_t end = std::min(rest.find_first_of(" \t"), rest.size());
      std::string_view word = rest.substr(0, end);
      if (word.starts_with("all:")) word.remove_prefix(4);
      if (word.find_first_of("*?[\"`") == kNone) add(RefKind::kFile, word);
      else add(RefKind::kFile, ".");
      rest = trim(rest.substr(end));
    }
  }
}

// ---- C and C++ ---------------------------------------------------------------------------------------------------------

void cpp(std::string_view code, const AddRef& add) {
  for (const auto line : split_lines(code)) {
    auto rest = trim(line);
    if (!rest.starts_with('#')) continue;
    rest = trim(rest.substr(1));
    if (!rest.starts_with("include") && !rest.starts_with("import") && !rest.starts_with("embed")) continue;
    const std::size_t open = rest.find_first_of("\"<");
    // #include MACRO
    if (open == kNone) {
      add(RefKind::kAnyFile, "");
      continue;
    }
    const std::size_t close = rest.find(rest[open] == '<' ? '>' : '"', open + 1);
    if (close != kNone) add(RefKind::kFile, rest.substr(open + 1, close - open - 1));
  }
}

// ---- Java and PHP --------------------------------------------------------------------------------------------------------

// Types by their names: a file that uses one need not import it where both are in one package or are loaded by their names.
void types(Language language, std::string_view code, const AddRef& add) {
  std::string_view before;
  for_each_word(code, [&](std::string_view word, std::size_t begin, std::size_t) {
    if (before == "class" || before == "interface" || before == "enum" || before == "record" || before == "trait") add(RefKind::kDeclares, word);
    if (word.front() >= 'A' && word.front() <= 'Z') add(RefKind::kUses, word);
    if (before == "Class" && word == "forName") {
      const std::size_t open = code.find('(', begin);
      if (open == kNone || code.substr(open + 1, 1) != "\"") add(RefKind::kAnyFile, "");
    }
    before = word;
  });
  if (language != Language::kPhp) return;
  for_each_word(code, [&](std::string_view word, std::size_t, std::size_t end) {
    if (word != "require" && word != "require_once" && word != "include" && word != "include_once") return;
    // __DIR__ . '/../calendar.php' is a literal, too; only what has none may be any file.
    const auto statement = code.substr(end, std::min(code.find(';', end), code.size()) - end);
    if (statement.size() < 300 && statement.find_first_of("\"'") == kNone && statement.find('$') != kNone) add(RefKind::kAnyFile, "");
  });
}

// ---- Shell -------------------------------------------------------------------------------------------------------------

void shell(std::string_view code, const AddRef& add) {
  for (const auto line : split_lines(code)) {
    auto rest = trim(line);
    // Commands that follow others on the line.
    for (std::size_t at = 0; at < rest.size();) {
      auto command = trim(rest.substr(at));
      const std::size_t word_end = std::min(command.find_first_of(" \t"), command.size());
      const auto word = command.substr(0, word_end);
      if (word == "source" || word == "." || word == "load" || word == "bats_load_library") {
        auto argument = trim(command.substr(word_end));
        const bool quoted = argument.starts_with('"') || argument.starts_with('\'');
        const std::size_t end = quoted ? argument.rfind(argument.front()) : argument.find_first_of(" \t;&|");
        argument = quoted ? argument.substr(1, end == 0 ? kNone : end - 1) : argument.substr(0, end);
        // What follows the last variable or command is the path's own part.
        const std::size_t last = argument.find_last_of("})$\"");
        std::string_view path = argument;
        if (last != kNone) {
          path = argument.substr(last + 1);
          if (argument[last] == '$') path = path.substr(std::min(path.find('/'), path.size()));
        }
        const bool own = argument.find("SABIR_SDK") != kNone || argument.find("sabir sdk path") != kNone;
        if (own) {
          // The SDK is the engine's.
        } else if (trim(path).size() < 2) {
          add(RefKind::kAnyFile, "");
        } else {
          add(RefKind::kFile, path);
        }
      }
      const std::size_t next = rest.find_first_of(";&|", at);
      if (next == kNone) break;
      at = next + 1;
    }
  }
}

}  // namespace

void read_imports(Language language, std::string_view code, const AddRef& add) {
  switch (language) {
    case Language::kPython: return python(code, add);
    case Language::kRuby: return ruby(code, add);
    case Language::kJavaScript: return javascript(code, add);
    case Language::kGo: return go(code, add);
    case Language::kRust: return rust(code, add);
    case Language::kCpp: return cpp(code, add);
    case Language::kJava:
    case Language::kPhp: return types(language, code, add);
    case Language::kShell: return shell(code, add);
    default: return;  // what templates include is read with their tags
  }
}

}  // namespace sabir::testing
