#include <algorithm>

#include "doc.h"
#include "python_literals.h"
#include "python_types.h"
#include "readers.h"
#include "sabir/base/text.h"

namespace sabir::schema {
namespace {

class Reader {
 public:
  Reader(const Syntax& syntax, const ReadOther& read_other)
      : syntax_(syntax), modules_(syntax.root(), syntax.file(), read_other), types_(modules_) {}

  Description read() {
    read_all();
    bool first = true;
    for (const auto& statement : syntax_.root().children()) {
      top_level(statement, first);
      first = false;
    }
    out_.depends = modules_.read_files();
    return std::move(out_);
  }

 private:
  // `__all__`, where it is a literal, says what is public.
  void read_all() {
    for (const auto& statement : syntax_.root().children()) {
      for (const auto& assignment : statement.is("expression_statement") ? statement.children() : std::vector<Node>()) {
        if (!assignment.is("assignment") || assignment.child("left").text() != "__all__") continue;
        const auto value = python_literal(assignment.child("right"));
        if (!value || !value->is_array()) continue;
        has_all_ = true;
        for (const auto& name : value->get_array()) {
          if (name.is_string()) all_.emplace_back(name.get_string());
        }
      }
    }
  }

  bool is_public(std::string_view name) const {
    if (has_all_) return std::find(all_.begin(), all_.end(), name) != all_.end();
    return !name.starts_with('_');
  }

  void top_level(const Node& statement, bool first) {
    if (statement.is("function_definition")) return function(statement, {});
    if (statement.is("decorated_definition")) {
      const Node definition = statement.child("definition");
      if (!definition.is("function_definition")) return;
      std::vector<std::string> decorators;
      for (const auto& child : statement.children()) {
        if (!child.is("decorator")) continue;
        std::string text(trim(child.text().substr(1)));
        decorators.push_back(text.substr(0, text.find_first_of("(\n")));
      }
      return function(definition, decorators);
    }
    if (statement.is("expression_statement")) {
      for (const auto& expression : statement.children()) {
        if (first && (expression.is("string") || expression.is("concatenated_string"))) {
          if (const auto text = python_literal(expression); text && text->is_string()) {
            out_.module_doc = join(clean_lines(text->get_string()), "\n");
          }
        }
        if (expression.is("assignment")) assignment(expression);
      }
      return;
    }
    // What a condition defines is known only when the file runs.
    if (statement.is("if_statement") || statement.is("try_statement") || statement.is("with_statement")) {
      const std::string_view text = statement.text();
      // What only a type checker sees does not exist when the file runs.
      if (text.starts_with("if __name__") || text.starts_with("if TYPE_CHECKING:") || text.starts_with("if typing.TYPE_CHECKING:")) return;
      std::string word(text.substr(0, text.find_first_of(" :")));
      conditional(statement, word, 0);
    }
  }

  void conditional(const Node& node, const std::string& word, int depth) {
    if (depth > 6) return;
    for (const auto& child : node.children()) {
      Node definition = child;
      if (child.is("decorated_definition")) definition = child.child("definition");
      if (definition.is("function_definition")) {
        const std::string name(definition.child("name").text());
        const auto same = [&](const auto& u) { return u.name == name; };
        if (is_public(name) && std::none_of(out_.unavailable.begin(), out_.unavailable.end(), same)) {
          out_.unavailable.push_back({name, definition.line(), "it is defined inside '" + word +
              "', so that its signature is known only when the file runs; define it at the top level"});
        }
      } else if (!child.is("class_definition")) {
        conditional(child, word, depth + 1);
      }
    }
  }

  void assignment(const Node& node) {
    const Node left = node.child("left");
    const Node right = node.child("right");
    if (!left.is("identifier") || !right) return;
    const std::string name(left.text());
    if (right.is("lambda") && is_public(name)) {
      out_.unavailable.push_back({name, node.line(), "a lambda has neither types nor a doc comment; write it with def"});
      return;
    }
    if (auto value = python_literal(right)) out_.constants[lower_case(name)] = std::move(*value);
  }

  void function(const Node& node, const std::vector<std::string>& decorators) {
    FunctionSchema function;
    function.name = node.child("name").text();
    function.canonical = to_snake_case(function.name);
    function.line = node.line();
    if (!is_public(function.name)) return;
    for (const auto& decorator : decorators) {
      const std::string last = decorator.substr(decorator.rfind('.') + 1);
      if (last == "overload") return;
      if (last == "contextmanager" || last == "asynccontextmanager" || last == "fixture") {
        out_.unavailable.push_back({function.name, function.line, "it is decorated with @" + decorator +
            ", so that what it returns is no value"});
        return;
      }
      if (last == "cache" || last == "lru_cache" || last == "wraps") continue;
      function.warnings.push_back("decorated with @" + decorator + ": the schema is that of the function as it is written");
    }
    const Node body = node.child("body");
    Doc doc;
    const auto statements = body.children();
    if (!statements.empty() && statements[0].is("expression_statement")) {
      const auto inner = statements[0].children();
      if (inner.size() == 1 && (inner[0].is("string") || inner[0].is("concatenated_string"))) {
        if (const auto text = python_literal(inner[0]); text && text->is_string()) doc = python_doc(text->get_string());
      }
    }
    doc.apply(function);
    function.is_async = static_cast<bool>(node.first("async"));
    function.is_generator = body.has_descendant("yield", "function_definition", "lambda");
    PythonScope in;
    PythonScope out;
    out.output = true;
    parameters(node.child("parameters"), doc, function, in);
    result(node.child("return_type"), doc, function, out);
    make_input_schema(function);
    if (!in.definitions.empty()) function.input_schema["$defs"] = std::move(in.definitions);
    if (!out.definitions.empty()) function.output_schema["$defs"] = std::move(out.definitions);
    // A later definition replaces an earlier one, as it does when the file runs.
    auto& all = out_.functions;
    all.erase(std::remove_if(all.begin(), all.end(), [&](const auto& f) { return f.name == function.name; }), all.end());
    const auto same = [&](const auto& u) { return u.name == function.name; };
    out_.unavailable.erase(std::remove_if(out_.unavailable.begin(), out_.unavailable.end(), same), out_.unavailable.end());
    add_function(out_, std::move(function));
  }

