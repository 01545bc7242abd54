#include "scan.h"

#include <algorithm>
#include <array>
#include <set>

#include "sabir/base/text.h"
#include "scan_imports.h"

namespace sabir::testing {
namespace {

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) { return std::find(words.begin(), words.end(), word) != words.end(); }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// What runs programs, of whatever language.
bool runs_programs(std::string_view text) {
  for (const std::string_view word : {"subprocess", "Popen", "os.system", "Open3", "spawn", "exec", "Command::new", "ProcessBuilder", "proc_open", "popen",
                                      "system(", "`", "posix_spawn"}) {
    if (text.find(word) != std::string_view::npos) return true;
  }
  return false;
}

// Lines that are comments as a whole are left out, but what their authors say of dependencies is read.
std::string code_of(Language language, std::string_view text, std::vector<std::string>& said) {
  const bool hash = language == Language::kPython || language == Language::kRuby || language == Language::kShell || language == Language::kData || language == Language::kPhp;
  const bool slashes = language == Language::kJavaScript || language == Language::kGo || language == Language::kRust || language == Language::kCpp ||
                       language == Language::kJava || language == Language::kPhp;
  std::string code;
  code.reserve(text.size());
  for (const auto line : split_lines(text)) {
    constexpr std::string_view kPragma = "sabir depends:";
    if (const auto at = line.find(kPragma); at != std::string_view::npos && at < 40) {
      said.emplace_back(line.substr(at + kPragma.size()));
      code += '\n';
      continue;
    }
    const auto rest = trim(line);
    const bool directive = language == Language::kGo && rest.starts_with("//go:embed");
    if (directive || (!(hash && rest.starts_with('#') && !rest.starts_with("#[")) && !(slashes && rest.starts_with("//")))) code += line;
    code += '\n';
  }
  return code;
}

class Scanner {
 public:
  Scanner(std::string_view path, Language language, std::string_view text) : path_(path), language_(language) { code_ = code_of(language, text, said_); }

  std::vector<Ref> run() {
    const bool talks = lower(code_).find("sabir") != std::string::npos || uses_fixtures() || path_.starts_with("assistants/") || language_ == Language::kTemplate;
    if (talks && language_ != Language::kTemplate) add(RefKind::kTalks, "");
    read_imports(language_, code_, [this](RefKind kind, std::string_view word) { add(kind, word); });
    literals();
    if (language_ == Language::kShell || language_ == Language::kData || language_ == Language::kTemplate || language_ == Language::kRuby) words();
    if (language_ == Language::kTemplate) template_references();
    if (path_.starts_with("assistants/") || language_ == Language::kTemplate) function_lists();
    if (talks && language_ != Language::kTemplate && language_ != Language::kData) {
      find_aliases();
      verbs();
      if (language_ == Language::kShell) shell_commands();
      else if (asks_by_command()) add(RefKind::kEverything, "");
    }
    if (!said_.empty()) told();
    if (refs_.size() > kMostRefs) return {Ref{RefKind::kEverything, ""}, Ref{RefKind::kTalks, ""}};
    return {refs_.begin(), refs_.end()};
  }

 private:
  void add(RefKind kind, std::string_view text) {
    if (text.size() > kMostRefBytes || refs_.size() > kMostRefs) return;
    refs_.insert(Ref{kind, std::string(text)});
  }

  // Between every two neighbouring quotes of a kind on a line: whatever is a string is among these, however the file is quoted.
  void literals() {
    for (const auto line : split_lines(code_)) {
      for (const char quote : {'"', '\'', '`'}) {
        std::size_t open = line.find(quote);
        while (open != std::string_view::npos) {
          const std::size_t close = line.find(quote, open + 1);
          if (close == std::string_view::npos) break;
          literal(line.substr(open + 1, close - open - 1));
          open = close;
        }
      }
    }
  }

