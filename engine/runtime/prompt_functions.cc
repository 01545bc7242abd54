#include "prompt_functions.h"

#include <algorithm>
#include <vector>

#include "sabir/base/text.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::runtime {
namespace {

using schema::Parameter;
using schema::ParameterKind;

constexpr std::chrono::seconds kLongest{60};
constexpr std::chrono::milliseconds kCancelPoll{50};

// The arguments of a call in a template by the function's parameters: one JSON object. `positional` is a JSON array, `named` a JSON
// object. Errors: kInvalidArguments.
Result<std::string> bind_call(const schema::FunctionSchema& function, std::string_view positional, std::string_view named) {
  std::vector<const Parameter*> places;
  const Parameter* rest = nullptr;
  for (const auto& parameter : function.parameters) {
    if (parameter.is_context || parameter.kind == ParameterKind::kKeywordVariadic) continue;
    if (parameter.kind == ParameterKind::kVariadic) rest = &parameter;
    // What its language wants named has its place here, since another language's function of this name may not.
    if (rest == nullptr) places.push_back(&parameter);
  }
  std::vector<std::pair<std::string, std::string>> bound;
  std::vector<std::string> beyond;
  for (const auto value : protocol::raw_elements(positional)) {
    if (bound.size() < places.size()) {
      bound.emplace_back(places[bound.size()]->canonical, value);
    } else {
      beyond.emplace_back(value);
    }
  }
  if (!beyond.empty() && rest == nullptr) {
    std::vector<std::string> names;
    for (const auto* parameter : places) names.push_back(parameter->canonical);
    const std::string given = std::to_string(bound.size() + beyond.size());
    return fail(ErrorCode::kInvalidArguments, given + " arguments without a name, and it takes " + std::to_string(places.size()),
                names.empty() ? "" : "They are " + join(names, ", ") + ".");
  }
  if (!beyond.empty()) bound.emplace_back(rest->canonical, "[" + join(beyond, ",") + "]");
  const auto members = protocol::raw_members(named);
  if (!members) return fail(members.error());
  for (const auto& [raw_key, value] : *members) {
    const std::string key = protocol::unquote_key(raw_key);
    const auto match = std::find_if(function.parameters.begin(), function.parameters.end(), [&](const Parameter& parameter) {
      return !parameter.is_context && (parameter.canonical == key || parameter.name == key || parameter.canonical == to_snake_case(key));
    });
    const std::string name = match == function.parameters.end() ? key : match->canonical;
    if (std::any_of(bound.begin(), bound.end(), [&](const auto& one) { return one.first == name; })) {
      return fail(ErrorCode::kInvalidArguments, "the argument '" + name + "' is given twice");
    }
    bound.emplace_back(name, value);
  }
  std::string object = "{";
  for (const auto& [name, value] : bound) {
    if (object.size() > 1) object += ',';
    object += protocol::quote(name) + ":" + value;
  }
  return object + "}";
}

}  // namespace

Engine::PromptFunctions::PromptFunctions(State& engine, workers::Caller& caller, std::shared_ptr<std::atomic<bool>> cancelled)
    : engine_(engine), caller_(caller), cancelled_(std::move(cancelled)), deadline_(std::min(caller.deadline, workers::Clock::now() + kLongest)) {}

std::shared_ptr<const functions::Registry> Engine::PromptFunctions::registry() {
  const std::lock_guard lock(engine_.registry_mutex);
  return engine_.registry;
}

bool Engine::PromptFunctions::has(const std::string& address) { return registry()->find(address).has_value(); }

Result<void> Engine::PromptFunctions::allow_secret(const std::string& prompt, const std::string& file, const std::string& name, const std::vector<std::string>& declared) {
  const std::lock_guard lock(engine_.learning);
  if (engine_.grants.allowed(secrets::Holder::kPrompt, prompt, name, declared)) return {};
  return fail(secrets::Grants::refusal(secrets::Holder::kPrompt, prompt, name, file));
}

Result<std::string> Engine::PromptFunctions::call(const std::string& prompt, const std::string& address, std::string_view positional,
                                                  std::string_view named) {
  const auto known = registry();
  const auto function = known->find(address);
  if (!function) return fail(function.error());
  const auto& schema = (*function)->schema;
  if (schema.effect != schema::Effect::kRead) {
    const std::string effect(schema::effect_name(schema.effect));
    return fail(ErrorCode::kTemplate, "its effect is '" + effect + "', and a template calls only functions that read",
                "If it changes nothing, say `Effect: read` in its doc comment (" + (*function)->source.relative + ":" + std::to_string(schema.line) +
                    "). Else call it before, and pass what it gives as a variable.");
  }
  auto arguments = bind_call(schema, positional, named);
  if (!arguments) return arguments;
  functions::CallRequest request;
  request.address = (*function)->language + "/" + (*function)->address;
  request.arguments = protocol::deflate(std::move(*arguments));
  request.context = caller_.context;
  request.deadline = deadline_;
  request.depth = caller_.depth + 1;
  request.caller = "prompt " + prompt;
  request.parent = caller_.entry;
  request.client = caller_.client;
  request.span = trace::current();
  auto outcome = wait_for(std::move(request));
  if (!outcome) return fail(std::move(outcome.error()));
  return protocol::inflate(*outcome);
}

Result<protocol::Payload> Engine::PromptFunctions::wait_for(functions::CallRequest request) {
  auto promise = std::make_shared<std::promise<Result<protocol::Payload>>>();
  auto future = promise->get_future();
  auto running = std::make_shared<functions::Functions::CallId>(0);  // the loop's
  engine_.loop.post([this, promise, running, shared = std::make_shared<functions::CallRequest>(std::move(request))] {
    if (caller_.ended) return promise->set_value(fail(ErrorCode::kCancelled, "whoever asked for the prompt has ended"));
    workers::CallEvents events;
    events.done = [promise](Result<protocol::Payload> outcome) { promise->set_value(std::move(outcome)); };
    *running = engine_.call(std::move(*shared), std::move(events));
    caller_.when_ended.push_back([&engine = engine_, id = *running] { engine.functions->cancel(id, "its caller has ended"); });
  });
  // The pool ends the call at its deadline.
  bool told = false;
  while (future.wait_for(kCancelPoll) != std::future_status::ready) {
    if (told || !cancelled_ || !cancelled_->load()) continue;
    told = true;
    engine_.loop.post([&engine = engine_, running] { engine.functions->cancel(*running, "cancelled by the caller"); });
  }
  return future.get();
}

}  // namespace sabir::runtime
