// Java: a class of static methods over the types that need no look at other files. Must say what
// languages/java/tools/sabir/tools/Describe.java says.
#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <set>
#include <vector>

#include "sabir/base/text.h"
#include "sabir/schema/plain.h"
#include "syntax.h"

namespace sabir::schema {
namespace {

constexpr int kDeepest = 200;

// What javac's parser takes wherever this grammar takes it, or is looked at closer in is_plain_node().
const std::set<std::string_view>& plain_kinds() {
  static const std::set<std::string_view> kinds = {
      "program", "import_declaration", "scoped_identifier", "asterisk", "class_declaration", "class_body", "method_declaration", "modifiers",
      "formal_parameters", "formal_parameter", "throws", "block", "line_comment", "block_comment", "identifier", "type_identifier",
      "scoped_type_identifier", "generic_type", "type_arguments", "wildcard", "array_type", "dimensions", "void_type", "integral_type",
      "floating_point_type", "boolean_type", "local_variable_declaration", "variable_declarator", "expression_statement", "return_statement",
      "if_statement", "for_statement", "enhanced_for_statement", "while_statement", "break_statement", "continue_statement", "throw_statement",
      "try_statement", "catch_clause", "catch_formal_parameter", "catch_type", "finally_clause", "method_invocation", "argument_list",
      "object_creation_expression", "array_creation_expression", "dimensions_expr", "array_initializer", "array_access", "field_access",
      "assignment_expression", "binary_expression", "unary_expression", "update_expression", "ternary_expression", "cast_expression",
      "parenthesized_expression", "lambda_expression", "inferred_parameters", "method_reference", "string_literal", "string_fragment",
      "escape_sequence", "character_literal", "decimal_integer_literal", "decimal_floating_point_literal", "true", "false", "null_literal", "this"};
  return kinds;
}

const std::map<std::string_view, std::string_view>& own_types() {
  static const std::map<std::string_view, std::string_view> types = {
      {"String", "java.lang.String"}, {"CharSequence", "java.lang.CharSequence"}, {"Object", "java.lang.Object"}, {"Number", "java.lang.Number"},
      {"Integer", "java.lang.Integer"}, {"Long", "java.lang.Long"}, {"Short", "java.lang.Short"}, {"Byte", "java.lang.Byte"},
      {"Double", "java.lang.Double"}, {"Float", "java.lang.Float"}, {"Boolean", "java.lang.Boolean"}, {"Character", "java.lang.Character"}};
  return types;
}

const std::set<std::string_view>& util_types() {
  static const std::set<std::string_view> types = {"List", "Collection", "Set", "Map", "UUID"};
  return types;
}

bool is_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_plain_name(std::string_view name) {
  static const std::set<std::string_view> reserved = {"_", "goto", "const", "strictfp", "enum", "assert", "record", "yield", "sealed", "permits", "when", "var"};
  const auto plain = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$'; };
  return !name.empty() && std::all_of(name.begin(), name.end(), plain) && !reserved.contains(name);
}

bool is_comment(const Node& node) { return node.is("line_comment") || node.is("block_comment"); }

// Named children, comments left out.
std::vector<Node> parts_of(const Node& node) {
  auto out = node.children();
  std::erase_if(out, is_comment);
  return out;
}

// What can stand alone as a statement.
bool is_statement_expression(const Node& node) {
  return node.is("method_invocation") || node.is("assignment_expression") || node.is("update_expression") || node.is("object_creation_expression");
}

// Nothing twice, nothing but `allowed`.
bool are_modifiers(const Node& node, const std::set<std::string_view>& allowed, std::set<std::string_view>& out) {
  if (!node) return true;
  std::string_view rest = node.text();
  while (!(rest = trim(rest)).empty()) {
    const auto word = rest.substr(0, std::min(rest.find_first_of(" \t\n"), rest.size()));
    if (!allowed.contains(word) || !out.insert(word).second) return false;
    rest.remove_prefix(word.size());
  }
  return true;
}

// javac refuses more than the grammar does; what it might refuse is not plain.
bool is_plain_node(const Node& node) {
  const auto kind = node.kind();
  const auto text = node.text();
  const Node parent = node.parent();
  if (kind == "identifier") return is_plain_name(text);
  if (kind == "type_identifier") return is_plain_name(text) || (text == "var" && (parent.is("local_variable_declaration") || parent.is("enhanced_for_statement")));
  if (kind == "decimal_integer_literal") {
    const auto digits = text.ends_with('L') ? text.substr(0, text.size() - 1) : text;
    return is_digits(digits) && digits.size() <= 9 && (digits.size() == 1 || digits.front() != '0');
  }
  if (kind == "decimal_floating_point_literal") {
    const auto point = text.find('.');
    return text.size() <= 16 && point != std::string_view::npos && is_digits(text.substr(0, point)) && is_digits(text.substr(point + 1));
  }
  if (kind == "escape_sequence") return text.size() == 2 && std::string_view("ntrbf\"'\\").find(text[1]) != std::string_view::npos;
  if (kind == "character_literal") {
    return (text.size() == 3 && text[1] != '\'' && text[1] != '\\') ||
           (text.size() == 4 && text[1] == '\\' && std::string_view("ntrbf\"'\\").find(text[2]) != std::string_view::npos);
  }
  if (kind == "string_literal") return !text.starts_with("\"\"\"");
  if (kind == "expression_statement") {
    const auto parts = parts_of(node);
    return parts.size() == 1 && is_statement_expression(parts.front());
  }
  if (kind == "for_statement") {
    for (const char* field : {"init", "update"}) {
      for (const auto& one : node.children_of(field)) {
        if (one.is_named() && !one.is("local_variable_declaration") && !is_statement_expression(one)) return false;
      }
    }
    return true;
  }
  if (kind == "local_variable_declaration") {
    if (!parent.is("block") && !parent.is("for_statement")) return false;
    if (node.child("type").text() != "var") return true;
    const auto declarators = node.children_of("declarator");
    return declarators.size() == 1 && !declarators.front().child("dimensions") && declarators.front().child("value") &&
           !declarators.front().child("value").is("array_initializer");
  }
  if (kind == "lambda_expression") {
    const Node parameters = node.child("parameters");
    return parameters.is("identifier") || parameters.is("inferred_parameters");
  }
  if (kind == "modifiers" && !parent.is("class_declaration") && !parent.is("method_declaration")) return text == "final";
  if (kind == "class_body") return parent.is("class_declaration") && parent.parent().is("program");
  // Elsewhere than in a header an array's brackets stand with its type.
  if (kind == "dimensions") return parent.is("array_type") || parent.is("array_creation_expression");
  return true;
}

bool is_plain_tree(const Node& node, int depth) {
  if (depth > kDeepest) return false;
  if (node.is_named() && (!plain_kinds().contains(node.kind()) || !is_plain_node(node))) return false;
  const auto children = node.children();
  return std::all_of(children.begin(), children.end(), [&](const Node& child) { return is_plain_tree(child, depth + 1); });
}

// A Javadoc comment without inline tags and markup.
struct Javadoc {
  std::string text;  // with the engine's own tags, as lines of their own
  std::map<std::string, std::string> parameters;
  std::string returns;
};

std::string one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view(" \t\n\f\v").find(c) == std::string_view::npos) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  return std::string(trim(out));
}