  void parameters(const Node& list, const Doc& doc, FunctionSchema& function, PythonScope& scope) {
    bool keyword_only = false;
    for (const auto& node : list.children()) {
      if (node.is("keyword_separator")) {
        keyword_only = true;
        continue;
      }
      if (node.is("positional_separator")) continue;
      Parameter parameter;
      if (keyword_only) parameter.kind = ParameterKind::kKeyword;
      Node name = node;
      Node type;
      Node value;
      if (node.is("typed_parameter")) {
        type = node.child("type");
        name = node.children().front();
      } else if (node.is("default_parameter") || node.is("typed_default_parameter")) {
        name = node.child("name");
        type = node.child("type");
        value = node.child("value");
      }
      if (name.is("list_splat_pattern") || name.is("dictionary_splat_pattern")) {
        const bool mapping = name.is("dictionary_splat_pattern");
        parameter.kind = mapping ? ParameterKind::kKeywordVariadic : ParameterKind::kVariadic;
        parameter.required = false;
        if (!mapping) keyword_only = true;
        const auto inner = name.children();
        if (inner.empty()) continue;
        name = inner.front();
      }
      parameter.name = name.text();
      parameter.canonical = to_snake_case(parameter.name);
      parameter.native_type = type.text();
      const auto documented = doc.parameters.find(parameter.name);
      if (documented != doc.parameters.end()) parameter.doc = documented->second.text;

      std::string hint = parameter.native_type;
      if (hint.empty() && documented != doc.parameters.end()) hint = documented->second.type;
      if (hint.empty()) {
        if (parameter.name == "context" && value == Node() && parameter.kind == ParameterKind::kPositional &&
            function.canonical == "respond") {
          parameter.is_context = true;
        } else {
          function.warnings.push_back("parameter '" + parameter.name + "' has no type: anything is accepted");
        }
      } else {
        TypeSchema resolved = types_.resolve(modules_.own(), hint, scope);
        parameter.unresolved = !resolved.problem.empty() && !parameter.native_type.empty();
        if (resolved.is_context) parameter.is_context = true;
        if (!resolved.problem.empty()) function.warnings.push_back("parameter '" + parameter.name + "': " + resolved.problem);
        parameter.schema = std::move(resolved.schema);
        if (!resolved.doc.empty() && parameter.doc.empty()) parameter.doc = resolved.doc;
      }
      if (parameter.kind == ParameterKind::kVariadic) parameter.schema = array_of(std::move(parameter.schema));
      if (value) {
        parameter.required = false;
        if (auto literal = types_.value_of(modules_.own(), value)) parameter.default_value = std::move(*literal);
        // `x: str = None` says that None may be passed.
        if (value.is("none") && !parameter.schema.empty()) parameter.schema = nullable(std::move(parameter.schema));
      }
      if (parameter.is_context) {
        parameter.required = false;
        parameter.schema = {};
      }
      function.parameters.push_back(std::move(parameter));
    }
  }

  void result(const Node& type, const Doc& doc, FunctionSchema& function, PythonScope& scope) {
    function.native_return = type.text();
    std::string hint = function.native_return;
    const bool from_doc = hint.empty();
    if (from_doc) hint = doc.return_type;
    if (hint.empty()) {
      if (function.is_generator) function.output_schema = of_type("array");
      return;
    }
    TypeSchema resolved = types_.resolve(modules_.own(), hint, scope);
    // A word of prose before a colon is no type.
    if (from_doc && !resolved.problem.empty()) {
      if (function.return_doc.empty()) function.return_doc = hint;
      else function.return_doc = hint + ": " + function.return_doc;
      if (function.is_generator) function.output_schema = of_type("array");
      return;
    }
    if (!resolved.problem.empty()) {
      function.warnings.push_back("result: " + resolved.problem);
      function.result_unresolved = !from_doc;
    }
    if (resolved.is_iterator || function.is_generator) {
      function.is_generator = true;
      const bool items = function.is_generator && !resolved.is_iterator && string_or(resolved.schema, "type") == "array";
      function.output_schema = items ? std::move(resolved.schema) : array_of(std::move(resolved.schema));
      return;
    }
    function.output_schema = std::move(resolved.schema);
  }

  const Syntax& syntax_;
  PythonModules modules_;
  PythonTypes types_;
  Description out_;
  bool has_all_ = false;
  std::vector<std::string> all_;
};

}  // namespace

Description describe_python(const Syntax& syntax, const ReadOther& read_other) { return Reader(syntax, read_other).read(); }

}  // namespace sabir::schema
