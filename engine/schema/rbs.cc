#include "rbs.h"

#include <cctype>

#include "types.h"

namespace sabir::schema {
namespace {

constexpr int kMaxDepth = 64;
constexpr std::size_t kMostDeclarations = 20'000;

struct Token {
  enum class Kind { kEnd, kWord, kString, kSymbol, kNumber, kMark };
  Kind kind = Kind::kEnd;
  std::string text;       // a string's value, a symbol without its colon
  bool after_line = false;  // the first of its line
  bool glued = false;       // no space before it
};

bool is_word_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || static_cast<unsigned char>(c) >= 0x80; }

std::vector<Token> tokens_of(std::string_view source) {
  std::vector<Token> out;
  std::size_t at = 0;
  bool new_line = true;
  while (at < source.size()) {
    const std::size_t before = at;
    for (; at < source.size() && std::isspace(static_cast<unsigned char>(source[at])) != 0; ++at) new_line = new_line || source[at] == '\n';
    if (at >= source.size()) break;
    if (source[at] == '#') {
      at = std::min(source.find('\n', at), source.size());
      continue;
    }
    Token token;
    token.after_line = std::exchange(new_line, false);
    token.glued = at == before && !out.empty();
    const char c = source[at];
    const std::size_t from = at;
    if (c == '"' || c == '\'' || (c == ':' && at + 1 < source.size() && source[at + 1] == '"')) {
      token.kind = c == ':' ? Token::Kind::kSymbol : Token::Kind::kString;
      if (c == ':') ++at;
      const char quote = source[at++];
      while (at < source.size() && source[at] != quote) {
        if (source[at] == '\\' && at + 1 < source.size()) ++at;
        token.text += source[at++];
      }
      at = std::min(at + 1, source.size());
    } else if (c == ':' && at + 1 < source.size() && is_word_char(source[at + 1]) && !(from > 0 && (is_word_char(source[from - 1]) || source[from - 1] == ':'))) {
      token.kind = Token::Kind::kSymbol;
      for (++at; at < source.size() && (is_word_char(source[at]) || source[at] == '?' || source[at] == '!'); ++at) token.text += source[at];
    } else if (std::isdigit(static_cast<unsigned char>(c)) != 0 || (c == '-' && at + 1 < source.size() && std::isdigit(static_cast<unsigned char>(source[at + 1])) != 0)) {
      token.kind = Token::Kind::kNumber;
      for (++at; at < source.size() && (std::isdigit(static_cast<unsigned char>(source[at])) != 0 || source[at] == '_'); ++at) {}
      token.text = source.substr(from, at - from);
    } else if (is_word_char(c)) {
      token.kind = Token::Kind::kWord;
      while (at < source.size()) {
        if (is_word_char(source[at])) ++at;
        else if (source.substr(at).starts_with("::") && at + 2 < source.size() && is_word_char(source[at + 2])) at += 2;
        else break;
      }
      token.text = source.substr(from, at - from);
    } else if (source.substr(at).starts_with("%a{")) {
      at = std::min(source.find('}', at), source.size() - 1) + 1;
      new_line = new_line || token.after_line;
      continue;
    } else {
      token.kind = Token::Kind::kMark;
      const std::string_view rest = source.substr(at);
      const std::size_t size = rest.starts_with("->") || rest.starts_with("=>") || rest.starts_with("**") || rest.starts_with("::") ? 2 : rest.starts_with("...") ? 3 : 1;
      token.text = rest.substr(0, size);
      at += size;
    }
    out.push_back(std::move(token));
  }
  return out;
}

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(tokens_of(source)) {}

  bool at_end() const { return at_ >= tokens_.size(); }
  bool failed() const { return failed_; }

  RbsType type(int depth = 0) {
    RbsType first = intersection(depth);
    if (!is("|")) return first;
    RbsType out;
    out.kind = RbsType::Kind::kUnion;
    out.inner.push_back(std::move(first));
    while (take("|")) out.inner.push_back(intersection(depth));
    return out;
  }

  // One or several overloads; the first counts.
  RbsMethod method() {
    RbsMethod out = one_method();
    while (!failed_ && take("|")) {
      out.overloaded = true;
      if (take("...")) break;
      one_method();
    }
    return out;
  }