// Nothing where it says more than is read here.
std::optional<Javadoc> read_javadoc(std::string_view comment) {
  static const std::set<std::string_view> own = {"effect", "timeout", "secret", "secrets", "idempotent", "concurrency", "retries"};
  static const std::set<std::string_view> silent = {"author", "since", "version"};
  // Blanks that are no ASCII are stripped by Java.
  for (const std::string_view blank : {"\xe1\x9a\x80", "\xe2\x80", "\xe2\x81", "\xe3\x80\x80", "\xc2\x85"}) {
    if (comment.find(blank) != std::string_view::npos) return std::nullopt;
  }
  if (comment.size() < 6 || comment.find_first_of("{}<>&\\`\v\f") != std::string_view::npos) return std::nullopt;
  comment = comment.substr(3, comment.size() - 5);
  Javadoc out;
  std::string body;
  std::vector<std::pair<std::string, std::string>> tags;
  bool first = true;
  for (auto line : split_lines(comment)) {
    line = trim(line);
    if (!first && line.starts_with('*')) line = trim(line.substr(1));
    first = false;
    if (line.starts_with('*') || line.ends_with('*')) return std::nullopt;
    if (line.starts_with('@')) {
      const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
      tags.emplace_back(line.substr(1, end - 1), line.substr(end));
      if (line.substr(end).find('@') != std::string_view::npos) return std::nullopt;
      continue;
    }
    if (line.find('@') != std::string_view::npos) return std::nullopt;
    (tags.empty() ? body : tags.back().second) += "\n" + std::string(line);
  }
  std::string all(trim(body));
  for (const auto& [name, said] : tags) {
    if (name == "param") {
      const auto rest = trim(said);
      const std::size_t end = std::min(rest.find_first_of(" \t\n"), rest.size());
      if (!is_plain_name(rest.substr(0, end))) return std::nullopt;
      out.parameters[std::string(rest.substr(0, end))] = one_line(rest.substr(end));
    } else if (name == "return") {
      out.returns = one_line(said);
      if (out.returns.empty()) return std::nullopt;
    } else if (own.contains(name)) {
      std::string title = name;
      title[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(title[0])));
      all += (all.ends_with('\n') ? "" : "\n\n") + title + ": " + one_line(said) + "\n";
    } else if (!silent.contains(name)) {
      return std::nullopt;
    }
  }
  for (std::size_t at = all.find("\n\n\n"); at != std::string::npos; at = all.find("\n\n\n", at)) all.erase(at, 1);
  out.text = trim(all);
  return out;
}