  void literal(std::string_view text) {
    if (text.empty() || text.size() > kMostRefBytes) return;
    // What follows a variable, as in "$FOLDER/a.sh" and "${folder}/a.json".
    std::size_t from = text.size();
    while (from > 0 && is_path_char(text[from - 1])) --from;
    const bool cut = from > 0;
    if (cut && text[from - 1] == '$') from = text.find('/', from);
    if (from == std::string_view::npos || from >= text.size()) return;
    text = trim(text.substr(from));
    if (text.empty() || (cut && text.find_first_of("./") == std::string_view::npos)) return;
    if (std::none_of(text.begin(), text.end(), [](char c) { return is_word_char(c); })) return;
    add(RefKind::kText, text);
  }

  // Words that stand without quotes, where they look like a path or an address.
  void words() {
    std::size_t at = 0;
    while (at < code_.size()) {
      const auto is_inside = [](char c) { return is_word_char(c) || c == '.' || c == '/' || c == '-'; };
      if (!is_inside(code_[at])) {
        ++at;
        continue;
      }
      const std::size_t begin = at;
      while (at < code_.size() && is_inside(code_[at])) ++at;
      std::string_view word = std::string_view(code_).substr(begin, at - begin);
      while (!word.empty() && (word.back() == '.' || word.back() == '-')) word.remove_suffix(1);
      if (word.size() > 2 && word.find_first_of("./") != std::string_view::npos) add(RefKind::kText, word);
    }
  }

  // {% include "x" %}, {% extends x %}, {% from "x" import y %}.
  void template_references() {
    for (std::size_t at = code_.find("{%"); at != std::string::npos; at = code_.find("{%", at + 2)) {
      const std::size_t end = std::min(code_.find("%}", at), code_.size());
      const std::string_view tag = trim(std::string_view(code_).substr(at + 2, end - at - 2));
      std::string_view rest = tag;
      if (rest.starts_with("-") || rest.starts_with("+")) rest = trim(rest.substr(1));
      const auto word = rest.substr(0, std::min(rest.find_first_of(" \t\r\n\"'(["), rest.size()));
      if (!is_one_of(word, {"include", "extends", "import", "from"})) continue;
      rest = trim(rest.substr(word.size()));
      bool found = false;
      for (std::size_t open = rest.find_first_of("\"'"); open != std::string_view::npos;) {
        const std::size_t close = rest.find(rest[open], open + 1);
        if (close == std::string_view::npos) break;
        add(RefKind::kPrompt, rest.substr(open + 1, close - open - 1));
        found = true;
        open = rest.find_first_of("\"'", close + 1);
      }
      // A name that is put together, or chosen among several by a variable.
      if (!found || (!rest.starts_with('"') && !rest.starts_with('\'') && !rest.starts_with('['))  || rest.find('~') != std::string_view::npos) add(RefKind::kAnyPrompt, "");
    }
  }

  // functions: [a.b, c], FUNCTIONS = %w[a.b c], functions=(a.b c), Functions: []string{"a.b"}; `calls` of prompts likewise.
  void function_lists() {
    const std::string low = lower(code_);
    for (const std::string_view name : {"functions", "calls"}) {
      if (name == "calls" && language_ != Language::kTemplate) continue;
      for (std::size_t at = low.find(name); at != std::string::npos; at = low.find(name, at + 1)) {
        const std::size_t after = at + name.size();
        if ((at > 0 && is_word_char(low[at - 1])) || (after < low.size() && is_word_char(low[after]))) continue;
        function_list(after);
      }
    }
  }

