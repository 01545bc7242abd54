#include <algorithm>
#include <map>

#include "cpp_headers.h"
#include "cpp_types.h"
#include "doc.h"
#include "readers.h"
#include "sabir/base/text.h"

namespace sabir::schema {
namespace {

class Reader {
 public:
  Reader(const Syntax& syntax, const ReadOther& read_other, Written written)
      : syntax_(syntax), written_(written), headers_(cpp_headers(syntax, syntax.file(), read_other)) {
    for (const auto& header : headers_) {
      types_.add(*header.syntax);
      declarations(*header.syntax, header.syntax->root(), "", 0);
      out_.depends.push_back(header.path);
    }
    types_.add(syntax);
    declarations(syntax, syntax.root(), "", 0);
  }

  Description read() {
    out_.defines = types_.defines();
    body(syntax_.root(), "", 0);
    for (const auto& name : used_) out_.types.push_back(types_.glue_of(name));
    module_doc();
    return std::move(out_);
  }

 private:
  // `double area(double width, double height = 1);`: where C++ keeps defaults and comments.
  struct Declared {
    Node list;  // of its parameters
    const Syntax* syntax;
    int row;
  };

  void declarations(const Syntax& syntax, const Node& list, const std::string& scope, int depth) {
    if (depth > 32) return;
    for (const auto& node : list.children()) {
      if (node.is("namespace_definition")) {
        const Node name = node.child("name");
        if (name) declarations(syntax, node.child("body"), scope.empty() ? std::string(name.text()) : scope + "::" + std::string(name.text()), depth + 1);
      } else if (node.is("linkage_specification")) {
        declarations(syntax, node.child("body"), scope, depth + 1);
      } else if (node.is("preproc_ifdef") || node.is("preproc_if")) {
        declarations(syntax, node, scope, depth + 1);
      } else if (node.is("declaration")) {
        Node declarator = node.child("declarator");
        while (declarator.is("pointer_declarator") || declarator.is("reference_declarator")) {
          const auto inner = declarator.children();
          declarator = inner.empty() ? Node() : inner.back();
        }
        if (!declarator.is("function_declarator")) continue;
        const std::string name(declarator.child("declarator").text());
        declared_.emplace(scope.empty() ? name : scope + "::" + name, Declared{declarator.child("parameters"), &syntax, node.row()});
      }
    }
  }

