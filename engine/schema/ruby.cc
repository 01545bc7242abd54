#include <algorithm>

#include "doc.h"
#include "readers.h"
#include "ruby_types.h"
#include "sabir/base/text.h"

namespace sabir::schema {
namespace {

class Reader {
 public:
  explicit Reader(const Syntax& syntax) : syntax_(syntax), heredocs_(heredocs_of(syntax.root(), 2'000'000)) {}

  Description read() {
    Scope top;
    top.is_file = true;
    scope(syntax_.root(), top, 0);
    module_doc();
    std::sort(out_.functions.begin(), out_.functions.end(), [](const auto& a, const auto& b) { return a.line < b.line; });
    return std::move(out_);
  }

 private:
  struct Found {
    Node node;
    int row;            // where the comment ends
    bool is_private = false;
    bool on_self = false;  // def self.x
    bool is_function = false;  // module_function applies
  };
  struct Scope {
    std::string receiver;
    bool is_file = false;
    bool is_class = false;
    bool in_self = false;  // class << self
    bool extends_self = false;
    std::vector<Found> found;
  };

  // The comment at the head of the file, when code does not follow at once.
  void module_doc() {
    int row = 0;
    const auto& source = syntax_.source();
    const auto lines = split_lines(source);
    while (row < static_cast<int>(lines.size()) && trim(lines[static_cast<std::size_t>(row)]).starts_with('#')) ++row;
    if (row == 0 || row >= static_cast<int>(lines.size()) || !trim(lines[static_cast<std::size_t>(row)]).empty()) return;
    std::vector<std::string> head;
    for (int i = 0; i < row; ++i) {
      if (!lines[static_cast<std::size_t>(i)].starts_with("#!")) head.emplace_back(lines[static_cast<std::size_t>(i)]);
    }
    out_.module_doc = yard_doc(head).text;
  }

  static std::vector<std::string> named_symbols(const Node& call) {
    std::vector<std::string> out;
    for (const auto& argument : call.child("arguments").children()) {
      if (argument.is("simple_symbol")) out.emplace_back(argument.text().substr(1));
      if (argument.is("string")) out.emplace_back(argument.text().substr(1, argument.text().size() - 2));
    }
    return out;
  }

  void scope(const Node& body, Scope& scope, int depth) {
    if (depth > 32) return;
    bool is_private = false;
    bool is_function = false;
    for (const auto& statement : body.children()) {
      if (statement.is("method") || statement.is("singleton_method")) {
        scope.found.push_back({statement, statement.row(), is_private && statement.is("method"), statement.is("singleton_method"), is_function});
      } else if (statement.is("identifier")) {
        const auto word = statement.text();
        if (word == "private" || word == "protected") is_private = true;
        if (word == "public") is_private = false;
        if (word == "module_function") {
          is_function = true;
          is_private = false;
        }
      } else if (statement.is("call") && !statement.child("receiver")) {
        modifier(statement, scope);
      } else if (statement.is("assignment")) {
        constant(statement);
      } else if (statement.is("module") || statement.is("class")) {
        Scope inner;
        inner.is_class = statement.is("class");
        const std::string name(statement.child("name").text());
        inner.receiver = scope.receiver.empty() ? name : scope.receiver + "::" + name;
        this->scope(statement.child("body"), inner, depth + 1);
        // Constants of an inner module are its own; only those of the file are read.
        finish(inner);
      } else if (statement.is("singleton_class") && statement.child("value").text() == "self") {
        Scope inner;
        inner.receiver = scope.receiver;
        inner.is_class = scope.is_class;
        inner.in_self = true;
        this->scope(statement.child("body"), inner, depth + 1);
        finish(inner);
      }
    }
    if (scope.is_file) finish(scope);
  }

