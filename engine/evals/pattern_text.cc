// Texts that a regular expression matches, made by walking through it.
#include <algorithm>
#include <vector>

#include "sabir/evals/inputs.h"

namespace sabir::evals {
namespace {

constexpr std::size_t kMostText = 4096;
constexpr int kMostNesting = 40;
constexpr int kMostSteps = 20'000;

class PatternWriter {
 public:
  PatternWriter(std::string_view pattern, const std::function<std::uint64_t()>& next) : pattern_(pattern), next_(next) {}

  std::optional<std::string> text() {
    std::string out;
    if (!alternatives(out, 0, true) || at_ != pattern_.size()) return std::nullopt;
    return out;
  }

 private:
  bool more() const { return at_ < pattern_.size(); }
  char peek() const { return more() ? pattern_[at_] : '\0'; }
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : static_cast<std::size_t>(next_() % bound); }

  // Reads one group's body up to its ')' or the end. What is not `written` is only read.
  bool alternatives(std::string& out, int depth, bool written) {
    if (depth > kMostNesting || ++steps_ > kMostSteps) return false;
    std::vector<std::string> options;
    do {
      std::string one;
      if (!sequence(one, depth, written)) return false;
      options.push_back(std::move(one));
    } while (take('|'));
    if (written) out += options[below(options.size())];
    return out.size() <= kMostText;
  }

  bool take(char c) {
    if (peek() != c || !more()) return false;
    ++at_;
    return true;
  }

  bool sequence(std::string& out, int depth, bool written) {
    while (more() && peek() != '|' && peek() != ')') {
      if (++steps_ > kMostSteps || out.size() > kMostText) return false;
      if (take('^') || take('$')) continue;
      const std::size_t begin = at_;
      std::string once;
      if (!atom(once, depth, written)) return false;
      const std::size_t end = at_;
      int least = 1;
      int most = 1;
      if (!quantifier(least, most)) return false;
      if (least == 1 && most == 1) {
        out += once;
        continue;
      }
      const std::size_t after = at_;
      const int times = least + static_cast<int>(below(static_cast<std::size_t>(most - least + 1)));
      for (int i = 0; i < times && written; ++i) {
        // Each time it may be another text.
        at_ = begin;
        std::string again;
        if (!atom(again, depth, written) || at_ != end) return false;
        out += again;
        if (out.size() > kMostText) return false;
      }
      at_ = after;
    }
    return true;
  }

  bool quantifier(int& least, int& most) {
    if (take('?')) {
      least = 0;
    } else if (take('*')) {
      least = 0;
      most = 6;
    } else if (take('+')) {
      most = 6;
    } else if (peek() == '{' && more()) {
      const std::size_t close = pattern_.find('}', at_);
      if (close == std::string_view::npos || close - at_ > 12) return false;
      const auto body = pattern_.substr(at_ + 1, close - at_ - 1);
      const auto number = [](std::string_view digits) {
        int n = digits.empty() || digits.size() > 4 ? -1 : 0;
        for (const char c : digits) n = c < '0' || c > '9' || n < 0 ? -1 : n * 10 + (c - '0');
        return n;
      };
      const auto comma = body.find(',');
      least = number(body.substr(0, comma));
      most = comma == std::string_view::npos ? least : comma + 1 == body.size() ? least + 5 : number(body.substr(comma + 1));
      if (least < 0 || most < least || most > 2000) return false;
      at_ = close + 1;
    } else {
      return true;
    }
    take('?');  // as few as possible: the same texts
    return peek() != '+' || !more();
  }

  bool atom(std::string& out, int depth, bool written) {
    if (++steps_ > kMostSteps) return false;
    const char c = pattern_[at_];
    if (c == '(') {
      ++at_;
      if (take('?')) {
        if (!take(':')) return false;  // look-around, names, flags
      }
      if (!alternatives(out, depth + 1, written)) return false;
      return take(')');
    }
    if (c == '[') return set(out);
    ++at_;
    if (c == '.') {
      out += "abz09 -"[below(7)];
      return true;
    }
    if (c == '*' || c == '+' || c == '?' || c == '{' || c == '}') return false;
    if (c == '\\') return escaped(out);
    out += c;
    return true;
  }

  // One character of what an escape stands for.
  bool escaped(std::string& out) {
    if (!more()) return false;
    const char c = pattern_[at_++];
    const auto pick = [&](std::string_view of) { out += of[below(of.size())]; };
    switch (c) {
      case 'd': pick("0123456789"); return true;
      case 'w': pick("abcxyzABCXYZ019_"); return true;
      case 's': out += ' '; return true;
      case 'D': pick("abz _-"); return true;
      case 'W': pick(" -.!"); return true;
      case 'S': pick("abz09_-"); return true;
      case 'n': out += '\n'; return true;
      case 't': out += '\t'; return true;
      case 'r': out += '\r'; return true;
      default: break;
    }
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return false;
    out += c;
    return true;
  }

  // A class of ASCII characters; others in it are taken as they are, byte ranges of them are not known.
  bool set(std::string& out) {
    ++at_;
    const bool negated = take('^');
    std::string members;
    bool first = true;
    while (more() && (peek() != ']' || first)) {
      first = false;
      if (members.size() > 2000 || ++steps_ > kMostSteps) return false;
      char c = pattern_[at_++];
      if ((static_cast<unsigned char>(c) & 0x80U) != 0 || c == '[') return false;
      if (c == '\\') {
        const char kind = peek();
        if (kind == 'd') members += "0123456789";
        else if (kind == 'w') members += "abcxyzABCXYZ019_";
        else if (kind == 's') members += " ";
        else if (kind == 'n') members += '\n';
        else if (kind == 't') members += '\t';
        else if (!more() || (kind >= 'a' && kind <= 'z') || (kind >= 'A' && kind <= 'Z')) return false;
        else members += kind;
        ++at_;
        if (kind == 'd' || kind == 'w' || kind == 's') continue;
        c = members.back();
        members.pop_back();
      }
      if (peek() == '-' && at_ + 1 < pattern_.size() && pattern_[at_ + 1] != ']') {
        char last = pattern_[at_ + 1];
        at_ += 2;
        if (last == '\\') {
          if (!more()) return false;
          last = pattern_[at_++];
          if ((last >= 'a' && last <= 'z') || (last >= 'A' && last <= 'Z')) return false;
        }
        if ((static_cast<unsigned char>(last) & 0x80U) != 0 || last < c) return false;
        for (int x = c; x <= last; ++x) members += static_cast<char>(x);
      } else {
        members += c;
      }
    }
    if (!take(']')) return false;
    if (negated) {
      std::string others;
      for (char x = ' '; x < 127; ++x) {
        if (members.find(x) == std::string::npos) others += x;
      }
      members = std::move(others);
    }
    if (members.empty()) return false;
    out += members[below(members.size())];
    return true;
  }

  const std::string_view pattern_;
  const std::function<std::uint64_t()>& next_;
  std::size_t at_ = 0;
  int steps_ = 0;
};

}  // namespace

std::optional<std::string> text_of_pattern(std::string_view pattern, const std::function<std::uint64_t()>& next) {
  if (pattern.size() > 2000) return std::nullopt;
  return PatternWriter(pattern, next).text();
}

}  // namespace sabir::evals
