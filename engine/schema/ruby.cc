#include <algorithm>
#include <filesystem>

#include "doc.h"
#include "readers.h"
#include "ruby_types.h"
#include "sabir/base/text.h"

namespace sabir::schema {
namespace {

class Reader {
 public:
  Reader(const Syntax& syntax, const ReadOther& read_other, Written written)
      : syntax_(syntax), read_other_(read_other), written_(written), heredocs_(heredocs_of(syntax.root(), 2'000'000)) {}

  Description read() {
    signatures();
    required(syntax_, 0);
    types_.add(syntax_);
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
    bool has_parent = false;  // class A < B
    bool in_self = false;  // class << self
    bool extends_self = false;
    std::vector<Found> found;
  };

  // sig/*.rbs beside the file and in the folders above, up to the project's. Above code elsewhere lies what is others'.
  void signatures() {
    if (!read_other_) return;
    for (auto folder = std::filesystem::path(syntax_.file()).parent_path();; folder = folder.parent_path()) {
      const std::string sig = (folder / "sig").string() + "/";
      if (const auto names = read_other_(sig)) {
        out_.depends.push_back(sig);
        for (const auto name : split_lines(*names)) {
          if (!name.ends_with(".rbs") || out_.depends.size() > kMostOthers) continue;
          const std::string path = sig + std::string(name);
          if (const auto text = read_other_(path)) types_.add_signatures(*text);
          out_.depends.push_back(path);
        }
      }
      if (folder.empty() || folder.is_absolute()) return;
    }
  }

  // The classes of the project's files that this one requires.
  void required(const Syntax& syntax, int depth) {
    if (!read_other_ || depth > 16) return;
    for (const auto& statement : syntax.root().children()) {
      if (!statement.is("call") || statement.child("receiver")) continue;
      const auto word = statement.child("method").text();
      const auto arguments = statement.child("arguments").children();
      if ((word != "require_relative" && word != "require") || arguments.size() != 1 || !arguments[0].is("string")) continue;
      const auto name = ruby_literal(arguments[0], heredocs_);
      if (!name || !name->is_string()) continue;
      std::string path(name->get_string());
      if (!path.ends_with(".rb")) path += ".rb";
      const auto folder = std::filesystem::path(syntax.file()).parent_path();
      path = (word == "require" ? std::filesystem::path(path) : folder / path).lexically_normal().string();
      if (path.starts_with("..") || path.starts_with('/') || path == syntax_.file() || out_.depends.size() > kMostOthers ||
          std::find(out_.depends.begin(), out_.depends.end(), path) != out_.depends.end()) {
        continue;
      }
      const auto text = read_other_(path);
      if (!text) continue;
      out_.depends.push_back(path);
      const auto other = Syntax::parse("ruby", *text, path);
      if (!other) continue;
      required(**other, depth + 1);
      types_.add(**other);
    }
  }

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
        inner.has_parent = inner.is_class && statement.child("superclass");
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
    Node constructor;
    for (const auto& found : scope.found) {
      if (!found.on_self && scope.is_class && !scope.in_self && found.node.child("name").text() == "initialize") constructor = found.node;
    }
    // A service object that needs nothing: A.new.call. What inherits may have its constructor elsewhere.
    const bool makes_itself = written_ == Written::kBefore && scope.is_class && !scope.in_self && !scope.has_parent && !constructor;
    for (const auto& found : scope.found) {
      const std::string name(found.node.child("name").text());
      if (found.is_private || name.starts_with('_') || name == "initialize") continue;
      const bool on_self = found.on_self && found.node.child("object").text() == "self";
      if (found.on_self && !on_self) {
        out_.unavailable.push_back({name, found.node.line(), "it is defined on another object; define it on self or at the top level"});
        continue;
      }
      const bool callable = scope.is_file || on_self || scope.in_self || found.is_function || scope.extends_self;
      if (!callable && makes_itself && is_plain_name(name)) {
        function(found, name, scope.receiver + ".new", constructor);
        continue;
      }
      if (!callable) {
        // An instance method of a class needs an object; one of a module looks as if it were meant to be called.
        if (!scope.is_class) {
          out_.unavailable.push_back({name, found.node.line(), "it is an instance method of module " + scope.receiver +
              "; add module_function or define it as self." + name});
        }
        continue;
      }
      if (!is_plain_name(name)) {
        out_.unavailable.push_back({name, found.node.line(), "an operator or writer has no name to call it by"});
        continue;
      }
      function(found, name, scope.receiver, constructor);
    }
  }