  void modifier(const Node& call, Scope& scope) {
    const auto word = call.child("method").text();
    const bool hides = word == "private" || word == "protected" || word == "private_class_method";
    const bool shows = word == "public" || word == "public_class_method";
    const bool function = word == "module_function";
    if (word == "extend" && call.child("arguments").text().find("self") != std::string_view::npos) {
      scope.extends_self = true;
      return;
    }
    if (!hides && !shows && !function) return;
    for (const auto& argument : call.child("arguments").children()) {
      if (argument.is("method") || argument.is("singleton_method")) {
        const bool applies = hides && (word == "private_class_method" || argument.is("method"));
        scope.found.push_back({argument, call.row(), applies, argument.is("singleton_method"), function});
      }
    }
    for (const auto& name : named_symbols(call)) {
      for (auto& found : scope.found) {
        if (found.node.child("name").text() != name) continue;
        if (function) {
          found.is_function = true;
        } else if (found.on_self == (word == "private_class_method" || word == "public_class_method")) {
          found.is_private = hides;
        }
      }
    }
  }

  void constant(const Node& statement) {
    const Node left = statement.child("left");
    if (!left.is("constant") || statement.parent() != syntax_.root()) return;
    if (auto value = ruby_literal(statement.child("right"), heredocs_)) {
      out_.constants[lower_case(left.text())] = std::move(*value);
    }
  }

  void finish(const Scope& scope) {
    for (const auto& found : scope.found) {
      const std::string name(found.node.child("name").text());
      if (found.is_private || name.starts_with('_') || name == "initialize") continue;
      const bool on_self = found.on_self && found.node.child("object").text() == "self";
      if (found.on_self && !on_self) {
        out_.unavailable.push_back({name, found.node.line(), "it is defined on another object; define it on self or at the top level"});
        continue;
      }
      const bool callable = scope.is_file || on_self || scope.in_self || found.is_function || scope.extends_self;
      if (!callable) {
        // An instance method of a class needs an object; one of a module looks as if it were meant to be called.
        if (!scope.is_class) {
          out_.unavailable.push_back({name, found.node.line(), "it is an instance method of module " + scope.receiver +
              "; add module_function or define it as self." + name});
        }
        continue;
      }
      if (name.ends_with('=') || !(std::isalpha(static_cast<unsigned char>(name.front())) != 0 || name.front() == '_')) {
        out_.unavailable.push_back({name, found.node.line(), "an operator or writer has no name to call it by"});
        continue;
      }
      function(found, name, scope.receiver);
    }
  }

  void function(const Found& found, const std::string& name, const std::string& receiver) {
    const Doc doc = yard_doc(syntax_.comment_above(found.row));
    if (doc.is_private) return;
    FunctionSchema function;
    function.name = name;
    std::string plain = name;
    while (plain.ends_with('?') || plain.ends_with('!')) plain.pop_back();
    function.canonical = to_snake_case(plain);
    function.receiver = receiver;
    function.line = found.node.line();
    doc.apply(function);
    parameters(found.node.child("parameters"), doc, function);
    result(doc, function);
    make_input_schema(function);
    // At the top level a later definition replaces an earlier one.
    auto& all = out_.functions;
    all.erase(std::remove_if(all.begin(), all.end(),
                             [&](const auto& f) { return f.name == name && f.receiver == receiver; }),
              all.end());
    add_function(out_, std::move(function));
  }