  void function_list(std::size_t at) {
    const std::string_view rest = std::string_view(code_).substr(at, 4000);
    std::size_t sign = rest.find_first_not_of(" \t");
    if (sign == std::string_view::npos || (rest[sign] != ':' && rest[sign] != '=' && rest[sign] != '(')) return;
    // The type that stands before a value: FUNCTIONS: &[&str] = &[…].
    const std::size_t line_end = std::min(rest.find('\n'), rest.size());
    if (const std::size_t equals = rest.substr(0, line_end).find('='); equals != std::string_view::npos) sign = equals;
    std::size_t open = rest.find_first_of("[({\n\"'*", sign + (rest[sign] == '(' ? 0 : 1));
    if (open == std::string_view::npos) return add(RefKind::kAnyFunction, "");
    // []string{…}
    if (rest.substr(open).starts_with("[]")) open = std::min(rest.find('{', open), rest.size() - 1);
    // choose("a"): what is given to a function of the author's own is not what comes out.
    if (rest[open] == '(' && open > sign) {
      std::size_t from = open;
      while (from > 0 && is_word_char(rest[from - 1])) --from;
      const auto maker = rest.substr(from, open - from);
      if (!maker.empty() && !is_one_of(maker, {"of", "array", "list", "tuple", "set", "frozenset", "asList", "vec", "Array", "w"})) return add(RefKind::kAnyFunction, "");
    }
    std::string_view inside;
    if (rest[open] == '\n') {
      // YAML's list over several lines.
      std::size_t end = open + 1;
      while (end < rest.size()) {
        const auto line = rest.substr(end, std::min(rest.find('\n', end), rest.size()) - end);
        if (!trim(line).starts_with("-")) break;
        end += line.size() + 1;
      }
      inside = rest.substr(open, std::min(end, rest.size()) - open);
      if (trim(inside).empty()) return add(RefKind::kAnyFunction, "");
    } else {
      const char closer = rest[open] == '[' ? ']' : rest[open] == '(' ? ')' : rest[open] == '{' ? '}' : '\n';
      inside = rest.substr(open, std::min(rest.find(closer, open + 1), rest.size()) - open);
    }
    bool found = false;
    std::size_t from = 0;
    while (from < inside.size()) {
      if (inside[from] == '*') {
        add(RefKind::kAnyFunction, "");
        found = true;
      }
      if (!is_word_char(inside[from])) {
        ++from;
        continue;
      }
      std::size_t to = from;
      while (to < inside.size() && (is_word_char(inside[to]) || inside[to] == '.' || inside[to] == '/')) ++to;
      if (to < inside.size() && inside[to] == '*') ++to;
      add(RefKind::kCall, inside.substr(from, to - from));
      found = true;
      from = to;
    }
    if (!found && trim(inside).size() > 2) add(RefKind::kAnyFunction, "");
  }

  // import sabir as s, const s = require("sabir"), from sabir import call: what asks the engine by other names.
  void find_aliases() {
    for (const auto line : split_lines(code_)) {
      if (line.find("sabir") == std::string_view::npos) continue;
      const auto rest = trim(line);
      if (!is_one_of(rest.substr(0, rest.find_first_of(" \t{(")), {"import", "from", "const", "let", "var", "use", "using", "export"}) && line.find("require") == std::string_view::npos) continue;
      std::size_t at = 0;
      while (at < rest.size()) {
        if (!is_word_char(rest[at])) {
          ++at;
          continue;
        }
        std::size_t end = at;
        while (end < rest.size() && is_word_char(rest[end])) ++end;
        aliases_.insert(std::string(rest.substr(at, end - at)));
        at = end;
      }
    }
    aliases_.insert({"sabir", "Sabir", "engine"});
  }

  struct Verb {
    std::string_view name;
    RefKind named;
    RefKind any;
  };
  static const Verb* verb_of(std::string_view word) {
    static constexpr std::array kVerbs = {Verb{"call", RefKind::kCall, RefKind::kAnyFunction},     Verb{"stream", RefKind::kCall, RefKind::kAnyFunction},
                                          Verb{"render", RefKind::kPrompt, RefKind::kAnyPrompt},   Verb{"ask", RefKind::kAssistant, RefKind::kAnyAssistant},
                                          Verb{"chat", RefKind::kAssistant, RefKind::kAnyAssistant}};
    for (const auto& verb : kVerbs) {
      if (verb.name == word) return &verb;
    }
    return nullptr;
  }