class Reader {
 public:
  Reader(const Syntax& syntax, std::string stem) : syntax_(syntax), stem_(std::move(stem)) {}

  std::optional<json::object> read() {
    const Node root = syntax_.root();
    if (root.has_error() || !is_plain_tree(root, 0)) return std::nullopt;
    Node type;
    for (const auto& part : parts_of(root)) {
      if (part.is("import_declaration") && !type) {
        if (!read_import(part)) return std::nullopt;
      } else if (part.is("class_declaration") && !type) {
        type = part;
      } else {
        return std::nullopt;
      }
    }
    std::set<std::string_view> modifiers;
    if (!type || !are_modifiers(type.first("modifiers"), {"public", "final"}, modifiers) || type.child("superclass") || type.child("interfaces") ||
        type.child("permits") || type.child("type_parameters") || type.child("name").text() != stem_ || own_types().contains(stem_) || util_types().contains(stem_)) {
      return std::nullopt;
    }
    const auto doc = doc_of(type);
    if (!doc || has_comment_in_header(type)) return std::nullopt;
    json::array functions;
    for (const auto& member : parts_of(type.child("body"))) {
      if (!member.is("method_declaration") || !read_method(member, functions)) return std::nullopt;
    }
    return json::object{{"module_doc", doc->text}, {"constants", json::object()}, {"functions", std::move(functions)}, {"unavailable", json::array()}, {"depends", json::array()}};
  }

 private:
  bool read_import(const Node& node) {
    std::string name = one_line(node.text());
    if (!name.starts_with("import ") || !name.ends_with(';')) return false;
    name = trim(std::string_view(name).substr(7, name.size() - 8));
    if (name.starts_with("static ")) return name.find('*') == std::string::npos;
    if (name == "java.util.*") {
      all_of_util_ = true;
      return true;
    }
    if (name.find_first_of("* \t/") != std::string::npos || name.find('.') == std::string::npos) return false;
    imports_[name.substr(name.rfind('.') + 1)] = name;
    return true;
  }

  // The doc comment before a declaration; "" where there is none, nothing where it is not plain.
  std::optional<Javadoc> doc_of(const Node& node) const {
    std::vector<Node> before;
    for (Node at(&syntax_, node.parent().index() + 1); at && at.index() < node.index(); at = at.next()) {
      if (!is_comment(at)) {
        before.clear();
      } else if (at.is("block_comment") && at.text().starts_with("/**")) {
        before.push_back(at);
      }
    }
    if (before.empty()) return Javadoc();
    return before.size() == 1 ? read_javadoc(before.front().text()) : std::nullopt;
  }

