#include "shell_scan.h"

#include <algorithm>
#include <cctype>
#include <deque>

namespace sabir::schema {
namespace {

constexpr int kMostDepth = 100;
constexpr std::size_t kMostFrames = 1000;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }
bool is_meta(char c) { return c == ' ' || c == '\t' || c == '\n' || c == ';' || c == '&' || c == '|' || c == '<' || c == '>' || c == '(' || c == ')'; }

std::size_t identifier_length(std::string_view text) {
  std::size_t n = 0;
  while (n < text.size() && (std::isalpha(static_cast<unsigned char>(text[n])) != 0 || text[n] == '_' ||
                             (n > 0 && std::isdigit(static_cast<unsigned char>(text[n])) != 0))) {
    ++n;
  }
  return n;
}

// Where the value of an assignment begins in a word, after `name=`, `name+=`, or `name[…]=`; 0 when the word is none.
std::size_t value_of_assignment(std::string_view word) {
  std::size_t n = identifier_length(word);
  if (n == 0 || n >= word.size()) return 0;
  if (word[n] == '[') {
    n = word.find(']', n);
    if (n == std::string_view::npos) return 0;
    ++n;
  }
  if (n < word.size() && word[n] == '+') ++n;
  return n < word.size() && word[n] == '=' ? n + 1 : 0;
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {
    out_.lines.push_back(0);
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\n') out_.lines.push_back(i + 1);
    }
    out_.comment.assign(out_.lines.size() + 2, false);
  }

  ShellOutline run() {
    commands('\0', 0);
    if (!documents_.empty()) open(at_);
    while (!frames_.empty()) {
      open(frames_.back().from);
      pop();
    }
    return std::move(out_);
  }

 private:
  struct Frame {
    std::string_view what;   // "{", "(", "if", "case", "do"
    int function = -1;       // whose body it is
    std::size_t from = 0;
  };
  struct Document {
    std::string end;
    bool tabs = false;
    std::size_t from = 0;
  };

  bool done() const { return at_ >= text_.size() || out_.too_deep; }
  char now() const { return text_[at_]; }
  bool next_is(std::string_view what) const { return text_.substr(at_).starts_with(what); }

  int line_of(std::size_t offset) const {
    return static_cast<int>(std::upper_bound(out_.lines.begin(), out_.lines.end(), offset) - out_.lines.begin());
  }

  void open(std::size_t from) {
    out_.closed = false;
    if (out_.open_line == 0) out_.open_line = line_of(from);
  }

  // ---- words ---------------------------------------------------------------------------------------------------------

  void single_quotes() {
    const std::size_t from = at_++;
    const std::size_t end = text_.find('\'', at_);
    if (end == std::string_view::npos) {
      open(from);
      at_ = text_.size();
    } else {
      at_ = end + 1;
    }
  }

  void ansi_quotes() {
    const std::size_t from = at_;
    at_ += 2;
    while (at_ < text_.size() && now() != '\'') at_ += now() == '\\' ? 2 : 1;
    if (at_ >= text_.size()) {
      open(from);
      at_ = text_.size();
    } else {
      ++at_;
    }
  }

  void double_quotes(int depth) {
    const std::size_t from = at_++;
    while (!done() && now() != '"') {
      if (now() == '\\') {
        at_ += 2;
      } else if (now() == '$' || now() == '`') {
        expansion(depth + 1, true);
      } else {
        ++at_;
      }
    }
    if (at_ >= text_.size()) {
      open(from);
      at_ = text_.size();
    } else {
      ++at_;
    }
  }

  // Up to the parenthesis or brace that closes the one at at_ - 1.
  void balanced(char left, char right, int depth) {
    const std::size_t from = at_;
    int inner = 1;
    if (depth > kMostDepth) out_.too_deep = true;
    while (!done()) {
      const char c = now();
      if (c == '\\') {
        at_ += 2;
      } else if (c == '\'') {
        single_quotes();
      } else if (c == '"') {
        double_quotes(depth + 1);
      } else if (c == '$' || c == '`') {
        expansion(depth + 1, false);
      } else {
        if (c == left) ++inner;
        if (c == right && --inner == 0) {
          ++at_;
          return;
        }
        ++at_;
      }
    }
    open(from);
    at_ = std::min(at_, text_.size());
  }