  void parameters(const Node& list, const Doc& doc, FunctionSchema& function) {
    int number = 0;
    for (const auto& node : list.children()) {
      ++number;
      Parameter parameter;
      Node name = node;
      Node value;
      if (node.is("optional_parameter")) {
        name = node.child("name");
        value = node.child("value");
        parameter.required = false;
      } else if (node.is("keyword_parameter")) {
        name = node.child("name");
        value = node.child("value");
        parameter.kind = ParameterKind::kKeyword;
        parameter.required = !value;
      } else if (node.is("splat_parameter") || node.is("hash_splat_parameter")) {
        name = node.child("name");
        parameter.kind = node.is("splat_parameter") ? ParameterKind::kVariadic : ParameterKind::kKeywordVariadic;
        parameter.required = false;
      } else if (node.is("block_parameter")) {
        function.warnings.push_back("it takes a block, which no call can give");
        continue;
      } else if (node.is("forward_parameter")) {
        function.warnings.push_back("it forwards its arguments (...): anything is accepted");
        parameter.kind = ParameterKind::kKeywordVariadic;
        parameter.required = false;
        parameter.name = parameter.canonical = "options";
        function.parameters.push_back(std::move(parameter));
        continue;
      } else if (!node.is("identifier")) {
        function.warnings.push_back("parameter " + std::to_string(number) + " is a pattern: anything is accepted");
        parameter.name = parameter.canonical = "argument" + std::to_string(number);
        function.parameters.push_back(std::move(parameter));
        continue;
      }
      if (!name) {  // a bare * or **
        if (parameter.kind == ParameterKind::kVariadic) continue;
        parameter.name = "options";
      } else {
        parameter.name = name.text();
      }
      parameter.canonical = to_snake_case(parameter.name);
      const auto documented = doc.parameters.find(parameter.name);
      std::string type;
      if (documented != doc.parameters.end()) {
        parameter.doc = documented->second.text;
        type = documented->second.type;
      }
      const auto options = doc.options.find(parameter.name);
      if (!type.empty()) {
        TypeSchema resolved = yard_type(type);
        parameter.is_context = resolved.is_context;
        if (!resolved.problem.empty()) function.warnings.push_back("parameter '" + parameter.name + "': " + resolved.problem);
        // YARD types a splat by what it holds, or by the array or hash that the method sees.
        const std::string_view of = string_or(resolved.schema, "type");
        if (parameter.kind == ParameterKind::kVariadic) {
          parameter.schema = of == "array" ? std::move(resolved.schema) : array_of(std::move(resolved.schema));
        } else if (parameter.kind == ParameterKind::kKeywordVariadic) {
          if (of == "object") {
            if (const auto* more = resolved.schema.if_contains("additionalProperties"); more && more->is_object()) parameter.schema = more->get_object();
          } else {
            parameter.schema = std::move(resolved.schema);
          }
        } else {
          parameter.schema = std::move(resolved.schema);
        }
      } else if (parameter.name == "context") {
        parameter.is_context = true;
      } else if (options == doc.options.end()) {
        function.warnings.push_back("parameter '" + parameter.name + "' has no type: anything is accepted");
        if (parameter.kind == ParameterKind::kVariadic) parameter.schema = of_type("array");
      }
      if (options != doc.options.end() && parameter.kind != ParameterKind::kKeywordVariadic) {
        json::object properties;
        for (const auto& [key, option] : options->second) {
          TypeSchema resolved = yard_type(option.type);
          if (!option.text.empty()) resolved.schema["description"] = option.text;
          properties[key] = std::move(resolved.schema);
        }
        parameter.schema = of_type("object");
        parameter.schema["properties"] = std::move(properties);
      }
      if (value) {
        if (auto literal = ruby_literal(value, heredocs_)) parameter.default_value = std::move(*literal);
        if (value.is("nil") && !parameter.schema.empty()) parameter.schema = nullable(std::move(parameter.schema));
      }
      parameter.native_type = type;
      if (parameter.is_context) {
        parameter.required = false;
        parameter.schema = {};
      }
      function.parameters.push_back(std::move(parameter));
    }
  }

  static void result(const Doc& doc, FunctionSchema& function) {
    function.native_return = doc.return_type;
    if (doc.return_type.empty()) return;
    TypeSchema resolved = yard_type(doc.return_type);
    if (!resolved.problem.empty()) {
      function.warnings.push_back("result: " + resolved.problem);
      return;
    }
    // A method whose value is of no use may still have one.
    if (doc.return_type == "void") return;
    function.is_generator = resolved.is_iterator;
    function.output_schema = resolved.is_iterator ? array_of(std::move(resolved.schema)) : std::move(resolved.schema);
  }

  const Syntax& syntax_;
  Heredocs heredocs_;
  Description out_;
};

}  // namespace

Description describe_ruby(const Syntax& syntax) { return Reader(syntax).read(); }

}  // namespace sabir::schema