  void verbs() {
    std::size_t at = 0;
    while (at < code_.size()) {
      if (!is_word_char(code_[at])) {
        ++at;
        continue;
      }
      const std::size_t begin = at;
      while (at < code_.size() && is_word_char(code_[at])) ++at;
      const std::string_view word = std::string_view(code_).substr(begin, at - begin);
      std::string name = lower(word);
      bool prefixed = false;
      if (name.starts_with("sabir_")) {
        name = name.substr(6);
        prefixed = true;
      }
      // Names such as callAs, call_stream and RenderMessages begin with the verb.
      for (const std::string_view verb : {"call", "stream", "render", "ask", "chat"}) {
        if (name.size() > verb.size() && name.starts_with(verb) && (word[verb.size() + (prefixed ? 6 : 0)] == '_' || (word[verb.size()] >= 'A' && word[verb.size()] <= 'Z'))) name = verb;
      }
      if (name == "functions" && is_ours(begin, word, prefixed)) {
        const auto rest = code_.find_first_not_of(" \t", at);
        if (prefixed || (rest != std::string::npos && code_[rest] == '(') || language_ == Language::kRuby) add(RefKind::kAnyFunction, "");
        continue;
      }
      if ((word == "run" || word == "call") && receiver(begin) == "engine") {
        engine_command(at);
      } else if (const Verb* verb = verb_of(name)) {
        argument(at, *verb, is_ours(begin, word, prefixed));
      } else if (word == "engine") {
        engine_command(at);
      }
    }
  }

  // The name before ".", "::", "->" or "\".
  std::string_view receiver(std::size_t begin) const {
    std::size_t at = begin;
    while (at > 0 && (code_[at - 1] == '.' || code_[at - 1] == ':' || code_[at - 1] == '\\' || code_[at - 1] == '>' || code_[at - 1] == '-' || code_[at - 1] == '&')) --at;
    if (at == begin) return {};
    std::size_t from = at;
    while (from > 0 && is_word_char(code_[from - 1])) --from;
    return std::string_view(code_).substr(from, at - from);
  }

  bool is_ours(std::size_t begin, std::string_view word, bool prefixed) const {
    if (prefixed) return true;
    const auto before = receiver(begin);
    if (before.empty()) return (begin == 0 || code_[begin - 1] != '.') && aliases_.contains(std::string(word));
    return aliases_.contains(std::string(before));
  }

  // What is given first: a literal is a name, anything else may be any of them.
  void argument(std::size_t at, const Verb& verb, bool ours) {
    std::string_view rest = std::string_view(code_).substr(at, 2000);
    if (rest.starts_with("!")) rest.remove_prefix(1);
    if (rest.starts_with("::<") || rest.starts_with("<")) {
      int depth = 0;
      std::size_t i = rest.find('<');
      for (; i < rest.size(); ++i) {
        if (rest[i] == '<') ++depth;
        if (rest[i] == '>' && --depth == 0) break;
        if (rest[i] == ';' || rest[i] == '\n') return;
      }
      if (i >= rest.size()) return;
      rest.remove_prefix(i + 1);
    }
    const bool by_words = language_ == Language::kShell || language_ == Language::kRuby;
    std::size_t i = rest.find_first_not_of(" \t");
    if (i == std::string_view::npos) return;
    if (rest[i] == '.' && language_ == Language::kRuby && rest.substr(i).starts_with(".(")) ++i;
    if (rest[i] == '(') {
      rest = rest.substr(i + 1);
    } else if (by_words && i > 0) {
      rest = rest.substr(i);
    } else if (rest[i] == ',' || rest[i] == '"' || rest[i] == '\'') {
      // ["call", "a.b"]: a command's words, whose quote closes here.
      rest = rest.substr(i);
      rest = rest.substr(std::min(rest.find_first_not_of("\"', \t\n"), rest.size()));
      if (ours || !rest.empty()) word_argument(rest, verb, false);
      return;
    } else {
      return;
    }
    if (language_ == Language::kGo || language_ == Language::kCpp || language_ == Language::kJava) {
      // A context, an options object: the name is the first literal of the first two arguments.
      int depth = 0;
      for (std::size_t at_comma = 0; at_comma < rest.size() && depth >= 0 && rest[at_comma] != '"'; ++at_comma) {
        if (std::string_view("([{").find(rest[at_comma]) != std::string_view::npos) ++depth;
        if (std::string_view(")]}").find(rest[at_comma]) != std::string_view::npos) --depth;
        if (rest[at_comma] != ',' || depth != 0) continue;
        const auto second = trim(rest.substr(at_comma + 1));
        if (second.starts_with('"') || second.starts_with('`')) rest = second;
        break;
      }
    }
    if (language_ == Language::kShell) return word_argument(rest, verb, ours);
    rest = rest.substr(std::min(rest.find_first_not_of(" \t\r\n"), rest.size()));
    std::size_t prefix = 0;
    while (prefix < rest.size() && prefix < 2 && is_word_char(rest[prefix])) ++prefix;
    const bool formatted = prefix > 0 && rest.substr(0, prefix).find_first_of("fF") != std::string_view::npos;
    if (prefix < rest.size() && (rest[prefix] == '"' || rest[prefix] == '\'' || rest[prefix] == '`')) {
      const std::size_t close = rest.find(rest[prefix], prefix + 1);
      if (close != std::string_view::npos) {
        const auto name = rest.substr(prefix + 1, close - prefix - 1);
        const auto after = trim(rest.substr(close + 1, 40));
        const bool whole = after.empty() || after.starts_with(',') || after.starts_with(')') || after.starts_with(';') || after.starts_with('}') || after.starts_with(']') ||
                           by_words || after.starts_with('.');
        const bool plain = name.find_first_of("{$#\\") == std::string_view::npos && !(formatted && name.find('{') != std::string_view::npos);
        if (whole && plain) return add(verb.named, name);
      }
    }
    // A symbol is a name as well.
    if (language_ == Language::kRuby && rest.starts_with(':')) {
      std::size_t end = 1;
      while (end < rest.size() && is_word_char(rest[end])) ++end;
      return add(verb.named, rest.substr(1, end - 1));
    }
    if (ours && !rest.starts_with(')')) add(verb.any, "");
  }

