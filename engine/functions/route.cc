#include "route.h"

#include <algorithm>
#include <utility>

#include "bind.h"
#include "isolation.h"
#include "sabir/base/text.h"
#include "sabir/functions/call_span.h"

namespace sabir::functions {
namespace {

constexpr std::chrono::milliseconds kDefaultTimeout{30'000};
constexpr std::chrono::minutes kUnregisteredTimeout{10};
constexpr std::size_t kMostBindings = 16;

const project::Language* language_of(const Setup& setup, const std::string& name) {
  const auto found = std::find_if(setup.languages.begin(), setup.languages.end(), [&](const auto& l) { return l.name == name; });
  return found == setup.languages.end() ? nullptr : &*found;
}

// A program of one link knows its files from the project's root, so that it serves every copy of the project.
std::string module_of(const Route& route, const std::filesystem::path& root) {
  const std::string& folder = root.native();
  const bool below = route.module.size() > folder.size() && route.module.starts_with(folder) && route.module[folder.size()] == '/';
  return route.language && !route.language->glue.empty() && below ? route.module.substr(folder.size() + 1) : route.module;
}

std::shared_ptr<Route> begun(const project::SourceFile& source, const Setup& setup) {
  auto route = std::make_shared<Route>();
  route->project = setup.project;
  route->language = language_of(setup, source.language);
  route->language_name = source.language;
  route->module = source.path.string();
  return route;
}

bool is_plain(const schema::FunctionSchema& schema) {
  const auto* const closed = schema.input_schema.if_contains("additionalProperties");
  return closed && closed->is_bool() && !closed->get_bool() && std::all_of(schema.parameters.begin(), schema.parameters.end(), [](const auto& p) {
    return p.is_context || (p.name == p.canonical && to_snake_case(p.name) == p.name && p.build.is_null() &&
                            (p.kind == schema::ParameterKind::kPositional || p.kind == schema::ParameterKind::kKeyword));
  });
}

Result<void> check(const schema::Validator& validator, const protocol::Payload& payload, bool exact, ErrorCode code, const std::string& what) {
  if (payload.blobs.empty()) return validator.check(payload.json, code, what);
  auto text = exact ? protocol::inflate(payload) : protocol::outline(payload);
  if (!text) return fail(std::move(text.error()));
  return validator.check(*text, code, what);
}

}  // namespace

const std::string& Route::binding(std::uint64_t given) {
  const auto found = std::find_if(bindings_.begin(), bindings_.end(), [&](const auto& one) { return one.first == given; });
  if (found != bindings_.end()) return found->second;
  std::vector<const schema::Parameter*> present;
  std::uint64_t bit = 1;
  const auto* const properties = function->schema.input_schema.if_contains("properties");
  if (properties && properties->is_object()) {
    for (const auto& [name, unused] : properties->get_object()) {
      const auto parameter = std::find_if(function->schema.parameters.begin(), function->schema.parameters.end(),
                                          [&](const auto& p) { return !p.is_context && p.canonical == std::string_view(name); });
      if ((given & bit) != 0 && parameter != function->schema.parameters.end()) present.push_back(&*parameter);
      bit <<= 1U;
    }
  }
  if (bindings_.size() == kMostBindings) bindings_.clear();
  return bindings_.emplace_back(given, binding_of(function->schema, present)).second;
}

Result<void> Route::check_input(const protocol::Payload& arguments) const {
  if (!input) return {};
  return check(*input, arguments, exact, ErrorCode::kInvalidArguments, address());
}

Result<void> Route::check_output(const protocol::Payload& value) const {
  if (!output) return {};
  return check(*output, value, exact, ErrorCode::kInvalidResult, address());
}

Result<std::shared_ptr<Route>> route_to(const Function& function, std::shared_ptr<const Registry> registry, const Setup& setup) {
  const auto& schema = function.schema;
  auto route = begun(function.source, setup);
  route->registry = std::move(registry);
  route->function = &function;
  auto input = schema::Validator::compile(schema.input_schema);
  if (!input) return fail(std::move(input.error()));
  route->input = std::move(*input);
  if (!schema.output_schema.empty()) {
    auto output = schema::Validator::compile(schema.output_schema);
    if (!output) return fail(std::move(output.error()));
    route->output = std::move(*output);
  }
  const std::string text = json::serialize(schema.input_schema) + json::serialize(schema.output_schema);
  for (const char* word : {"\"enum\"", "\"const\"", "\"pattern\"", "\"minLength\"", "\"maxLength\"", "\"format\""}) {
    route->exact = route->exact || text.find(word) != std::string::npos;
  }
  route->plain = is_plain(schema);
  route->recorded = schema.effect != schema::Effect::kRead && setup.effects;
  route->pool_key = function.source.pool();
  route->rule = rule_of(*route->project, route->language_name, route->module);
  route->own = schema.timeout_ms > 0              ? std::chrono::milliseconds(schema.timeout_ms)
               : route->project->timeout_ms > 0 ? std::chrono::milliseconds(route->project->timeout_ms)
                                                : kDefaultTimeout;
  workers::Callee callee;
  callee.address = function.address;
  callee.module = module_of(*route, route->project->root);
  callee.receiver = schema.receiver;
  callee.function = schema.name;
  for (const auto& parameter : schema.parameters) {
    if (parameter.is_context) callee.context_parameter = parameter.name;
  }
  callee.concurrency = schema.concurrency;
  callee.read = schema.effect == schema::Effect::kRead;
  route->callee = workers::Callee::shared(std::move(callee));
  if (setup.tracer) route->subject = subject_of(function.source, *route->callee, schema.line, schema::effect_name(schema.effect));
  return route;
}

std::shared_ptr<Route> route_to(const project::SourceFile& source, std::string address, std::string function, std::string context_parameter,
                                const Setup& setup) {
  auto route = begun(source, setup);
  route->pool_key = source.language;
  route->rule = rule_of(*route->project, route->language_name, route->module);
  route->own = kUnregisteredTimeout;
  workers::Callee callee;
  callee.address = std::move(address);
  callee.module = module_of(*route, route->project->root);
  callee.function = std::move(function);
  callee.context_parameter = std::move(context_parameter);
  route->callee = workers::Callee::shared(std::move(callee));
  if (setup.tracer) route->subject = subject_of(source, *route->callee, 0, schema::effect_name(schema::Effect::kWrite));
  return route;
}

}  // namespace sabir::functions