  void declarations(const std::string& scope, RbsDeclarations& into, int depth) {
    while (!at_end() && declared_ < kMostDeclarations) {
      if (word("end")) {
        if (depth > 0) return;
        continue;
      }
      const std::size_t before = at_;
      failed_ = false;
      declaration(scope, into, depth);
      // What is not known is left behind, at least one token.
      if (at_ == before || failed_) {
        if (at_ == before) ++at_;
        while (!at_end() && !tokens_[at_].after_line) ++at_;
      }
    }
  }

 private:
  const Token& now() const {
    static const Token end;
    return at_ < tokens_.size() ? tokens_[at_] : end;
  }
  bool is(std::string_view mark) const { return now().kind == Token::Kind::kMark && now().text == mark; }
  bool is_word() const { return now().kind == Token::Kind::kWord; }
  bool take(std::string_view mark) {
    if (!is(mark)) return false;
    ++at_;
    return true;
  }
  bool word(std::string_view text) {
    if (!is_word() || now().text != text) return false;
    ++at_;
    return true;
  }
  void expect(std::string_view mark) { failed_ = !take(mark) || failed_; }
  const Token& next() const {
    static const Token end;
    return at_ + 1 < tokens_.size() ? tokens_[at_ + 1] : end;
  }

  RbsType intersection(int depth) {
    RbsType out = simple(depth);
    while (take("&")) {
      simple(depth);
      out = {};
    }
    return out;
  }

  RbsType simple(int depth) {
    RbsType out = bare(depth);
    while (is("?") && now().glued && !failed_) {
      ++at_;
      RbsType optional;
      optional.kind = RbsType::Kind::kOptional;
      optional.inner.push_back(std::move(out));
      out = std::move(optional);
    }
    return out;
  }

  RbsType bare(int depth) {
    RbsType out;
    if (depth > kMaxDepth || at_end()) {
      failed_ = true;
      return out;
    }
    const Token token = now();
    if (token.kind == Token::Kind::kString || token.kind == Token::Kind::kSymbol || token.kind == Token::Kind::kNumber) {
      ++at_;
      out.kind = RbsType::Kind::kLiteral;
      out.is_symbol = token.kind == Token::Kind::kSymbol;
      if (token.kind == Token::Kind::kNumber) out.literal = number_literal(token.text).value_or(json::value(nullptr));
      else out.literal = json::string(token.text);
      return out;
    }
    if (take("(")) {
      out = type(depth + 1);
      expect(")");
      return out;
    }
    if (take("[")) {
      out.kind = RbsType::Kind::kTuple;
      while (!failed_ && !is("]")) {
        out.inner.push_back(type(depth + 1));
        if (!take(",")) break;
      }
      expect("]");
      return out;
    }
    if (take("{")) return record(depth);
    if (take("^")) {
      one_method();
      out.kind = RbsType::Kind::kOther;
      out.name = "a proc";
      return out;
    }
    if (take("::")) return bare(depth);
    if (token.kind != Token::Kind::kWord) {
      failed_ = true;
      return out;
    }
    ++at_;
    if (token.text == "untyped" || token.text == "top" || token.text == "bot" || token.text == "self" || token.text == "instance") return out;
    if (token.text == "true" || token.text == "false") {
      out.kind = RbsType::Kind::kLiteral;
      out.literal = token.text == "true";
      return out;
    }
    if (token.text == "singleton" && take("(")) {
      while (!at_end() && !take(")")) ++at_;
      out.kind = RbsType::Kind::kOther;
      out.name = "singleton";
      return out;
    }
    out.kind = RbsType::Kind::kName;
    out.name = token.text;
    if (is("[") && now().glued) {
      ++at_;
      while (!failed_ && !is("]")) {
        out.inner.push_back(type(depth + 1));
        if (!take(",")) break;
      }
      expect("]");
    }
    return out;
  }

  RbsType record(int depth) {
    RbsType out;
    out.kind = RbsType::Kind::kRecord;
    while (!failed_ && !is("}")) {
      const bool optional = take("?");
      const Token key = now();
      if (key.kind == Token::Kind::kEnd || key.kind == Token::Kind::kMark) {
        failed_ = true;
        break;
      }
      ++at_;
      // `name: T`, `"name" => T`, `:name => T`.
      if (!take(":")) expect("=>");
      out.keys.emplace_back(key.text, !optional);
      out.inner.push_back(type(depth + 1));
      if (!take(",")) break;
    }
    expect("}");
    return out;
  }

  void type_parameters() {
    if (!take("[")) return;
    while (!at_end() && !take("]")) ++at_;
  }