  // A word of a shell's command line, after options.
  void word_argument(std::string_view rest, const Verb& verb, bool ours) {
    for (int words = 0; words < 8; ++words) {
      rest = trim(rest.substr(0, std::min(rest.find('\n'), rest.size())));
      const char quote = rest.empty() ? '\0' : rest.front();
      std::string_view word;
      if (quote == '"' || quote == '\'') {
        const std::size_t close = rest.find(quote, 1);
        word = rest.substr(1, close == std::string_view::npos ? close : close - 1);
        rest = close == std::string_view::npos ? std::string_view() : rest.substr(close + 1);
      } else {
        const std::size_t end = std::min(rest.find_first_of(" \t,;|&)\"'"), rest.size());
        word = rest.substr(0, end);
        rest = rest.substr(end);
      }
      if (word.starts_with("-")) {
        // An option's value is the next word; which options have one is not known, so that every further word may be the name.
        for (std::size_t at = 0; at < rest.size();) {
          const std::size_t begin = rest.find_first_not_of(" \t\"'", at);
          if (begin == std::string_view::npos) break;
          const std::size_t end = std::min(rest.find_first_of(" \t\"';|&)", begin), rest.size());
          if (end == begin) break;  // the command ends here
          const auto one = rest.substr(begin, end - begin);
          if (one.find('$') != std::string_view::npos && ours) add(verb.any, "");
          else if (one.find('=') == std::string_view::npos) add(verb.named, one);
          at = end;
        }
        return;
      }
      if (word.empty()) return;
      if (word.find_first_of("${`(") != std::string_view::npos) {
        if (ours) add(verb.any, "");
        return;
      }
      return add(verb.named, word);
    }
  }

  // engine("call", "a.b"), engine("functions"): the command decides.
  void engine_command(std::size_t at) {
    std::string_view rest = std::string_view(code_).substr(at, 400);
    if (rest.starts_with(".(")) rest.remove_prefix(1);
    if (!rest.starts_with('(')) return;
    rest = rest.substr(1);
    rest = rest.substr(std::min(rest.find_first_not_of(" \t\r\n"), rest.size()));
    if (rest.empty() || rest.front() == ')' ) return;
    // def engine(self): a definition of the name.
    if (rest.front() != '"' && rest.front() != '\'') {
      if (rest.front() == '*' || rest.substr(0, std::min<std::size_t>(rest.find(')'), 30)).find("argv") != std::string_view::npos) add(RefKind::kEverything, "");
      return;
    }
    command_words(rest);
  }

