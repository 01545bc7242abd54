#include <algorithm>

#include "cpp_types.h"
#include "doc.h"
#include "readers.h"
#include "sabir/base/text.h"

namespace sabir::schema {
namespace {

class Reader {
 public:
  explicit Reader(const Syntax& syntax) : syntax_(syntax), types_(syntax.root()) {}

  Description read() {
    body(syntax_.root(), "", 0);
    for (const auto& name : used_) out_.types.push_back(types_.glue_of(name));
    module_doc();
    return std::move(out_);
  }

 private:
  // A file comment: /** … */ or /// … with \file in it.
  void module_doc() {
    for (const auto& mark : {"\\file", "@file"}) {
      const std::size_t at = syntax_.source().find(mark);
      if (at == std::string_view::npos || at > 4000) continue;
      const std::size_t open = syntax_.source().rfind("/*", at);
      const std::size_t close = syntax_.source().find("*/", at);
      if (open == std::string_view::npos || close == std::string_view::npos) continue;
      std::vector<std::string> lines;
      for (const auto line : split_lines(syntax_.source().substr(open, close + 2 - open))) lines.emplace_back(line);
      out_.module_doc = doxygen_doc(lines).text;
      return;
    }
  }

  void body(const Node& list, const std::string& scope, int depth) {
    if (depth > 32) return;
    for (const auto& node : list.children()) {
      if (node.is("function_definition")) {
        function(node, node, scope);
      } else if (node.is("namespace_definition")) {
        const Node name = node.child("name");
        // What an unnamed namespace holds is the file's own.
        if (!name) continue;
        std::string text(name.text());
        text.erase(std::remove_if(text.begin(), text.end(), [](char c) { return c == ' '; }), text.end());
        body(node.child("body"), scope.empty() ? text : scope + "::" + text, depth + 1);
      } else if (node.is("linkage_specification")) {
        const Node inner = node.child("body");
        if (inner.is("function_definition")) function(inner, node, scope);
        else body(inner, scope, depth + 1);
      } else if (node.is("preproc_ifdef") || node.is("preproc_if")) {
        body(node, scope, depth + 1);
      } else if (node.is("template_declaration")) {
        const Node inner = node.first("function_definition");
        Node declarator = inner.child("declarator");
        while (declarator && !declarator.is("function_declarator")) declarator = declarator.child("declarator");
        const Node name = declarator.child("declarator");
        if (name.is("identifier")) {
          unavailable(std::string(name.text()), node, "a template has no single signature; write a function for one type that calls it");
        }
      }
    }
  }

  void unavailable(const std::string& name, const Node& at, std::string reason) {
    out_.unavailable.push_back({name, at.line(), std::move(reason)});
  }

  void function(const Node& node, const Node& outer, const std::string& scope) {
    bool is_static = false;
    std::string return_type;
    for (const auto& child : node.children()) {
      if (child.is("storage_class_specifier") && child.text() == "static") is_static = true;
      if (child.is("type_qualifier") && child.text() != "constexpr" && child.text() != "consteval") {
        return_type += std::string(child.text()) + " ";
      }
    }
    if (is_static) return;
    const Node type = node.child("type");
    return_type += std::string(type.text());
    Node declarator = node.child("declarator");
    while (declarator && !declarator.is("function_declarator")) {
      if (declarator.is("pointer_declarator")) return_type += "*";
      if (declarator.is("reference_declarator")) {
        const auto inner = declarator.children();
        declarator = inner.empty() ? Node() : inner.back();
        continue;  // a referenced result is copied
      }
      declarator = declarator.child("declarator");
    }
    const Node name = declarator.child("declarator");
    if (!name || name.text() == "main") return;
    if (name.is("operator_name") || (name.is("qualified_identifier") && name.text().find("operator") != std::string_view::npos)) {
      return unavailable(std::string(name.text()), node, "an operator has no name to call it by");
    }
    if (name.is("qualified_identifier")) {
      // Shop::add() {…} may be a member function; a namespace's function is better written inside it.
      if (type) unavailable(std::string(name.text()), node, "it is defined outside its class or namespace; a namespace's function is served when it is written inside `namespace … { }`");
      return;
    }
    if (!name.is("identifier") || !type) return;
    if (!node.child("body")) return;  // = delete, = default

    FunctionSchema function;
    function.name = name.text();
    function.canonical = to_snake_case(function.name);
    function.receiver = scope;
    function.line = name.line();
    if (function.name.starts_with('_')) return;
    const Doc doc = doxygen_doc(syntax_.comment_above(outer.row()));
    if (doc.is_private) return;
    doc.apply(function);

    if (const Node trailing = declarator.first("trailing_return_type")) {
      const auto inner = trailing.children();
      return_type = inner.empty() ? "auto" : std::string(inner.back().text());
    }
    std::vector<std::string> used;
    if (auto problem = parameters(declarator.child("parameters"), scope, doc, function, used); !problem.empty()) {
      return unavailable(function.name, name, std::move(problem));
    }
    CppType parsed;
    if (CppTypes::parse(return_type, parsed) && parsed.pointers == 0) parsed.is_const = true;
    TypeSchema result = return_type.ends_with('&')
                            ? types_.resolve("const " + return_type, scope, used)
                            : types_.resolve(return_type, scope, used);
    if (result.is_context) result.problem = "the context cannot be a result";
    if (parsed.name == "string_view") result.problem = "a std::string_view may outlive its text; return std::string";
    if (!result.problem.empty()) return unavailable(function.name, name, "its result: " + result.problem);
    function.native_return = return_type;
    function.output_schema = std::move(result.schema);
    make_input_schema(function);
    const std::size_t before = out_.functions.size();
    add_function(out_, std::move(function));
    if (out_.functions.size() == before) {
      out_.unavailable.back().reason += "; an overload needs a name of its own";
      return;
    }
    for (const auto& one : used) {
      if (std::find(used_.begin(), used_.end(), one) == used_.end()) used_.push_back(one);
    }
  }