  // `${…}` in which quotes count only outside of double quotes.
  void parameter(int depth, bool quoted) {
    const std::size_t from = at_;
    at_ += 2;
    if (depth > kMostDepth) out_.too_deep = true;
    while (!done() && now() != '}') {
      const char c = now();
      if (c == '\\') {
        at_ += 2;
      } else if (c == '\'' && !quoted) {
        single_quotes();
      } else if (c == '"') {
        double_quotes(depth + 1);
      } else if (c == '$' || c == '`') {
        expansion(depth + 1, quoted);
      } else {
        ++at_;
      }
    }
    if (at_ >= text_.size()) {
      open(from);
      at_ = text_.size();
    } else {
      ++at_;
    }
  }

  // At `$` or a backtick.
  void expansion(int depth, bool quoted) {
    if (depth > kMostDepth) {
      out_.too_deep = true;
      return;
    }
    const std::size_t from = at_;
    if (now() == '`') {
      ++at_;
      while (at_ < text_.size() && now() != '`') at_ += now() == '\\' ? 2 : 1;
      if (at_ >= text_.size()) {
        open(from);
        at_ = text_.size();
      } else {
        ++at_;
      }
    } else if (next_is("$((")) {
      at_ += 2;
      balanced('(', ')', depth);
    } else if (next_is("$(")) {
      at_ += 2;
      const auto frames = std::move(frames_);
      const int pending = pending_;
      frames_.clear();
      pending_ = -1;
      ++in_function_;  // what is defined in there is gone when it ends
      commands(')', depth + 1);
      --in_function_;
      while (!frames_.empty()) frames_.pop_back();
      frames_ = frames;
      pending_ = pending;
      if (at_ < text_.size()) {
        ++at_;
      } else {
        open(from);
      }
    } else if (next_is("${")) {
      parameter(depth, quoted);
    } else if (!quoted && next_is("$'")) {
      ansi_quotes();
    } else {
      ++at_;
    }
  }

  std::string_view word(int depth) {
    const std::size_t from = at_;
    while (!done()) {
      const char c = now();
      if (c == '\\') {
        at_ += 2;
      } else if (c == '\'') {
        single_quotes();
      } else if (c == '"') {
        double_quotes(depth);
      } else if (c == '$' || c == '`') {
        expansion(depth, false);
      } else if (c == '(' && at_ > from && opens_inside(text_.substr(from, at_ - from))) {
        ++at_;
        balanced('(', ')', depth);
      } else if (is_meta(c)) {
        break;
      } else {
        ++at_;
      }
    }
    at_ = std::min(at_, text_.size());
    return text_.substr(from, at_ - from);
  }

  // An array's parenthesis, or that of a pattern such as @(a|b).
  static bool opens_inside(std::string_view before) {
    if (before.back() == '=') return value_of_assignment(before) == before.size();
    return std::string_view("@?+*!").find(before.back()) != std::string_view::npos;
  }

  // ---- here-documents ------------------------------------------------------------------------------------------------

  void here_document() {
    Document document;
    document.tabs = !done() && now() == '-';
    if (document.tabs) ++at_;
    while (!done() && is_blank(now())) ++at_;
    document.from = at_;
    for (const char c : word(1)) {
      if (c != '\'' && c != '"' && c != '\\') document.end += c;
    }
    documents_.push_back(std::move(document));
  }

  // After a newline: the texts of the documents that the line announced.
  void skip_documents() {
    for (const auto& document : documents_) {
      bool found = false;
      while (!found && at_ < text_.size()) {
        const std::size_t end = std::min(text_.find('\n', at_), text_.size());
        auto line = text_.substr(at_, end - at_);
        while (document.tabs && line.starts_with('\t')) line.remove_prefix(1);
        found = line == document.end;
        at_ = std::min(end + 1, text_.size());
      }
      if (!found) open(document.from);
    }
    documents_.clear();
  }

  // ---- commands ------------------------------------------------------------------------------------------------------

  void push(std::string_view what) {
    if (frames_.size() >= kMostFrames) {
      out_.too_deep = true;
      return;
    }
    frames_.push_back({what, pending_, at_});
    if (pending_ >= 0) ++in_function_;
    pending_ = -1;
  }