  bool has_comment_in_header(const Node& node) const {
    const auto header = syntax_.source().substr(node.start(), node.child("body").start() - node.start());
    return header.find("/*") != std::string_view::npos || header.find("//") != std::string_view::npos;
  }

  bool read_method(const Node& node, json::array& functions) {
    static const std::set<std::string_view> known = {"public", "protected", "private", "static", "final", "synchronized"};
    std::set<std::string_view> modifiers;
    if (!are_modifiers(node.first("modifiers"), known, modifiers) || !node.child("body") || node.child("type_parameters") || node.child("dimensions")) return false;
    if (!modifiers.contains("public")) return true;
    const std::string name(node.child("name").text());
    if (!modifiers.contains("static") || modifiers.contains("private") || modifiers.contains("protected") || name == "main" || !names_.insert(name).second ||
        has_comment_in_header(node)) {
      return false;
    }
    const auto doc = doc_of(node);
    if (!doc) return false;
    json::array parameters;
    std::set<std::string_view> seen;
    for (const auto& one : parts_of(node.child("parameters"))) {
      const Node type = one.child("type");
      if (!one.is("formal_parameter") || one.child("dimensions") || type.is("void_type") || !seen.insert(one.child("name").text()).second) return false;
      auto schema = schema_of(type, 0);
      if (!schema) return false;
      const std::string own(one.child("name").text());
      const auto said = doc->parameters.find(own);
      const std::string text = said == doc->parameters.end() ? "" : said->second;
      std::string lower(text);
      std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      if (lower.find("(default") != std::string::npos) return false;
      json::object parameter{{"name", own}, {"type", type.text()}, {"required", true}, {"doc", text}};
      if (!schema->empty()) parameter["schema"] = std::move(*schema);
      parameters.push_back(std::move(parameter));
    }
    const Node type = node.child("type");
    auto schema = schema_of(type, 0);
    if (!schema) return false;
    functions.push_back(json::object{{"name", name},
                                     {"line", type.end_row() + 1},
                                     {"doc", doc->text},
                                     {"result", json::object{{"schema", std::move(*schema)}, {"type", type.text()}, {"doc", doc->returns}}},
                                     {"parameters", std::move(parameters)},
                                     {"warnings", json::array()}});
    return true;
  }

  static json::object whole(std::int64_t least, std::int64_t most) { return {{"type", "integer"}, {"minimum", least}, {"maximum", most}}; }

  static std::optional<json::object> primitive(std::string_view name) {
    if (name == "boolean") return json::object{{"type", "boolean"}};
    if (name == "byte") return whole(-128, 127);
    if (name == "short") return whole(-32768, 32767);
    if (name == "int") return whole(-2147483648LL, 2147483647LL);
    if (name == "long") return json::object{{"type", "integer"}};
    if (name == "float" || name == "double") return json::object{{"type", "number"}};
    if (name == "char") return json::object{{"type", "string"}, {"minLength", 1}, {"maxLength", 1}};
    if (name == "void") return json::object{{"type", "null"}};
    return std::nullopt;
  }

  // What stands for one of the JDK's types; "" for any other.
  std::string full_name(std::string_view name) const {
    if (const auto found = imports_.find(std::string(name)); found != imports_.end()) return found->second;
    if (const auto found = own_types().find(name); found != own_types().end()) return std::string(found->second);
    return all_of_util_ && util_types().contains(name) ? "java.util." + std::string(name) : "";
  }

  static std::optional<json::object> simple(const std::string& full) {
    static const std::map<std::string_view, std::string_view> boxed = {
        {"java.lang.Integer", "int"}, {"java.lang.Long", "long"}, {"java.lang.Short", "short"}, {"java.lang.Byte", "byte"},
        {"java.lang.Double", "double"}, {"java.lang.Float", "float"}, {"java.lang.Boolean", "boolean"}, {"java.lang.Character", "char"}};
    if (const auto found = boxed.find(full); found != boxed.end()) return primitive(found->second);
    if (full == "java.lang.String" || full == "java.lang.CharSequence") return json::object{{"type", "string"}};
    if (full == "java.lang.Object") return json::object();
    if (full == "java.lang.Number" || full == "java.math.BigDecimal") return json::object{{"type", "number"}};
    if (full == "java.math.BigInteger") return json::object{{"type", "integer"}};
    if (full == "java.util.UUID") return json::object{{"type", "string"}, {"format", "uuid"}};
    if (full == "java.time.LocalDate") return json::object{{"type", "string"}, {"format", "date"}};
    return std::nullopt;
  }