  static bool is_plain_name(const std::string& name) {
    return !name.ends_with('=') && (std::isalpha(static_cast<unsigned char>(name.front())) != 0 || name.front() == '_');
  }

  // The list of a method's parameters; that of the constructor for `def self.call(...) = new(...).call`.
  static Node parameters_of(const Node& method, const Node& constructor) {
    const Node list = method.child("parameters");
    const auto children = list.children();
    const bool forwards = children.size() == 1 && children.front().is("forward_parameter");
    return forwards && constructor && method.text().find("new(...)") != std::string_view::npos ? constructor.child("parameters") : list;
  }

  void function(const Found& found, const std::string& name, const std::string& receiver, const Node& constructor) {
    const RbsComments typed = rbs_comments(syntax_.comment_above(found.row));
    const Doc doc = yard_doc(typed.rest);
    if (doc.is_private) return;
    FunctionSchema function;
    function.warnings = typed.problems;
    function.name = name;
    std::string plain = name;
    while (plain.ends_with('?') || plain.ends_with('!')) plain.pop_back();
    function.canonical = to_snake_case(plain);
    function.receiver = receiver;
    function.line = found.node.line();
    doc.apply(function);
    // A receiver "Tariff.new" is an object of the class, whose methods are the class's instance methods.
    const bool of_object = receiver.ends_with(".new");
    const RbsMethod* const signature =
        typed.method ? &*typed.method : types_.signature(of_object ? receiver.substr(0, receiver.size() - 4) : receiver, name, !receiver.empty() && !of_object);
    if (signature && signature->overloaded) function.warnings.push_back("it has several signatures; the first counts");
    parameters(parameters_of(found.node, constructor), doc, typed, signature, function);
    result(doc, typed, signature, function);
    make_input_schema(function);
    // At the top level a later definition replaces an earlier one.
    auto& all = out_.functions;
    all.erase(std::remove_if(all.begin(), all.end(),
                             [&](const auto& f) { return f.name == name && f.receiver == receiver; }),
              all.end());
    add_function(out_, std::move(function), written_);
  }

  // The type that RBS gives a parameter; nullptr when none.
  static const RbsType* rbs_of(const Parameter& parameter, std::size_t position, const RbsComments& typed, const RbsMethod* signature) {
    if (const auto found = typed.parameters.find(parameter.name); found != typed.parameters.end()) return &found->second;
    if (!signature) return nullptr;
    std::size_t index = 0;
    for (const auto& one : signature->parameters) {
      switch (one.kind) {
        case RbsParameter::Kind::kPositional:
          if (parameter.kind == ParameterKind::kPositional && index == position) return &one.type;
          ++index;
          break;
        case RbsParameter::Kind::kKeyword:
          if (parameter.kind == ParameterKind::kKeyword && one.name == parameter.name) return &one.type;
          break;
        case RbsParameter::Kind::kRest:
          if (parameter.kind == ParameterKind::kVariadic) return &one.type;
          break;
        case RbsParameter::Kind::kKeywordRest:
          if (parameter.kind == ParameterKind::kKeywordVariadic) return &one.type;
          break;
      }
    }
    return nullptr;
  }