  void pop() {
    if (frames_.empty()) return;
    if (frames_.back().function >= 0) {
      end_function(frames_.back().function);
      --in_function_;
    }
    frames_.pop_back();
  }

  void end_function(int index) {
    if (index >= static_cast<int>(bodies_.size())) return;
    const std::size_t from = bodies_[static_cast<std::size_t>(index)];
    auto& function = out_.functions[static_cast<std::size_t>(index)];
    function.body = text_.substr(from, std::min(at_, text_.size()) - from);
  }

  bool closes(std::string_view what) const { return !frames_.empty() && frames_.back().what == what; }

  void define(std::string_view name, std::size_t from) {
    pending_ = -1;
    if (in_function_ > 0) {
      // Its body is a block like any other.
      return;
    }
    ShellFunction function;
    function.name = name;
    function.line = line_of(from);
    if (!frames_.empty()) function.inside = frames_.front().what == "do" ? "a loop" : std::string(frames_.front().what);
    pending_ = static_cast<int>(out_.functions.size());
    bodies_.push_back(at_);
    out_.functions.push_back(std::move(function));
  }

  // `[[ … ]]`, in which parentheses and < > are no operators.
  void condition(int depth) {
    const std::size_t from = at_;
    while (!done()) {
      if (next_is("]]") && (at_ + 2 >= text_.size() || is_meta(text_[at_ + 2]))) {
        at_ += 2;
        return;
      }
      if (is_meta(now())) {
        ++at_;
      } else {
        word(depth);
      }
    }
    open(from);
  }

  void skip_blanks() {
    while (!done()) {
      if (is_blank(now())) {
        ++at_;
      } else if (next_is("\\\n")) {
        at_ += 2;
      } else {
        break;
      }
    }
  }

  void end_of_command(bool only_assignments) {
    if (only_assignments && frames_.empty() && in_function_ == 0) {
      out_.assignments.insert(out_.assignments.end(), assigned_.begin(), assigned_.end());
    }
    assigned_.clear();
  }