  static json::object array_of(json::object items) {
    json::object out{{"type", "array"}};
    if (!items.empty()) out["items"] = std::move(items);
    return out;
  }

  std::optional<json::object> schema_of(const Node& type, int depth) const {
    if (depth > 16) return std::nullopt;
    if (type.is("integral_type") || type.is("floating_point_type") || type.is("boolean_type") || type.is("void_type")) return primitive(type.text());
    if (type.is("type_identifier")) return simple(full_name(type.text()));
    if (type.is("array_type")) {
      const Node element = type.child("element");
      const auto brackets = one_line(type.child("dimensions").text());
      if (brackets != "[]" || element.is("array_type")) return std::nullopt;
      if (element.text() == "byte") return json::object{{"type", "string"}, {"contentEncoding", "base64"}};
      auto items = schema_of(element, depth + 1);
      if (!items) return std::nullopt;
      return array_of(std::move(*items));
    }
    if (!type.is("generic_type")) return std::nullopt;
    const auto parts = parts_of(type);
    if (parts.size() != 2 || !parts[0].is("type_identifier") || !parts[1].is("type_arguments")) return std::nullopt;
    const std::string full = full_name(parts[0].text());
    const auto arguments = parts_of(parts[1]);
    if (full == "java.util.Map") {
      if (arguments.size() != 2 || full_name(arguments[0].text()) != "java.lang.String") return std::nullopt;
      auto values = schema_of(arguments[1], depth + 1);
      if (!values) return std::nullopt;
      json::object out{{"type", "object"}};
      if (!values->empty()) out["additionalProperties"] = std::move(*values);
      return out;
    }
    if ((full != "java.util.List" && full != "java.util.Collection" && full != "java.util.Set") || arguments.size() != 1) return std::nullopt;
    auto items = schema_of(arguments[0], depth + 1);
    if (!items) return std::nullopt;
    auto out = array_of(std::move(*items));
    if (full == "java.util.Set") out["uniqueItems"] = true;
    return out;
  }

  const Syntax& syntax_;
  const std::string stem_;
  bool all_of_util_ = false;
  std::map<std::string, std::string> imports_;
  std::set<std::string> names_;
};

}  // namespace

std::optional<json::object> describe_plain(std::string_view reader, std::string_view source, const std::string& file) {
  if (reader != "java") return std::nullopt;
  // Unicode escapes may be anything anywhere; other line ends are for the program to count.
  if (source.find("\\u") != std::string_view::npos || source.find_first_of(std::string_view("\r\0\x1a", 3)) != std::string_view::npos || source.starts_with("\xef\xbb\xbf") ||
      find_invalid_utf8(source) != std::string_view::npos) {
    return std::nullopt;
  }
  const auto syntax = Syntax::parse("java", source, file);
  if (!syntax) return std::nullopt;
  std::string stem = file.substr(file.rfind('/') + 1);
  if (!stem.ends_with(".java")) return std::nullopt;
  stem.resize(stem.size() - 5);
  auto out = Reader(**syntax, std::move(stem)).read();
  if (out) (*out)["path"] = file;
  return out;
}

bool hides_plain_types(std::string_view reader, std::string_view source) {
  if (reader != "java") return true;
  const auto in_name = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$'; };
  for (const std::string_view keyword : {"class", "record", "enum", "interface"}) {
    for (std::size_t at = source.find(keyword); at != std::string_view::npos; at = source.find(keyword, at + 1)) {
      std::size_t begin = at + keyword.size();
      while (begin < source.size() && std::isspace(static_cast<unsigned char>(source[begin])) != 0) ++begin;
      std::size_t end = begin;
      while (end < source.size() && in_name(source[end])) ++end;
      const auto name = source.substr(begin, end - begin);
      if (own_types().contains(name) || util_types().contains(name)) return true;
    }
  }
  return source.find("\\u") != std::string_view::npos;
}

}  // namespace sabir::schema
