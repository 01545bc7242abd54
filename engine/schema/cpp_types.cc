#include "cpp_types.h"

#include <algorithm>
#include <cctype>
#include <limits>

#include "doc.h"
#include "sabir/base/text.h"

namespace sabir::schema {
namespace {

constexpr int kMaxDepth = 32;

class TypeParser {
 public:
  explicit TypeParser(std::string_view text) : text_(text) {}
  bool parse_all(CppType& out) {
    if (!parse(out, 0)) return false;
    skip();
    return at_ == text_.size();
  }

 private:
  void skip() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  bool take(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string_view word() {
    skip();
    const std::size_t from = at_;
    while (at_ < text_.size()) {
      const auto c = static_cast<unsigned char>(text_[at_]);
      const bool scope = text_.substr(at_).starts_with("::");
      if (std::isalnum(c) == 0 && c != '_' && c < 0x80 && !scope) break;
      at_ += scope ? 2 : 1;
    }
    return text_.substr(from, at_ - from);
  }

  bool parse(CppType& out, int depth) {
    if (depth > kMaxDepth) return false;
    std::vector<std::string> words;
    for (;;) {
      skip();
      const std::size_t before = at_;
      const std::string_view next = word();
      if (next.empty()) break;
      if (next == "const") {
        out.is_const = true;
      } else if (next != "volatile" && next != "typename" && next != "struct" && next != "enum" && next != "class") {
        const bool built_in = next == "unsigned" || next == "signed" || next == "long" || next == "short" || next == "int" ||
                              next == "char" || next == "double";
        if (!words.empty() && !(built_in && is_built_in(words.back()))) {
          at_ = before;
          break;
        }
        words.emplace_back(next);
      }
    }
    if (words.empty()) return false;
    if (words.size() == 1 && std::isdigit(static_cast<unsigned char>(words[0][0])) != 0) {
      out.number = words[0];
      return true;
    }
    out.name = words.size() == 1 ? plain(words[0]) : canonical(words);
    if (take('<')) {
      skip();
      if (!take('>')) {
        do {
          CppType argument;
          if (!parse(argument, depth + 1)) return false;
          out.arguments.push_back(std::move(argument));
        } while (take(','));
        if (!take('>')) return false;
      }
    }
    for (;;) {
      skip();
      if (take('*')) {
        ++out.pointers;
      } else if (take('&')) {
        ++out.references;
      } else {
        const std::size_t before = at_;
        const auto next = word();
        if (next == "const") {
          out.is_const = true;
        } else {
          at_ = before;
          break;
        }
      }
    }
    return true;
  }

  static bool is_built_in(std::string_view w) {
    return w == "unsigned" || w == "signed" || w == "long" || w == "short" || w == "int" || w == "char" || w == "double";
  }
  static std::string plain(std::string_view name) {
    if (name.starts_with("::")) name.remove_prefix(2);
    if (name.starts_with("std::")) name.remove_prefix(5);
    return canonical({std::string(name)});
  }
  // "unsigned long int" -> "unsigned long".
  static std::string canonical(const std::vector<std::string>& words) {
    int longs = 0;
    bool is_unsigned = false;
    bool is_signed = false;
    std::string base;
    for (const auto& w : words) {
      if (w == "unsigned") is_unsigned = true;
      else if (w == "signed") is_signed = true;
      else if (w == "long") ++longs;
      else if (w == "short" || w == "char" || w == "double") base = w;
      else if (w != "int") return words.front();
    }
    if (base == "double") return longs > 0 ? "long double" : "double";
    if (base == "char") return is_unsigned ? "unsigned char" : is_signed ? "signed char" : "char";
    const std::string sign = is_unsigned ? "unsigned " : "";
    if (base == "short") return sign + "short";
    if (longs == 1) return sign + "long";
    if (longs > 1) return sign + "long long";
    return sign + "int";
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

template <class T>
json::object range() {
  json::object out = of_type("integer");
  out["minimum"] = std::numeric_limits<T>::min();
  out["maximum"] = std::numeric_limits<T>::max();
  return out;
}

// The schema of an integer type by its name; nothing when it is none.
std::optional<json::object> integer(const std::string& name) {
  if (name == "int" || name == "int32_t") return range<std::int32_t>();
  if (name == "unsigned int" || name == "uint32_t") return range<std::uint32_t>();
  if (name == "long" || name == "long long" || name == "int64_t" || name == "ptrdiff_t" || name == "intmax_t") return range<std::int64_t>();
  if (name == "unsigned long" || name == "unsigned long long" || name == "uint64_t" || name == "size_t" || name == "uintmax_t") {
    return range<std::uint64_t>();
  }
  if (name == "short" || name == "int16_t") return range<std::int16_t>();
  if (name == "unsigned short" || name == "uint16_t") return range<std::uint16_t>();
  if (name == "int8_t" || name == "signed char") return range<std::int8_t>();
  if (name == "uint8_t" || name == "unsigned char") return range<std::uint8_t>();
  return std::nullopt;
}

TypeSchema plain(json::object schema) {
  TypeSchema out;
  out.schema = std::move(schema);
  return out;
}

TypeSchema refuse(std::string why) {
  TypeSchema out;
  out.problem = std::move(why);
  return out;
}

}  // namespace

bool CppTypes::parse(std::string_view text, CppType& out) { return TypeParser(text).parse_all(out); }

std::optional<json::value> cpp_literal(const Node& node, int depth) {
  if (!node || depth > kMaxDepth) return std::nullopt;
  const auto kind = node.kind();
  if (kind == "number_literal" || kind == "unary_expression") {
    std::string text(node.text());
    const bool hex = text.find('x') != std::string::npos || text.find('X') != std::string::npos;
    while (!text.empty() && (std::string_view("uUlLzZ").find(text.back()) != std::string_view::npos ||
                             (!hex && (text.back() == 'f' || text.back() == 'F')))) {
      text.pop_back();
    }
    if (text.ends_with('.')) text += '0';
    return number_literal(text);
  }
  if (kind == "true") return json::value(true);
  if (kind == "false") return json::value(false);
  if (kind == "null" || kind == "nullptr" || node.text() == "std::nullopt") return json::value(nullptr);
  if (kind == "string_literal" || kind == "raw_string_literal" || kind == "concatenated_string") {
    std::string all;
    for (const auto& part : kind != "concatenated_string" ? std::vector<Node>{node} : node.children()) {
      std::string_view text = part.text();
      if (part.is("raw_string_literal")) {
        // R"mark(…)mark"
        const std::size_t open = text.find('(');
        const std::size_t close = text.rfind(')');
        if (!text.starts_with("R\"") || open == std::string_view::npos || close == std::string_view::npos || close < open) return std::nullopt;
        all += text.substr(open + 1, close - open - 1);
        continue;
      }
      if (!part.is("string_literal") || text.size() < 2 || text.front() != '"') return std::nullopt;
      const auto value = parse_json(text);
      if (!value || !value->is_string()) return std::nullopt;
      all += std::string_view(value->get_string());
    }
    return json::value(json::string(all));
  }
  // `= {1, 2}` is read as a compound literal without a type.
  if (kind == "compound_literal_expression" && trim(node.text()).starts_with('{')) return cpp_literal(node.child("value"), depth + 1);
  if (kind == "initializer_list") {
    json::array out;
    for (const auto& item : node.children()) {
      auto value = cpp_literal(item, depth + 1);
      if (!value) return std::nullopt;
      out.push_back(std::move(*value));
    }
    if (out.empty()) return std::nullopt;
    return json::value(std::move(out));
  }
  return std::nullopt;
}

void CppTypes::add(const Syntax& syntax) { collect(syntax, syntax.root(), "", 0); }

// What a compiler may emit once for several files, by its name as it stands in mangled symbols.
void CppTypes::define(const Syntax& syntax, std::string_view name) {
  if (name.empty() || defines_.size() > 2000) return;
  json::object one;
  one["name"] = std::to_string(name.size()) + std::string(name);
  one["file"] = syntax.file();
  if (std::find(defines_.begin(), defines_.end(), json::value(one)) == defines_.end()) defines_.push_back(std::move(one));
}

void CppTypes::collect(const Syntax& syntax, const Node& body, const std::string& scope, int depth) {
  if (depth > kMaxDepth) return;
  const auto qualify = [&](std::string_view name) { return scope.empty() ? std::string(name) : scope + "::" + std::string(name); };
  const bool inside_type = body.is("field_declaration_list");
  const auto type_definition = [&](const Node& node) {
    if (!node.child("body") || !node.child("name")) return;
    const std::string name = qualify(node.child("name").text());
    known_[name] = {node, scope, "", &syntax};
    if (!inside_type) define(syntax, node.child("name").text());
    if (!node.is("enum_specifier")) collect(syntax, node.child("body"), name, depth + 1);
  };
  for (const auto& node : body.children()) {
    if (node.is("namespace_definition")) {
      const Node name = node.child("name");
      collect(syntax, node.child("body"), name ? qualify(name.text()) : scope, depth + 1);
    } else if (node.is("linkage_specification")) {
      collect(syntax, node.child("body"), scope, depth + 1);
    } else if (node.is("preproc_ifdef") || node.is("preproc_if")) {
      collect(syntax, node, scope, depth + 1);
    } else if (node.is("struct_specifier") || node.is("class_specifier") || node.is("enum_specifier") || node.is("union_specifier")) {
      type_definition(node);
    } else if (node.is("field_declaration")) {
      const Node type = node.child("type");
      if (type.is("struct_specifier") || type.is("class_specifier") || type.is("enum_specifier")) type_definition(type);
    } else if (node.is("alias_declaration")) {
      known_[qualify(node.child("name").text())] = {node, scope, std::string(node.child("type").text()), &syntax};
    } else if (node.is("type_definition")) {
      const Node name = node.child("declarator");
      if (name.is("type_identifier")) known_[qualify(name.text())] = {node, scope, std::string(node.child("type").text()), &syntax};
    } else if (node.is("using_declaration")) {
      const auto inner = node.children();
      if (inner.empty()) continue;
      const std::string name = written_out(std::string(inner.back().text()));
      const std::size_t cut = name.rfind("::");
      if (node.first("namespace")) used_namespaces_.push_back(name);
      else if (cut != std::string::npos && !inside_type) known_.emplace(qualify(name.substr(cut + 2)), Known{node, scope, name, &syntax});
    } else if (node.is("namespace_alias_definition")) {
      const auto inner = node.children();
      if (inner.size() == 2) namespace_aliases_[std::string(inner[0].text())] = written_out(std::string(inner[1].text()));
    } else if (node.is("function_definition") && !inside_type) {
      // An inline function; others have a symbol of their own anyway.
      Node declarator = node.child("declarator");
      while (declarator && !declarator.is("function_declarator")) declarator = declarator.child("declarator");
      if (const Node name = declarator.child("declarator"); name.is("identifier")) define(syntax, name.text());
    } else if (node.is("template_declaration")) {
      for (const auto& inner : node.children()) {
        if (inner.child("body") && inner.child("name")) define(syntax, inner.child("name").text());
        Node declarator = inner.is("function_definition") ? inner.child("declarator") : Node();
        while (declarator && !declarator.is("function_declarator")) declarator = declarator.child("declarator");
        if (const Node name = declarator.child("declarator"); name.is("identifier")) define(syntax, name.text());
      }
    }
  }
}

// "fs::path" -> "std::filesystem::path" after `namespace fs = std::filesystem;`.
std::string CppTypes::written_out(const std::string& name) const {
  const std::size_t cut = name.find("::");
  if (cut == std::string::npos) return name;
  const auto found = namespace_aliases_.find(name.substr(0, cut));
  return found == namespace_aliases_.end() ? name : found->second + name.substr(cut);
}

const CppTypes::Known* CppTypes::find(const std::string& name, const std::string& scope, std::string& qualified) const {
  for (std::string at = scope;;) {
    qualified = at.empty() ? name : at + "::" + name;
    if (const auto found = known_.find(qualified); found != known_.end()) return &found->second;
    if (at.empty()) break;
    const std::size_t cut = at.rfind("::");
    at = cut == std::string::npos ? "" : at.substr(0, cut);
  }
  for (const auto& used : used_namespaces_) {
    qualified = used + "::" + name;
    if (const auto found = known_.find(qualified); found != known_.end()) return &found->second;
  }
  return nullptr;
}

std::string CppTypes::enumerator(std::string_view type, std::string_view value, const std::string& scope) const {
  CppType parsed;
  if (!parse(type, parsed)) return "";
  std::string qualified;
  const Known* known = find(written_out(parsed.name), scope, qualified);
  for (int i = 0; known && !known->alias.empty() && i < kMaxDepth; ++i) {
    CppType next;
    known = parse(known->alias, next) ? find(written_out(next.name), known->scope, qualified) : nullptr;
  }
  if (!known || !known->node.is("enum_specifier")) return "";
  const std::size_t cut = value.rfind("::");
  const std::string_view last = cut == std::string_view::npos ? value : value.substr(cut + 2);
  for (const auto& member : known->node.child("body").children()) {
    if (member.is("enumerator") && member.child("name").text() == last) return std::string(last);
  }
  return "";
}

TypeSchema CppTypes::resolve(std::string_view text, const std::string& scope, std::vector<std::string>& used) const {
  CppType type;
  if (!parse(text, type)) return refuse("type '" + std::string(text) + "' cannot be carried as JSON");
  std::set<std::string> open;
  return of(type, scope, used, open);
}

TypeSchema CppTypes::of(const CppType& type, const std::string& scope, std::vector<std::string>& used,
                        std::set<std::string>& open) const {
  if (open.size() > 64) return refuse("types nested too deeply");
  const std::string name = written_out(type.name);
  if (type.pointers > 0) {
    return refuse(name == "char" ? "a pointer to char says nothing of who owns the text; use std::string"
                                 : "a pointer has no value that could be carried; use the value itself or std::optional");
  }
  if (type.references == 1 && !type.is_const) {
    return refuse("a reference that is not const returns a value on the side; return it, or take a const reference");
  }
  std::string qualified;
  if (const Known* known = find(name, scope, qualified)) return of_known(*known, qualified, used, open);
  // What an alias names may be the first part: Clock::time_point.
  if (const std::size_t cut = name.rfind("::"); cut != std::string::npos) {
    const Known* owner = find(name.substr(0, cut), scope, qualified);
    if (owner && !owner->alias.empty() && open.insert(qualified).second) {
      CppType inner = type;
      inner.name = owner->alias.starts_with("std::") ? owner->alias.substr(5) + name.substr(cut) : owner->alias + name.substr(cut);
      TypeSchema out = of(inner, owner->scope, used, open);
      open.erase(qualified);
      return out;
    }
  }
  return standard(type, scope, used, open);
}

namespace {

// std::chrono by the name without its namespace; nothing when it is none of its types.
std::optional<TypeSchema> of_chrono(std::string name, const std::vector<CppType>& a, const std::vector<std::string>& used) {
  if (name.starts_with("chrono::")) name.erase(0, 8);
  else if (std::find(used.begin(), used.end(), "std::chrono") == used.end()) return std::nullopt;
  TypeSchema out;
  const auto seconds = [&](int multiple) {
    out.schema = of_type(multiple > 0 ? "integer" : "number");
    if (multiple > 1) out.schema["multipleOf"] = multiple;
    out.doc = "In seconds.";
    return out;
  };
  const auto text = [&](const char* format) {
    out.schema = of_type("string");
    out.schema["format"] = format;
    return out;
  };
  if (name == "seconds") return seconds(1);
  if (name == "minutes") return seconds(60);
  if (name == "hours") return seconds(3600);
  if (name == "days") return seconds(86400);
  if (name == "weeks") return seconds(604800);
  if (name == "milliseconds" || name == "microseconds" || name == "nanoseconds" || name == "duration") return seconds(0);
  if (name == "sys_days" || name == "year_month_day") return text("date");
  if (name == "sys_seconds" || name == "sys_time" || name == "system_clock::time_point") return text("date-time");
  if (name == "time_point" && !a.empty() && a[0].name.ends_with("system_clock")) return text("date-time");
  if (name.ends_with("time_point")) return refuse("a time of a clock other than std::chrono::system_clock has no date");
  return std::nullopt;
}

}  // namespace

TypeSchema CppTypes::standard(const CppType& type, const std::string& scope, std::vector<std::string>& used,
                              std::set<std::string>& open) const {
  std::string name = written_out(type.name);
  if (name.starts_with("std::")) name.erase(0, 5);
  const auto& a = type.arguments;
  const auto inner = [&](std::size_t i) -> TypeSchema {
    if (i >= a.size()) return refuse("'" + name + "' lacks a template argument");
    if (a[i].references > 0) return refuse("a reference inside '" + name + "'");
    return of(a[i], scope, used, open);
  };
  if (name == "bool") return plain(of_type("boolean"));
  if (auto schema = integer(name)) return plain(std::move(*schema));
  if (name == "float" || name == "double" || name == "long double") return plain(of_type("number"));
  if (name == "string" || name == "string_view" || name == "filesystem::path") return plain(of_type("string"));
  if (name == "char") return refuse("a single char is no text; use std::string, or signed char for a number");
  if (name == "void") {
    TypeSchema out = plain(of_type("null"));
    out.is_none = true;
    return out;
  }
  if (name == "nullptr_t" || name == "monostate") return plain(of_type("null"));
  if (name == "nlohmann::json" || name == "nlohmann::ordered_json" || name == "json" || name == "sabir::Json") return plain({});
  if (name == "sabir::Bytes") return plain(bytes_schema());
  if (auto time = of_chrono(name, a, used_namespaces_)) return *time;
  if (name == "sabir::Context" || name == "Context") {
    TypeSchema out;
    out.is_context = true;
    return out;
  }
  if (name == "vector" || name == "deque" || name == "list" || name == "set" || name == "unordered_set") {
    if (name == "vector" && a.size() == 1 && a[0].name == "byte") return plain(bytes_schema());
    TypeSchema out = inner(0);
    out.schema = array_of(std::move(out.schema));
    if (name == "set" || name == "unordered_set") out.schema["uniqueItems"] = true;
    return out;
  }
  if (name == "array") {
    TypeSchema out = inner(0);
    out.schema = array_of(std::move(out.schema));
    const auto size = a.size() == 2 ? number_literal(a[1].number) : std::nullopt;
    if (!size || !size->is_int64()) return refuse("the size of a std::array has to be a number");
    out.schema["minItems"] = *size;
    out.schema["maxItems"] = *size;
    return out;
  }
  if (name == "map" || name == "unordered_map") {
    if (a.size() < 2 || a[0].name != "string") return refuse("the keys of a map have to be std::string, as those of JSON are");
    TypeSchema out = inner(1);
    out.schema = map_of(std::move(out.schema));
    return out;
  }
  if (name == "optional") {
    TypeSchema out = inner(0);
    out.schema = nullable(std::move(out.schema));
    return out;
  }
  if (name == "pair" || name == "tuple" || name == "variant") {
    std::vector<json::object> items;
    std::string problem;
    for (std::size_t i = 0; i < a.size(); ++i) {
      TypeSchema one = inner(i);
      if (!one.problem.empty() && problem.empty()) problem = one.problem;
      items.push_back(std::move(one.schema));
    }
    if (items.empty()) return refuse("'" + name + "' lacks its template arguments");
    TypeSchema out = plain(name == "variant" ? any_of(std::move(items)) : tuple_of(items));
    out.problem = problem;
    return out;
  }
  if (name == "span") {
    if (a.empty() || !a[0].is_const) return refuse("a std::span of what is not const returns values on the side; return them, or take std::span<const T>");
    TypeSchema out = inner(0);
    out.schema = array_of(std::move(out.schema));
    return out;
  }
  if (name == "unique_ptr" || name == "shared_ptr") return refuse("a smart pointer has no value that could be carried; use the value itself");
  if (name == "function") return refuse("a function cannot be carried as JSON");
  if (name == "auto") return refuse("its type is left to the compiler; write it out");
  if (name == "stop_token") return refuse("a std::stop_token can only be a parameter");
  if (name == "sabir::Yield" || name == "Yield") return refuse("a sabir::Yield can only be a parameter");
  return refuse("type '" + type.name + "' is defined neither in this file nor in a header of the project that it includes");
}

namespace {

// The comment above a member, or the one behind it that says `///<`.
std::string member_doc(const Syntax& syntax, const Node& node) {
  const std::string_view source = syntax.source();
  const std::string_view rest = source.substr(node.end(), source.substr(node.end()).find('\n'));
  for (const std::string_view mark : {"///<", "//!<", "/**<", "/*!<"}) {
    const std::size_t at = rest.find(mark);
    if (at != std::string_view::npos && trim(rest.substr(0, at)).empty()) return doxygen_doc({std::string(trim(rest))}).summary;
  }
  return doxygen_doc(syntax.comment_above(node.row())).summary;
}

}  // namespace

std::vector<CppTypes::Member> CppTypes::members(const Known& structure, const std::string& qualified, std::string& problem, int depth) const {
  std::vector<Member> out;
  const std::string_view name = structure.node.child("name").text();
  bool is_public = structure.node.is("struct_specifier");
  bool constructor = false;
  bool default_constructor = false;
  if (const Node bases = structure.node.first("base_class_clause")) {
    for (const auto& base : bases.children()) {
      if (base.is("access_specifier")) continue;
      std::string base_name;
      const Known* known = base.is("template_type") || depth > 8 ? nullptr : find(written_out(std::string(base.text())), structure.scope, base_name);
      if (!known || known->node.is("enum_specifier") || !known->alias.empty()) {
        problem = "its base '" + std::string(base.text()) + "' is no struct of this file or of its headers";
        continue;
      }
      const bool hidden = bases.first("private") || bases.text().find("private") != std::string_view::npos || !is_public;
      if (hidden && bases.text().find("public") == std::string_view::npos) problem = "its base is private";
      std::string inner;
      const auto inherited = members(*known, base_name, inner, depth + 1);
      if (!inner.empty() && problem.empty()) problem = "its base '" + base_name + "': " + inner;
      out.insert(out.end(), inherited.begin(), inherited.end());
    }
  }
  for (const auto& node : structure.node.child("body").children()) {
    if (node.is("access_specifier")) {
      is_public = node.text().starts_with("public");
      continue;
    }
    const Node declarator = node.child("declarator");
    if (node.is("function_definition") || node.is("declaration")) {
      if (declarator.is("function_declarator") && declarator.child("declarator").text() == name) {
        constructor = true;
        default_constructor = default_constructor || declarator.child("parameters").children().empty();
      }
      continue;
    }
    if (!node.is("field_declaration")) continue;
    bool is_static = false;
    bool is_const = false;
    std::string type;
    for (const auto& child : node.children()) {
      if (child.is("storage_class_specifier")) is_static = is_static || child.text() == "static";
      is_const = is_const || (child.is("type_qualifier") && child.text().starts_with("const"));
      if (child.is("type_qualifier") || child.field_name() == "type") type += (type.empty() ? "" : " ") + std::string(child.text());
    }
    if (is_static) continue;
    if (node.child("type").is("union_specifier")) problem = "it has a union; use std::variant";
    // `double x = 1, y;` lists declarators and defaults side by side.
    Member* last = nullptr;
    for (const auto& child : node.children()) {
      if (child.field_name() == "declarator") {
        if (child.is("function_declarator")) {
          last = nullptr;
          continue;
        }
        const std::string member_name(child.text());
        if (!child.is("field_identifier")) problem = "its member '" + member_name + "' is a pointer, a reference or an array; use std::vector or std::array";
        else if (!is_public) problem = "it has private members";
        else if (is_const) problem = "its member '" + member_name + "' is const";
        else if (std::any_of(out.begin(), out.end(), [&](const Member& other) { return other.name == member_name; })) problem = "its member '" + member_name + "' is declared twice";
        else if (node.first("bitfield_clause")) problem = "its member '" + member_name + "' is a bit-field";
        if (!problem.empty()) continue;
        out.push_back({member_name, type, false, nullptr, "", member_doc(*structure.syntax, node), qualified});
        last = &out.back();
      } else if (child.field_name() == "default_value" && last) {
        last->has_default = true;
        const auto inner = child.children();
        const Node value = child.is("initializer_list") && inner.size() == 1 ? inner[0] : child;
        if (auto literal = cpp_literal(value)) last->default_value = std::move(*literal);
        last->default_text = value.text();
      }
    }
  }
  if (constructor && !default_constructor) problem = "it has constructors, but none without parameters";
  return out;
}

TypeSchema CppTypes::of_known(const Known& known, const std::string& qualified, std::vector<std::string>& used,
                              std::set<std::string>& open) const {
  if (!open.insert(qualified).second) {
    if (!known.alias.empty()) return refuse("type '" + qualified + "' names itself");
    // A struct that contains itself is described once; below that anything is accepted.
    TypeSchema anything;
    return anything;
  }
  struct Closer {
    std::set<std::string>& open;
    const std::string& name;
    ~Closer() { open.erase(name); }
  } closer{open, qualified};
  if (!known.alias.empty()) {
    CppType type;
    if (!parse(known.alias, type)) return refuse("type '" + known.alias + "' cannot be carried as JSON");
    return of(type, known.scope, used, open);
  }
  const auto remember = [&] {
    if (std::find(used.begin(), used.end(), qualified) == used.end()) used.push_back(qualified);
  };
  if (known.node.is("enum_specifier")) {
    json::array names;
    for (const auto& member : known.node.child("body").children()) {
      if (member.is("enumerator")) names.push_back(json::string(member.child("name").text()));
    }
    if (names.empty()) return refuse("enumeration '" + qualified + "' has no members");
    remember();
    return plain(enum_of(names));
  }
  if (known.node.is("union_specifier")) return refuse("'" + qualified + "' is a union; use std::variant");
  std::string problem;
  const auto list = members(known, qualified, problem);
  if (!problem.empty()) return refuse("'" + qualified + "' cannot be carried as JSON: " + problem);
  json::object properties;
  json::array required;
  for (const auto& member : list) {
    TypeSchema type;
    CppType parsed;
    if (!parse(member.type, parsed)) type = refuse("type '" + member.type + "' cannot be carried as JSON");
    else type = of(parsed, member.scope, used, open);
    if (type.is_context) type.problem = "the context can only be a parameter";
    if (!type.problem.empty()) return refuse("member '" + member.name + "' of '" + qualified + "': " + type.problem);
    if (member.has_default && !member.default_value.is_null()) {
      type.schema["default"] = member.default_value;
    } else if (member.has_default) {
      if (const auto name = enumerator(member.type, member.default_text, member.scope); !name.empty()) type.schema["default"] = name;
    }
    const std::string doc = type.doc.empty() || member.doc.empty() ? member.doc + type.doc : member.doc + " " + type.doc;
    if (!doc.empty()) type.schema["description"] = doc;
    properties[member.name] = std::move(type.schema);
    if (!member.has_default && parsed.name != "optional") required.push_back(json::string(member.name));
  }
  remember();
  json::object schema = of_type("object");
  schema["properties"] = std::move(properties);
  if (!required.empty()) schema["required"] = std::move(required);
  schema["additionalProperties"] = false;
  return plain(std::move(schema));
}

json::object CppTypes::glue_of(const std::string& qualified) const {
  json::object out;
  const auto found = known_.find(qualified);
  if (found == known_.end()) return out;
  const bool is_enum = found->second.node.is("enum_specifier");
  out["kind"] = is_enum ? "enum" : "struct";
  out["name"] = "::" + qualified;
  json::array list;
  if (is_enum) {
    const bool scoped = found->second.node.first("class") || found->second.node.first("struct");
    const std::size_t cut = qualified.rfind("::");
    const std::string prefix = scoped ? "::" + qualified : cut == std::string::npos ? std::string() : "::" + qualified.substr(0, cut);
    for (const auto& member : found->second.node.child("body").children()) {
      if (!member.is("enumerator")) continue;
      json::object one;
      one["name"] = member.child("name").text();
      one["value"] = prefix + "::" + std::string(member.child("name").text());
      list.push_back(std::move(one));
    }
  } else {
    std::string problem;
    for (const auto& member : members(found->second, qualified, problem)) {
      CppType parsed;
      json::object one;
      one["name"] = member.name;
      one["required"] = !member.has_default && !(parse(member.type, parsed) && parsed.name == "optional");
      list.push_back(std::move(one));
    }
  }
  out["members"] = std::move(list);
  return out;
}

}  // namespace sabir::schema