  // The declaration of a function by its qualified name and its parameters' types; nullptr when there is none.
  const Declared* declared(const std::string& qualified, const Node& list) const {
    const auto types_of = [](const Node& parameters) {
      std::vector<std::string> out;
      for (const auto& one : parameters.children()) {
        std::string text;
        for (const auto& child : one.children()) {
          if (child.is("type_qualifier") || child.field_name() == "type") text += std::string(child.text()) + " ";
        }
        out.push_back(std::move(text));
      }
      return out;
    };
    const auto [from, to] = declared_.equal_range(qualified);
    for (auto at = from; at != to; ++at) {
      if (types_of(at->second.list) == types_of(list)) return &at->second;
    }
    return nullptr;
  }

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
      } else if (node.is("declaration") && written_ == Written::kBefore && declares_function(node)) {
        function(node, node, scope);
      } else if (node.is("declaration") && scope.empty()) {
        constant(node);
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

  // `double area(const Shape& shape);`, as headers have it.
  static bool declares_function(const Node& node) {
    Node declarator = node.child("declarator");
    while (declarator && !declarator.is("function_declarator")) {
      if (declarator.is("reference_declarator")) {
        const auto inner = declarator.children();
        declarator = inner.empty() ? Node() : inner.back();
      } else if (declarator.is("pointer_declarator")) {
        declarator = declarator.child("declarator");
      } else {
        return false;
      }
    }
    return declarator && declarator.child("declarator").is("identifier");
  }

  // const std::string instructions = "…"; of the file's own scope. kMaxSteps is max_steps too.
  void constant(const Node& node) {
    const auto children = node.children();
    if (std::none_of(children.begin(), children.end(), [](const Node& c) { return c.is("type_qualifier") && c.text().starts_with("const"); })) return;
    for (const auto& declared : children) {
      if (!declared.is("init_declarator")) continue;
      Node name = declared.child("declarator");
      while (name.is("pointer_declarator") || name.is("array_declarator")) name = name.child("declarator");
      if (!name.is("identifier")) continue;
      std::string text(name.text());
      if (text.size() > 1 && text[0] == 'k' && text[1] >= 'A' && text[1] <= 'Z') text.erase(0, 1);
      const Node value = declared.child("value");
      auto literal = value.is("initializer_list") && value.children().empty() ? std::optional<json::value>(json::array()) : cpp_literal(value);
      if (!literal) continue;
      // std::map and its kin are written as a list of pairs.
      if (literal->is_array() && node.child("type").text().find("map<") != std::string_view::npos) {
        json::object pairs;
        for (auto& pair : literal->get_array()) {
          if (pair.is_array() && pair.get_array().size() == 2 && pair.get_array()[0].is_string()) pairs[pair.get_array()[0].get_string()] = pair.get_array()[1];
        }
        literal = std::move(pairs);
      }
      out_.constants[to_snake_case(text)] = std::move(*literal);
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
    if (!node.is("declaration") && !node.child("body")) return;  // = delete, = default

    FunctionSchema function;
    function.name = name.text();
    function.canonical = to_snake_case(function.name);
    function.receiver = scope;
    function.line = name.line();
    if (function.name.starts_with('_')) return;
    const Declared* const before = declared(scope.empty() ? function.name : scope + "::" + function.name, declarator.child("parameters"));
    auto comment = syntax_.comment_above(outer.row());
    if (comment.empty() && before) comment = before->syntax->comment_above(before->row);
    const Doc doc = doxygen_doc(comment);
    if (doc.is_private) return;
    doc.apply(function);

    if (const Node trailing = declarator.first("trailing_return_type")) {
      const auto inner = trailing.children();
      return_type = inner.empty() ? "auto" : std::string(inner.back().text());
    }
    std::vector<std::string> used;
    if (auto problem = parameters(declarator.child("parameters"), before ? before->list : Node(), scope, doc, function, used); !problem.empty()) {
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
    if (function.is_generator) {
      if (!result.is_none) return unavailable(function.name, name, "its result: a function with a sabir::Yield gives its values there and returns void");
    } else {
      function.output_schema = std::move(result.schema);
      if (function.return_doc.empty()) function.return_doc = result.doc;
    }
    make_input_schema(function);
    const std::size_t count = out_.functions.size();
    add_function(out_, std::move(function), written_);
    if (out_.functions.size() == count) {
      out_.unavailable.back().reason += "; an overload needs a name of its own";
      return;
    }
    for (const auto& one : used) {
      if (std::find(used_.begin(), used_.end(), one) == used_.end()) used_.push_back(one);
    }
  }

  // The reason why the function cannot be served; "" = it can.
  std::string parameters(const Node& list, const Node& declared_list, const std::string& scope, const Doc& doc, FunctionSchema& function,
                         std::vector<std::string>& used) {
    if (list.first("...")) return "it takes a variable number of arguments";
    int number = 0;
    const auto declared_before = declared_list.children();
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
      CppType parsed;
      CppTypes::parse(type, parsed);
      if (const auto filled = filled_with(parsed, suffix, scope, function, used); !filled.problem.empty()) {
        return named + filled.problem;
      } else if (filled.is_context) {
        parameter.is_context = true;
        parameter.required = false;
        parameter.filled_with = filled.doc;
        parameter.native_type = filled.doc == "yield" && !parsed.arguments.empty() ? type.substr(type.find('<') + 1, type.rfind('>') - type.find('<') - 1) : "std::stop_token";
        function.parameters.push_back(std::move(parameter));
        continue;
      }
      TypeSchema resolved = types_.resolve(type + suffix, scope, used);
      if (!resolved.problem.empty()) return named + resolved.problem;
      if (resolved.is_none) return named + "void is no type of a parameter";
      parameter.is_context = resolved.is_context;
      parameter.schema = std::move(resolved.schema);
      if (const auto documented = doc.parameters.find(parameter.name); documented != doc.parameters.end()) {
        parameter.doc = documented->second.text;
      }
      if (!resolved.doc.empty()) parameter.doc += (parameter.doc.empty() ? "" : " ") + resolved.doc;
      std::string value_type = type;
      if (value_type.starts_with("const ")) value_type = value_type.substr(6);
      if (value_type.ends_with(" const")) value_type = value_type.substr(0, value_type.size() - 6);
      parameter.native_type = parsed.name == "string_view" ? "std::string" : value_type;
      // What a span looks at has to lie somewhere.
      if (parsed.name == "span" && value_type.find('<') != std::string::npos) {
        std::string items = value_type.substr(value_type.find('<') + 1, value_type.rfind('>') - value_type.find('<') - 1);
        items = trim(items);
        if (items.starts_with("const ")) items.erase(0, 6);
        if (items.ends_with(" const")) items.resize(items.size() - 6);
        parameter.native_type = "std::vector<" + items + ">";
      }
      Node value = node.child("default_value");
      if (!value && static_cast<std::size_t>(number) <= declared_before.size()) value = declared_before[static_cast<std::size_t>(number) - 1].child("default_value");
      if (value) {
        parameter.required = false;
        parameter.native_default = value.text();
        if (auto literal = cpp_literal(value)) parameter.default_value = std::move(*literal);
        else if (const auto name = types_.enumerator(type, value.text(), scope); !name.empty()) parameter.default_value = json::string(name);
      }
      if (parameter.is_context) {
        parameter.required = false;
        parameter.schema = {};
      }
      function.parameters.push_back(std::move(parameter));
    }
    return {};
  }

  // A parameter that the worker fills in: TypeSchema::is_context, with "stop" or "yield" as its `doc`.
  TypeSchema filled_with(const CppType& type, const std::string& suffix, const std::string& scope, FunctionSchema& function,
                         std::vector<std::string>& used) const {
    TypeSchema out;
    if (type.name == "stop_token") {
      out.is_context = true;
      out.doc = "stop";
    } else if (type.name == "sabir::Yield" || type.name == "Yield") {
      if (type.arguments.size() != 1) out.problem = "sabir::Yield needs the type of what it gives";
      else if (suffix != "&" || !type.is_const) out.problem = "write it as const sabir::Yield<T>&";
      else if (function.is_generator) out.problem = "a function yields through one sabir::Yield";
      if (!out.problem.empty()) return out;
      const std::size_t before = used.size();
      TypeSchema item = types_.resolve(text_of(type.arguments[0]), scope, used);
      if (!item.problem.empty()) {
        used.resize(before);
        out.problem = item.problem;
        return out;
      }
      function.is_generator = true;
      function.output_schema = array_of(std::move(item.schema));
      out.is_context = true;
      out.doc = "yield";
    }
    return out;
  }

  static std::string text_of(const CppType& type) {
    std::string out = (type.is_const ? "const " : "") + (type.number.empty() ? type.name : type.number);
    for (std::size_t i = 0; i < type.arguments.size(); ++i) out += (i == 0 ? "<" : ", ") + text_of(type.arguments[i]);
    if (!type.arguments.empty()) out += ">";
    return out + std::string(static_cast<std::size_t>(type.pointers), '*') + std::string(static_cast<std::size_t>(type.references), '&');
  }

  const Syntax& syntax_;
  const Written written_;
  std::vector<CppHeader> headers_;
  std::multimap<std::string, Declared> declared_;
  CppTypes types_;
  std::vector<std::string> used_;
  Description out_;
};

}  // namespace

Description describe_cpp(const Syntax& syntax, const ReadOther& read_other, Written written) { return Reader(syntax, read_other, written).read(); }

}  // namespace sabir::schema