  void parameters(const Node& list, const Doc& doc, const RbsComments& typed, const RbsMethod* signature, FunctionSchema& function) {
    std::size_t positions = 0;
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
      if (const auto text = typed.texts.find(parameter.name); text != typed.texts.end() && parameter.doc.empty()) parameter.doc = text->second;
      const RbsType* const rbs = rbs_of(parameter, positions, typed, signature);
      if (parameter.kind == ParameterKind::kPositional) ++positions;
      if (rbs || !type.empty()) {
        TypeSchema resolved = rbs ? types_.rbs(*rbs, function.receiver) : types_.yard(type, function.receiver);
        parameter.is_context = resolved.is_context;
        parameter.build = resolved.build;
        if (!resolved.problem.empty()) function.warnings.push_back("parameter '" + parameter.name + "': " + resolved.problem);
        // YARD types a splat by what it holds, or by the array or hash that the method sees.
        // RBS types it by what it holds.
        const std::string_view of = rbs ? std::string_view() : string_or(resolved.schema, "type");
        if (parameter.kind == ParameterKind::kVariadic) {
          if (of != "array" && !parameter.build.is_null()) parameter.build = json::object{{"array", parameter.build}};
          parameter.schema = of == "array" ? std::move(resolved.schema) : array_of(std::move(resolved.schema));
        } else if (parameter.kind == ParameterKind::kKeywordVariadic) {
          if (of == "object") {
            if (const auto* more = resolved.schema.if_contains("additionalProperties"); more && more->is_object()) parameter.schema = more->get_object();
            const auto* inner = parameter.build.is_object() ? parameter.build.get_object().if_contains("hash") : nullptr;
            parameter.build = inner ? *inner : json::value(nullptr);
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
        json::object builds;
        for (const auto& [key, option] : options->second) {
          TypeSchema resolved = types_.yard(option.type, function.receiver);
          builds[key] = resolved.build;
          if (!option.text.empty()) resolved.schema["description"] = option.text;
          properties[key] = std::move(resolved.schema);
        }
        parameter.schema = of_type("object");
        parameter.schema["properties"] = std::move(properties);
        // @option opts [String] :key has symbols for keys.
        parameter.build = json::object{{"record", std::move(builds)}};
      }
      if (value) {
        if (auto literal = ruby_literal(value, heredocs_)) parameter.default_value = std::move(*literal);
        if (value.is("nil") && !parameter.schema.empty() && parameter.kind != ParameterKind::kVariadic) parameter.schema = nullable(std::move(parameter.schema));
      }
      parameter.native_type = type;
      if (parameter.is_context) {
        parameter.required = false;
        parameter.schema = {};
        parameter.build = nullptr;
      }
      function.parameters.push_back(std::move(parameter));
    }
  }

  void result(const Doc& doc, const RbsComments& typed, const RbsMethod* signature, FunctionSchema& function) const {
    function.native_return = doc.return_type;
    if (const auto text = typed.texts.find("return"); text != typed.texts.end() && function.return_doc.empty()) function.return_doc = text->second;
    const RbsType* const rbs = typed.result ? &*typed.result : signature ? &signature->result : nullptr;
    if (!rbs && doc.return_type.empty()) return;
    if (rbs && rbs->kind == RbsType::Kind::kName && rbs->name == "void") return;
    TypeSchema resolved = rbs ? types_.rbs(*rbs, function.receiver) : types_.yard(doc.return_type, function.receiver);
    if (!resolved.problem.empty()) {
      function.warnings.push_back("result: " + resolved.problem);
      return;
    }
    // A method whose value is of no use may still have one.
    if (!rbs && doc.return_type == "void") return;
    function.is_generator = resolved.is_iterator;
    function.output_schema = resolved.is_iterator ? array_of(std::move(resolved.schema)) : std::move(resolved.schema);
  }

  static constexpr std::size_t kMostOthers = 200;

  const Syntax& syntax_;
  const ReadOther& read_other_;
  const Written written_;
  Heredocs heredocs_;
  RubyTypes types_;
  Description out_;
};

}  // namespace

Description describe_ruby(const Syntax& syntax, const ReadOther& read_other, Written written) { return Reader(syntax, read_other, written).read(); }

}  // namespace sabir::schema