  // `rest` begins with the literal of a command; the words that follow on its line are its own.
  void command_words(std::string_view rest) {
    rest = rest.substr(0, std::min(rest.find('\n'), rest.size()));
    std::vector<std::string_view> words;
    for (std::size_t open = rest.find_first_of("\"'"); open != std::string_view::npos && words.size() < 20;) {
      const std::size_t close = rest.find(rest[open], open + 1);
      if (close == std::string_view::npos) break;
      words.push_back(rest.substr(open + 1, close - open - 1));
      open = rest.find_first_of("\"'", close + 1);
    }
    if (words.empty()) return;
    if (words[0] == "prompt" && words.size() > 2) {
      for (std::size_t i = 2; i < words.size(); ++i) add(RefKind::kPrompt, words[i]);
      return;
    }
    if (words.size() > 1 && (words[0] == "call" || words[0] == "chat")) add(words[0] == "call" ? RefKind::kCall : RefKind::kAssistant, words[1]);
    command(words[0]);
  }

  // A command that says by itself what it reaches says it in its words, which are literals as well.
  void command(std::string_view name) {
    if (is_one_of(name, {"call", "chat", "ask", "sdk", "secrets", "memory", "usage", "trace", "approvals", "model", "recordings", "new", "setup", "doctor", "logs", "--version"})) return;
    if (name == "functions") return add(RefKind::kAnyFunction, "");
    if (is_one_of(name, {"complete", "prompt", "embed"})) return add(RefKind::kAnyPrompt, "");
    add(RefKind::kEverything, "");
  }

  // `sabir functions`, "$SABIR_BIN" check.
  void shell_commands() {
    for (const auto line : split_lines(code_)) {
      for (const std::string_view name : {"sabir ", "SABIR_BIN\" ", "SABIR_BIN ", "SABIR_BIN} ", "SABIR_BIN}\" ", "SABIR_BIN:-sabir}\" "}) {
        for (std::size_t at = line.find(name); at != std::string_view::npos; at = line.find(name, at + 1)) {
          if (name == "sabir " && at > 0 && (is_word_char(line[at - 1]) || line[at - 1] == '/' || line[at - 1] == '.' || line[at - 1] == '-')) continue;
          const auto rest = trim(line.substr(at + name.size()));
          const auto word = rest.substr(0, std::min(rest.find_first_of(" \t;|&)\""), rest.size()));
          if (word.starts_with('$')) add(RefKind::kEverything, "");
          else if (!word.empty() && word.find_first_not_of("abcdefghijklmnopqrstuvwxyz-") == std::string_view::npos) command(word);
          if (const Verb* verb = verb_of(word)) word_argument(rest.substr(word.size()), *verb, true);
        }
      }
    }
  }

  // The fixtures of the SDKs need not name what they are of.
  bool uses_fixtures() const {
    if (language_ != Language::kPython && language_ != Language::kRuby) return false;
    for (const std::string_view name : {"engine", "memory", "models", "secrets", "recording"}) {
      for (std::size_t at = code_.find(name); at != std::string::npos; at = code_.find(name, at + 1)) {
        const std::size_t end = at + name.size();
        if ((at > 0 && (is_word_char(code_[at - 1]) || code_[at - 1] == '.')) || end >= code_.size()) continue;
        if (std::string_view(".(,):= ").find(code_[end]) != std::string_view::npos) return true;
      }
    }
    return false;
  }