  // The reason why the function cannot be served; "" = it can.
  std::string parameters(const Node& list, const std::string& scope, const Doc& doc, FunctionSchema& function,
                         std::vector<std::string>& used) {
    if (list.first("...")) return "it takes a variable number of arguments";
    int number = 0;
    for (const auto& node : list.children()) {
      ++number;
      const std::string which = "its parameter " + std::to_string(number);
      if (node.text() == "void") continue;  // f(void)
      if (!node.is("parameter_declaration") && !node.is("optional_parameter_declaration")) {
        return "it takes a variable number of arguments";
      }
      Parameter parameter;
      std::string type;
      for (const auto& child : node.children()) {
        if (child.is("type_qualifier") || child.field_name() == "type") type += (type.empty() ? "" : " ") + std::string(child.text());
      }
      std::string suffix;
      Node declarator = node.child("declarator");
      while (declarator && !declarator.is("identifier")) {
        if (declarator.is("reference_declarator") || declarator.is("abstract_reference_declarator")) {
          suffix += declarator.text().starts_with("&&") ? "&&" : "&";
          const auto inner = declarator.children();
          declarator = inner.empty() ? Node() : inner.back();
          continue;
        }
        if (declarator.is("pointer_declarator") || declarator.is("abstract_pointer_declarator")) suffix += "*";
        else if (declarator.is("array_declarator")) return which + " '" + std::string(node.text()) + "': a C array says nothing of its length; use std::vector or std::array";
        else if (declarator.is("function_declarator")) return which + " '" + std::string(node.text()) + "': a function cannot be carried as JSON";
        declarator = declarator.child("declarator");
      }
      if (!declarator) return which + " '" + std::string(node.text()) + "' has no name";
      parameter.name = declarator.text();
      parameter.canonical = to_snake_case(parameter.name);
      const std::string named = "its parameter '" + parameter.name + "' (line " + std::to_string(declarator.line()) + "): ";
      TypeSchema resolved = types_.resolve(type + suffix, scope, used);
      if (!resolved.problem.empty()) return named + resolved.problem;
      if (resolved.is_none) return named + "void is no type of a parameter";
      parameter.is_context = resolved.is_context;
      parameter.schema = std::move(resolved.schema);
      if (const auto documented = doc.parameters.find(parameter.name); documented != doc.parameters.end()) {
        parameter.doc = documented->second.text;
      }
      CppType parsed;
      CppTypes::parse(type, parsed);
      std::string value_type = type;
      if (value_type.starts_with("const ")) value_type = value_type.substr(6);
      if (value_type.ends_with(" const")) value_type = value_type.substr(0, value_type.size() - 6);
      parameter.native_type = parsed.name == "string_view" ? "std::string" : value_type;
      if (const Node value = node.child("default_value")) {
        parameter.required = false;
        parameter.native_default = value.text();
        if (auto literal = cpp_literal(value)) parameter.default_value = std::move(*literal);
      }
      if (parameter.is_context) {
        parameter.required = false;
        parameter.schema = {};
      }
      function.parameters.push_back(std::move(parameter));
    }
    return {};
  }

  const Syntax& syntax_;
  CppTypes types_;
  std::vector<std::string> used_;
  Description out_;
};

}  // namespace

Description describe_cpp(const Syntax& syntax) { return Reader(syntax).read(); }

}  // namespace sabir::schema