  // Up to the unquoted `stop` that closes what called it, or to the end.
  void commands(char stop, int depth) {
    if (depth > kMostDepth) {
      out_.too_deep = true;
      return;
    }
    bool command = true;    // a command may begin here
    bool assigning = true;  // nothing but assignments so far
    bool declaring = false; // after readonly, declare and their like
    int pattern = 0;        // 1: after `case`, 2: after its word, 3: a pattern may begin
    assigned_.clear();
    const auto fresh = [&] {
      end_of_command(assigning && !assigned_.empty());
      command = true;
      assigning = true;
      declaring = false;
    };
    while (!done()) {
      skip_blanks();
      if (done()) break;
      const char c = now();
      if (c == '#') {
        const std::size_t from = at_;
        const int line = line_of(at_);
        at_ = std::min(text_.find('\n', at_), text_.size());
        const auto before = text_.substr(out_.lines[static_cast<std::size_t>(line - 1)], from - out_.lines[static_cast<std::size_t>(line - 1)]);
        if (std::all_of(before.begin(), before.end(), is_blank)) out_.comment[static_cast<std::size_t>(line)] = true;
        continue;
      }
      if (c == '\n') {
        ++at_;
        if (!documents_.empty()) skip_documents();
        if (pattern == 0 || pattern == 3) fresh();
        continue;
      }
      if (pattern == 3) {
        if (next_is("esac") && (at_ + 4 >= text_.size() || is_meta(text_[at_ + 4]))) {
          at_ += 4;
          pattern = 0;
          if (closes("case")) pop();
          command = false;
          continue;
        }
        // The pattern ends at its parenthesis.
        if (c == '(') ++at_;
        while (!done() && now() != ')' && now() != '\n') {
          if (is_blank(now()) || now() == '|' || is_meta(now())) ++at_;
          else word(depth);
        }
        if (!done() && now() == ')') ++at_;
        pattern = 0;
        fresh();
        continue;
      }
      if (c == ')') {
        if (closes("(")) {
          ++at_;
          pop();
          command = false;
          continue;
        }
        if (stop == ')') {
          end_of_command(false);
          return;
        }
        ++at_;
        continue;
      }
      if (c == ';') {
        const bool clause = next_is(";;") || next_is(";&");
        at_ += next_is(";;&") ? 3 : clause ? 2 : 1;
        fresh();
        if (clause && closes("case")) pattern = 3;
        continue;
      }
      if (c == '&' || c == '|') {
        if (next_is("&>")) {
          at_ += next_is("&>>") ? 3 : 2;
          continue;
        }
        at_ += next_is("&&") || next_is("||") || next_is("|&") ? 2 : 1;
        fresh();
        continue;
      }
      if (c == '<' || c == '>') {
        if (next_is("<(") || next_is(">(")) {
          at_ += 2;
          balanced('(', ')', depth + 1);
          continue;
        }
        if (next_is("<<<")) {
          at_ += 3;
        } else if (next_is("<<")) {
          at_ += 2;
          here_document();
        } else {
          ++at_;
          if (!done() && (now() == '>' || now() == '&' || now() == '|')) ++at_;
        }
        continue;
      }
      if (c == '(') {
        if (next_is("((")) {
          at_ += 1;
          ++at_;
          balanced('(', ')', depth + 1);
          if (!done() && now() == ')') ++at_;
          finish_pending();
          command = false;
          assigning = false;
          continue;
        }
        ++at_;
        push("(");
        fresh();
        continue;
      }
      const std::size_t from = at_;
      const auto text = word(depth);
      if (text.empty()) {
        ++at_;
        continue;
      }
      if (pattern == 1) {
        pattern = 2;
        continue;
      }
      if (pattern == 2) {
        if (text == "in") pattern = 3;
        continue;
      }
      const std::size_t value = value_of_assignment(text);
      if (value > 0 && (command || declaring)) {
        const std::size_t name = identifier_length(text);
        if (text.substr(name, 1) == "=") assigned_.push_back({text.substr(0, name), text.substr(value)});
        else assigning = false;
        continue;
      }
      if (!command) {
        if (!declaring || !text.starts_with('-')) assigning = false;
        continue;
      }
      if (text == "if" || text == "while" || text == "until" || text == "then" || text == "else" || text == "elif" || text == "!" || text == "time") {
        if (text == "if") push("if");
        assigning = false;
        continue;
      }
      assigning = false;
      if (text == "{" || text == "do") {
        push(text);
        fresh();
      } else if (text == "}" || text == "done" || text == "fi" || text == "esac") {
        const std::string_view opener = text == "}" ? "{" : text == "done" ? "do" : text == "fi" ? "if" : "case";
        if (closes(opener)) pop();
        command = false;
      } else if (text == "case") {
        push("case");
        pattern = 1;
      } else if (text == "[[") {
        condition(depth + 1);
        finish_pending();
        command = false;
      } else if (text == "function") {
        skip_blanks();
        const std::size_t name_at = at_;
        const auto name = word(depth);
        // `function ;` is no definition, and bash says so.
        if (!name.empty()) {
          skip_blanks();
          if (next_is("()")) at_ += 2;
          define(name, name_at);
        }
        command = true;
      } else if (text == "readonly" || text == "declare" || text == "typeset" || text == "export" || text == "local") {
        declaring = true;
        assigning = true;
        command = false;
      } else if (defines_function(text)) {
        define(text, from);
        command = true;
      } else {
        command = false;
      }
    }
    fresh();
    at_ = std::min(at_, text_.size());
  }

  // A body of one condition, `f() [[ -n $1 ]]`, has ended.
  void finish_pending() {
    if (pending_ < 0) return;
    end_function(pending_);
    pending_ = -1;
  }

  // After a word: `()` follows, and then it is a function's name.
  bool defines_function(std::string_view name) {
    std::size_t look = at_;
    while (look < text_.size() && is_blank(text_[look])) ++look;
    if (look >= text_.size() || text_[look] != '(') return false;
    ++look;
    while (look < text_.size() && is_blank(text_[look])) ++look;
    if (look >= text_.size() || text_[look] != ')') return false;
    if (name.find_first_of("$'\"`\\=") != std::string_view::npos) return false;
    at_ = look + 1;
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  ShellOutline out_;
  std::vector<Frame> frames_;
  std::vector<std::size_t> bodies_;
  std::vector<ShellAssignment> assigned_;
  std::deque<Document> documents_;
  int pending_ = -1;     // the function whose body begins next
  int in_function_ = 0;
};

}  // namespace

ShellOutline scan_shell(std::string_view text) { return Scanner(text).run(); }

}  // namespace sabir::schema