  // Whether it starts the engine's program itself, with words that are not looked at.
  bool asks_by_command() {
    if (!runs_programs(code_)) return false;
    if (code_.find("find_engine") != std::string::npos) return true;
    for (std::size_t at = code_.find("SABIR_BIN"); at != std::string::npos; at = code_.find("SABIR_BIN", at + 1)) {
      // [os.environ["SABIR_BIN"], "prompt", …]: its words are there.
      const std::string_view rest = std::string_view(code_).substr(at + 9, 400);
      const std::size_t comma = rest.find_first_not_of("\"'])} \t");
      if (comma == std::string_view::npos || rest[comma] != ',') return true;
      const auto words = trim(rest.substr(comma + 1));
      if (!words.starts_with('"') && !words.starts_with('\'')) return true;
      command_words(words);
    }
    for (const auto line : split_lines(code_)) {
      if (line.find("\"sabir\"") == std::string_view::npos && line.find("'sabir'") == std::string_view::npos) continue;
      if (line.find("import") == std::string_view::npos && line.find("require") == std::string_view::npos && line.find("from") == std::string_view::npos) return true;
    }
    return false;
  }

  // Its author's word takes the place of what could not be known.
  void told() {
    bool everything = false;
    std::set<std::string> named;
    for (const auto& line : said_) {
      std::string_view rest = line;
      while (!rest.empty()) {
        const std::size_t begin = rest.find_first_not_of(" \t,\r");
        if (begin == std::string_view::npos) break;
        const std::size_t end = std::min(rest.find_first_of(" \t,\r", begin), rest.size());
        std::string_view word = rest.substr(begin, end - begin);
        rest = rest.substr(end);
        if (word == "everything") everything = true;
        else if (word != "nothing" && word != "*/" && word != "-->" && word != "#}") named.insert(std::string(word));
      }
    }
    std::erase_if(refs_, [](const Ref& ref) {
      return ref.kind == RefKind::kAnyFile || ref.kind == RefKind::kAnyFunction || ref.kind == RefKind::kAnyPrompt || ref.kind == RefKind::kAnyAssistant ||
             ref.kind == RefKind::kEverything;
    });
    for (const auto& word : named) add(RefKind::kDepends, word);
    if (everything) add(RefKind::kEverything, "");
  }

  std::string_view path_;
  Language language_;
  std::string code_;
  std::vector<std::string> said_;
  std::set<std::string> aliases_;
  std::set<Ref> refs_;
};

}  // namespace

Language language_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  const std::size_t dot = name.rfind('.');
  const std::string_view extension = dot == std::string_view::npos ? std::string_view() : name.substr(dot);
  if (is_one_of(extension, {".py", ".pyi"})) return Language::kPython;
  if (is_one_of(extension, {".rb", ".rake"}) || name == ".rspec") return Language::kRuby;
  if (is_one_of(extension, {".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx"})) return Language::kJavaScript;
  if (extension == ".go") return Language::kGo;
  if (extension == ".rs") return Language::kRust;
  if (is_one_of(extension, {".cpp", ".cc", ".cxx", ".c", ".h", ".hh", ".hpp", ".hxx", ".ipp", ".inl"})) return Language::kCpp;
  if (extension == ".java") return Language::kJava;
  if (extension == ".php") return Language::kPhp;
  if (is_one_of(extension, {".sh", ".bash", ".bats"})) return Language::kShell;
  const bool prompt = path.starts_with("completions/");
  if (is_one_of(extension, {".prompt", ".j2", ".jinja", ".jinja2"}) || (prompt && is_one_of(extension, {".txt", ".md"}))) return Language::kTemplate;
  if (is_one_of(extension, {".yml", ".yaml", ".toml", ".ini", ".cfg"})) return Language::kData;
  return Language::kNone;
}

std::vector<Ref> scan(std::string_view path, std::string_view text) {
  const Language language = language_of(path);
  if (language == Language::kNone) return {};
  auto refs = Scanner(path, language, text).run();
  // A parity group's settings are named after it, and both ask the engine.
  const bool parity = path.starts_with("tests/parity/");
  if (parity || path.starts_with("tests/evals/")) {
    refs.push_back({RefKind::kTalks, {}});
    if (parity) refs.push_back({RefKind::kCall, std::string(path.substr(13, path.rfind('.') - 13))});
    std::sort(refs.begin(), refs.end());
    refs.erase(std::unique(refs.begin(), refs.end()), refs.end());
  }
  return refs;
}

}  // namespace sabir::testing