  RbsMethod one_method() {
    RbsMethod out;
    if (++nested_ > kMaxDepth) {
      failed_ = true;
      --nested_;
      return out;
    }
    type_parameters();
    if (take("(")) {
      while (!failed_ && !is(")")) {
        out.parameters.push_back(parameter());
        if (!take(",")) break;
      }
      expect(")");
    }
    // A block: `{ (Integer) -> void }` or `?{ … }`.
    if (is("?") && next().kind == Token::Kind::kMark && next().text == "{") ++at_;
    if (take("{")) {
      one_method();
      expect("}");
    }
    expect("->");
    out.result = simple(0);
    --nested_;
    return out;
  }

  RbsParameter parameter() {
    RbsParameter out;
    if (take("**")) out.kind = RbsParameter::Kind::kKeywordRest;
    else if (take("*")) out.kind = RbsParameter::Kind::kRest;
    else if (take("?")) out.required = false;
    const bool named = is_word() && next().kind == Token::Kind::kMark && next().text == ":" && next().glued;
    if (named && out.kind == RbsParameter::Kind::kPositional) {
      out.kind = RbsParameter::Kind::kKeyword;
      out.name = now().text;
      at_ += 2;
      out.type = type();
      if (is_word()) ++at_;
      return out;
    }
    out.type = type();
    if (is_word()) out.name = tokens_[at_++].text;
    if (out.kind == RbsParameter::Kind::kRest || out.kind == RbsParameter::Kind::kKeywordRest) out.required = false;
    return out;
  }

  static std::string inside(const std::string& scope, const std::string& name) { return scope.empty() ? name : scope + "::" + name; }

  void declaration(const std::string& scope, RbsDeclarations& into, int depth) {
    ++declared_;
    if (word("class") || word("module") || word("interface")) {
      const bool module = tokens_[at_ - 1].text != "class";
      if (!is_word() || depth > kMaxDepth) return;
      const std::string name = inside(scope, now().text);
      ++at_;
      type_parameters();
      auto& known = into.classes[name];
      known.is_module = module;
      if (take("=")) {  // class A = B
        failed_ = true;
        return;
      }
      if (take("<")) {
        const RbsType parent = type();
        known.superclass = parent.name;
      }
      if (take(":")) {
        do type();
        while (!failed_ && take(","));
      }
      declarations(name, into, depth + 1);
    } else if (word("type")) {
      if (!is_word()) return;
      const std::string name = inside(scope, now().text);
      ++at_;
      type_parameters();
      expect("=");
      RbsType target = type();
      if (!failed_) into.aliases[name] = std::move(target);
    } else if (word("attr_reader") || word("attr_accessor") || word("attr_writer")) {
      const bool readable = tokens_[at_ - 1].text != "attr_writer";
      if (!is_word() && now().kind != Token::Kind::kSymbol) return;
      const std::string name = now().text;
      ++at_;
      if (take("(")) {
        while (!at_end() && !take(")")) ++at_;
      }
      expect(":");
      RbsType of = type();
      if (!failed_ && readable) into.classes[scope].attributes.emplace_back(name, std::move(of));
    } else if (word("def")) {
      const bool both = is_word() && now().text == "self" && next().text == "?";
      const bool singleton = both || (is_word() && now().text == "self" && next().text == ".");
      if (singleton) at_ += 2;
      if (both) expect(".");
      if (!is_word()) {
        failed_ = true;
        return;
      }
      std::string name = now().text;
      ++at_;
      if ((is("?") || is("!") || is("=")) && now().glued) {
        name += now().text;
        ++at_;
      }
      expect(":");
      RbsMethod found = method();
      if (failed_) return;
      auto& known = into.classes[scope];
      if (singleton) known.singleton_methods.insert_or_assign(name, found);
      if (!singleton || both) known.methods.insert_or_assign(name, std::move(found));
    } else {
      failed_ = true;
    }
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::size_t declared_ = 0;
  int nested_ = 0;
  bool failed_ = false;
};

}  // namespace

void rbs_read(std::string_view source, RbsDeclarations& into) { Parser(source).declarations("", into, 0); }

std::optional<RbsMethod> rbs_method(std::string_view text) {
  Parser parser(text);
  RbsMethod out = parser.method();
  if (parser.failed() || !parser.at_end()) return std::nullopt;
  return out;
}

std::optional<RbsType> rbs_type(std::string_view text) {
  Parser parser(text);
  RbsType out = parser.type();
  if (parser.failed() || !parser.at_end()) return std::nullopt;
  return out;
}

}  // namespace sabir::schema
