// Where the runs of assistants, calls of models, memory and prompts become spans; those of functions are functions/'s own.
// docs/tracing.md names the attributes.
#include <algorithm>

#include "engine_state.h"
#include "sabir/base/file.h"
#include "sabir/base/ids.h"
#include "sabir/base/text.h"
#include "sabir/functions/call_span.h"

namespace sabir::runtime {
namespace {

using trace::Span;

void add_usage(Span& span, const models::Usage& usage) {
  span.add("gen_ai.usage.input_tokens", usage.input_tokens);
  span.add("gen_ai.usage.output_tokens", usage.output_tokens);
  if (usage.cached_tokens > 0) span.add("gen_ai.usage.cache_read.input_tokens", usage.cached_tokens);
  if (usage.cache_write_tokens > 0) span.add("gen_ai.usage.cache_creation.input_tokens", usage.cache_write_tokens);
  if (usage.reasoning_tokens > 0) span.add("gen_ai.usage.reasoning.output_tokens", usage.reasoning_tokens);
}

std::optional<double> number_of(const json::value& value) {
  if (value.is_double()) return value.get_double();
  if (value.is_int64()) return static_cast<double>(value.get_int64());
  return std::nullopt;
}

void add_parameters(Span& span, const json::object& parameters) {
  for (const auto& member : parameters) {
    const auto number = number_of(member.value());
    const std::string_view key = member.key();
    for (const auto& [name, attribute] : {std::pair("temperature", "gen_ai.request.temperature"), std::pair("top_p", "gen_ai.request.top_p"),
                                          std::pair("frequency_penalty", "gen_ai.request.frequency_penalty"),
                                          std::pair("presence_penalty", "gen_ai.request.presence_penalty")}) {
      if (key == name && number) span.set(attribute, *number);
    }
    for (const auto& [name, attribute] : {std::pair("max_tokens", "gen_ai.request.max_tokens"), std::pair("max_completion_tokens", "gen_ai.request.max_tokens"),
                                          std::pair("max_output_tokens", "gen_ai.request.max_tokens"), std::pair("seed", "gen_ai.request.seed"),
                                          std::pair("top_k", "gen_ai.request.top_k"), std::pair("n", "gen_ai.request.choice.count")}) {
      if (key == name && number) span.set(attribute, static_cast<std::int64_t>(*number));
    }
    if (key == "stop") {
      std::vector<std::string> words;
      if (member.value().is_string()) words.emplace_back(member.value().get_string());
      if (member.value().is_array()) {
        for (const auto& one : member.value().get_array()) words.push_back(one.is_string() ? std::string(one.get_string()) : compact_json(one));
      }
      span.set("gen_ai.request.stop_sequences", std::move(words));
    }
  }
}

json::value json_or_text(std::string_view text) {
  auto value = parse_json(text);
  return value ? std::move(*value) : json::value(text);
}

// Messages of Chat Completions' form in that of the GenAI conventions: {"role", "parts": [{"type", "content"}]}.
json::array parts_of(const json::object& message) {
  json::array parts;
  const auto role = string_or(message, "role");
  const auto* content = message.if_contains("content");
  if (role == "tool") {
    parts.push_back({{"type", "tool_call_response"}, {"id", string_or(message, "tool_call_id")}, {"response", content ? *content : json::value()}});
    return parts;
  }
  if (content && content->is_string() && !content->get_string().empty()) {
    parts.push_back({{"type", "text"}, {"content", content->get_string()}});
  } else if (content && content->is_array()) {
    for (const auto& one : content->get_array()) {
      if (!one.is_object()) continue;
      const auto& object = one.get_object();
      const auto* image = object.if_contains("image_url");
      if (!image || !image->is_object()) {
        parts.push_back({{"type", "text"}, {"content", string_or(object, "text")}});
        continue;
      }
      const auto url = string_or(image->get_object(), "url");
      // An image's bytes explain nothing.
      const std::string shown = url.starts_with("data:") ? std::string(url.substr(0, url.find(','))) + ",… (" + std::to_string(url.size()) + " bytes)" : std::string(url);
      parts.push_back({{"type", "uri"}, {"modality", "image"}, {"uri", shown}});
    }
  }
  if (const auto* calls = message.if_contains("tool_calls"); calls && calls->is_array()) {
    for (const auto& one : calls->get_array()) {
      const auto* function = one.is_object() ? one.get_object().if_contains("function") : nullptr;
      if (!function || !function->is_object()) continue;
      parts.push_back({{"type", "tool_call"}, {"id", string_or(one.get_object(), "id")}, {"name", string_or(function->get_object(), "name")},
                       {"arguments", json_or_text(string_or(function->get_object(), "arguments"))}});
    }
  }
  return parts;
}

std::string input_text(const json::array& messages) {
  json::array out;
  for (const auto& one : messages) {
    if (one.is_object()) out.push_back({{"role", string_or(one.get_object(), "role")}, {"parts", parts_of(one.get_object())}});
  }
  return compact_json(out);
}

std::string output_text(const models::Reply& reply) {
  json::array parts;
  if (!reply.reasoning.empty()) parts.push_back({{"type", "reasoning"}, {"content", reply.reasoning}});
  if (!reply.content.empty()) parts.push_back({{"type", "text"}, {"content", reply.content}});
  for (const auto& call : reply.tool_calls) {
    parts.push_back({{"type", "tool_call"}, {"id", call.id}, {"name", call.name}, {"arguments", json_or_text(call.arguments_json)}});
  }
  json::array out;
  out.push_back({{"role", "assistant"}, {"parts", std::move(parts)}, {"finish_reason", reply.finish_reason}});
  return compact_json(out);
}

std::string plain_message(std::string_view role, std::string_view content) {
  json::array out;
  out.push_back({{"role", role}, {"parts", json::array{json::object{{"type", "text"}, {"content", content}}}}});
  return compact_json(out);
}

// A model's calls, each a span with its tries, fallbacks and what they took.
class TracedModel final : public models::Model {
 public:
  TracedModel(std::shared_ptr<Model> inner, models::ModelInfo info, trace::Tracer& tracer, const recordings::Prompts& prompts, bool replayed)
      : inner_(std::move(inner)), info_(std::move(info)), tracer_(tracer), prompts_(prompts), replayed_(replayed) {}

  std::string description() const override { return inner_->description(); }

  Result<models::Reply> complete(const models::Request& request, const models::OnEvent& on_event) override {
    auto span = begin("chat", request.caller, request.parameters);
    if (request.output_schema) span->add("gen_ai.output.type", std::string("json"));
    const std::string input = input_text(request.messages);
    span->add("sabir.input.hash", fingerprint(input));
    span->text("gen_ai.input.messages", input);
    if (!request.tools.empty()) {
      const std::string tools = compact_json(request.tools);
      span->add("sabir.tools.count", static_cast<std::int64_t>(request.tools.size()));
      span->add("sabir.tools.hash", fingerprint(tools));
      span->text("gen_ai.tool.definitions", tools);
    }
    add_prompts(*span, request.messages);
    const auto begun = trace::Clock::now();
    bool waiting = true;
    models::OnEvent timed;
    if (on_event) {
      span->add("gen_ai.request.stream", true);
      timed = [&](const models::Event& event) {
        if (waiting && (!event.content.empty() || !event.reasoning.empty())) {
          waiting = false;
          span->add("gen_ai.response.time_to_first_chunk", std::chrono::duration<double>(trace::Clock::now() - begun).count());
        }
        on_event(event);
      };
    }
    Result<models::Reply> reply = [&] {
      const trace::Scope scope(*span);
      return inner_->complete(request, timed);
    }();
    if (reply) {
      span->add("gen_ai.response.finish_reasons", std::vector<std::string>{reply->finish_reason});
      span->text("gen_ai.output.messages", output_text(*reply));
      if (reply->repaired) span->add("sabir.repaired", true);
    }
    return ended(std::move(span), std::move(reply));
  }

  Result<models::Embeddings> embed(const models::EmbedRequest& request) override {
    auto span = begin("embeddings", request.caller, request.parameters);
    span->add("sabir.input.count", static_cast<std::int64_t>(request.texts.size()));
    Result<models::Embeddings> out = [&] {
      const trace::Scope scope(*span);
      return inner_->embed(request);
    }();
    if (out && !out->vectors.empty()) span->add("gen_ai.embeddings.dimension.count", static_cast<std::int64_t>(out->vectors.front().size()));
    return ended(std::move(span), std::move(out));
  }

 private:
  std::shared_ptr<Span> begin(std::string_view operation, const models::Caller& caller, const json::object& parameters) {
    auto span = tracer_.begin(trace::current());
    const std::string& model = info_.model.empty() ? info_.alias : info_.model;
    span->kind = trace::Kind::kClient;
    span->operation = operation;
    span->name = std::string(operation) + " " + model;
    if (span->root && caller.context != CallContext{}) span->who = std::make_unique<CallContext>(caller.context);
    span->add("gen_ai.operation.name", std::string(operation));
    span->add("gen_ai.provider.name", info_.provider);
    span->add("gen_ai.request.model", model);
    span->add("sabir.model.alias", info_.alias);
    span->add_if("gen_ai.conversation.id", caller.context.conversation);
    span->add_if("sabir.caller", caller.assistant.empty() ? caller.function : caller.assistant);
    if (info_.switched) span->add("sabir.model.switched_from", info_.switched->from);
    if (replayed_) span->add("sabir.replayed", true);
    add_parameters(*span, info_.parameters);
    add_parameters(*span, parameters);
    return span;
  }

  template <class Answer>
  Result<Answer> ended(std::shared_ptr<Span> span, Result<Answer> answer) {
    if (answer) {
      // A fallback's, where one answered.
      if (!answer->provider.empty()) span->set("gen_ai.provider.name", answer->provider);
      if (!answer->model.empty()) span->add("gen_ai.response.model", answer->model);
      if (!answer->alias.empty()) span->set("sabir.model.alias", answer->alias);
      // One that is given again took nothing.
      if (answer->cached) span->add("sabir.cache.hit", true);
      else add_usage(*span, answer->usage);
      if (answer->cost_usd && !replayed_) span->add(kCost, *answer->cost_usd);
      if (answer->tries > 1) span->add("sabir.tries", std::int64_t{answer->tries});
      if (!answer->missed.empty()) span->add("sabir.fallbacks", static_cast<std::int64_t>(answer->missed.size()));
      answer->trace = trace::hex(span->context.trace);
    } else {
      span->fail(answer.error());
    }
    tracer_.end(std::move(span));
    return answer;
  }

  void add_prompts(Span& span, const json::array& messages) const {
    std::vector<std::string> names;
    std::vector<std::string> hashes;
    for (const auto& use : prompts_.uses(messages)) {
      if (std::find(names.begin(), names.end(), use.name) != names.end()) continue;
      names.push_back(use.name);
      hashes.push_back(use.variables);
    }
    if (names.empty()) return;
    span.add("sabir.prompt.names", std::move(names));
    span.add("sabir.prompt.hashes", std::move(hashes));
  }

  static constexpr std::string_view kCost = "sabir.cost.usd";

  const std::shared_ptr<Model> inner_;
  const models::ModelInfo info_;
  trace::Tracer& tracer_;
  const recordings::Prompts& prompts_;
  const bool replayed_;
};

// What is written and recalled within a span; outside of one, people look at their memory, which explains nothing.
class TracedMemory final : public memory::Memory {
 public:
  TracedMemory(std::unique_ptr<Memory> inner, trace::Tracer& tracer) : inner_(std::move(inner)), tracer_(tracer) {}

  Result<std::int64_t> put(const CallContext& scope, const std::string& name_space, const std::string& key, const std::string& value_json,
                           const memory::PutOptions& options) override {
    return traced("upsert_memory", name_space, key, [&](Span* span) {
      auto version = inner_->put(scope, name_space, key, value_json, options);
      if (span && version) span->add("sabir.memory.version", *version);
      if (span) span->text("gen_ai.memory.records", record(key, value_json));
      return version;
    });
  }
  Result<std::optional<memory::Item>> get(const CallContext& scope, const std::string& name_space, const std::string& key) override {
    return traced("search_memory", name_space, key, [&](Span* span) {
      auto item = inner_->get(scope, name_space, key);
      if (!span || !item) return item;
      span->add("gen_ai.memory.record.count", std::int64_t{*item ? 1 : 0});
      if (!*item) return item;
      span->add("sabir.memory.version", (*item)->version);
      span->text("gen_ai.memory.records", record(key, (*item)->value_json));
      return item;
    });
  }
  Result<std::vector<memory::Item>> list(const CallContext& scope, const std::string& name_space, const std::string& prefix, const std::string& after,
                                         int limit) override {
    return traced("search_memory", name_space, "", [&](Span* span) {
      auto items = inner_->list(scope, name_space, prefix, after, limit);
      if (!span || !items) return items;
      span->add("gen_ai.memory.record.count", static_cast<std::int64_t>(items->size()));
      std::vector<std::string> recalled;
      json::array records;
      for (const auto& item : *items) {
        if (recalled.size() < kMostNamed) recalled.push_back(item.key + "@" + std::to_string(item.version));
        if (span->keeps_text) records.push_back({{"id", item.key}, {"content", json_or_text(item.value_json)}});
      }
      span->add("sabir.memory.recalled", std::move(recalled));
      if (!records.empty()) span->text("gen_ai.memory.records", compact_json(records));
      return items;
    });
  }
  Result<bool> remove(const CallContext& scope, const std::string& name_space, const std::string& key) override {
    return traced("delete_memory", name_space, key, [&](Span*) { return inner_->remove(scope, name_space, key); });
  }
  Result<std::int64_t> append(const CallContext& scope, const std::string& conversation, const std::string& message_json) override {
    return traced("create_memory", "conversation", "", [&](Span* span) {
      auto seq = inner_->append(scope, conversation, message_json);
      if (span && seq) span->add("sabir.memory.seq", *seq);
      return seq;
    });
  }
  // Their texts stand in what the model is asked.
  Result<std::vector<memory::Message>> messages(const CallContext& scope, const std::string& conversation, int limit) override {
    return traced("search_memory", "conversation", "", [&](Span* span) {
      auto messages = inner_->messages(scope, conversation, limit);
      if (!span || !messages) return messages;
      span->add("gen_ai.memory.record.count", static_cast<std::int64_t>(messages->size()));
      if (messages->empty()) return messages;
      span->add("sabir.memory.first_seq", messages->front().seq);
      span->add("sabir.memory.last_seq", messages->back().seq);
      return messages;
    });
  }

 private:
  static constexpr std::size_t kMostNamed = 100;

  static std::string record(const std::string& key, const std::string& value_json) {
    json::array records;
    records.push_back({{"id", key}, {"content", json_or_text(value_json)}});
    return compact_json(records);
  }

  template <class Work>
  std::invoke_result_t<const Work&, Span*> traced(std::string_view operation, const std::string& store, const std::string& key, const Work& work) {
    const auto parent = trace::current();
    if (!parent) return work(nullptr);
    auto span = tracer_.begin(parent);
    span->operation = operation;
    span->name = operation;
    span->add("gen_ai.operation.name", std::string(operation));
    span->add("gen_ai.memory.store.id", store);
    span->add_if("gen_ai.memory.record.id", key);
    auto out = work(span.get());
    if (!out) span->fail(out.error());
    tracer_.end(std::move(span));
    return out;
  }

  const std::unique_ptr<Memory> inner_;
  trace::Tracer& tracer_;
};

// Of all the files that a prompt was made from.
std::string hash_of(const completions::Rendered& rendered) {
  if (rendered.sources.size() == 1) return rendered.sources.front().hash;
  std::string all;
  for (const auto& source : rendered.sources) all += source.file + "\n" + source.hash + "\n";
  return fingerprint(all);
}

}  // namespace

void Engine::State::observe_prompts() {
  renderer->observe([this](const std::string& name, const std::function<json::object()>& variables, const completions::Rendered& out) {
    const auto note = [&](recordings::Prompts& prompts, const std::string& with) {
      prompts.note(out.text, name, with);
      for (const auto& message : out.messages) {
        if (message.is_object()) prompts.note(string_or(message.get_object(), "content"), name, with);
      }
    };
    if (recordings) note(*recordings->prompts(), recordings->fingerprint_of(variables()));
    if (!tracer) return;
    const std::string hash = hash_of(out);
    note(known_prompts, hash);
    auto* const span = trace::current_span();
    if (!span) return;
    span->set("gen_ai.prompt.name", name);
    span->set("sabir.prompt.hash", hash);
    std::vector<std::string> files;
    for (const auto& source : out.sources) files.push_back(source.file + "@" + source.hash);
    span->set("sabir.prompt.files", std::move(files));
    span->set("sabir.prompt.text_hash", fingerprint(out.text));
    if (out.budget) {
      span->set("sabir.prompt.tokens", static_cast<std::int64_t>(out.budget->used));
      for (const auto& cut : out.budget->cuts) {
        span->event(cut.is_dropped ? "prompt.part_dropped" : "prompt.part_shortened", {{"sabir.prompt.part", cut.part}});
      }
    }
    if (span->keeps_text) span->text("sabir.prompt.messages", input_text(out.messages));
  });
}

std::unique_ptr<memory::Memory> Engine::State::traced(std::unique_ptr<memory::Memory> store) {
  if (!tracer) return store;
  return std::make_unique<TracedMemory>(std::move(store), *tracer);
}

std::shared_ptr<models::Model> Engine::State::traced(std::shared_ptr<models::Model> model, const std::string& alias, bool replayed) {
  if (!tracer) return model;
  auto all = load_models();
  auto info = all ? (*all)->info(alias) : Result<models::ModelInfo>(fail(all.error()));
  if (!info) return model;
  return std::make_shared<TracedModel>(std::move(model), std::move(*info), *tracer, known_prompts, replayed);
}

void Engine::State::note_replayed(const functions::CallRequest& request, const Result<protocol::Payload>& outcome) {
  if (!tracer) return;
  auto span = functions::begin_call(*tracer, nullptr, request, trace::Clock::now());
  span->add("sabir.replayed", true);
  functions::end_call(*tracer, std::move(span), outcome, trace::Clock::now());
}

Result<json::object> Engine::State::traced_prompt(const PromptRequest& asked, const RunEvents& events, workers::Caller& caller,
                                                  std::shared_ptr<std::atomic<bool>> cancelled) {
  if (!tracer) return complete_prompt(asked, events, caller, std::move(cancelled));
  auto span = tracer->begin(caller.span);
  span->operation = "complete";
  span->name = "complete " + asked.name;
  if (caller.context != CallContext{}) span->who = std::make_unique<CallContext>(caller.context);
  caller.span = span->context;
  auto answer = [&] {
    const trace::Scope scope(*span);
    return complete_prompt(asked, events, caller, std::move(cancelled));
  }();
  if (answer) {
    (*answer)["trace"] = trace::hex(span->context.trace);
  } else {
    span->fail(answer.error());
  }
  tracer->end(std::move(span));
  return answer;
}

Result<json::object> Engine::State::run_assistant(const std::string& name, const std::string& message, const std::string& conversation_given,
                                                  const RunEvents& events, workers::Caller& asker, std::shared_ptr<std::atomic<bool>> cancelled,
                                                  std::optional<assistants::Turn> turn) {
  std::shared_ptr<const functions::Registry> functions_now;
  {
    const std::lock_guard lock(registry_mutex);
    functions_now = registry;
  }
  auto assistant = functions_now->find_assistant(name);
  if (!assistant) return fail(std::move(assistant.error()));
  const std::string conversation = conversation_given.empty() ? new_id() : conversation_given;
  if (!tracer) return run_turn(**assistant, functions_now, message, conversation, events, asker, std::move(cancelled), std::move(turn));

  auto span = tracer->begin(asker.span);
  span->operation = "invoke_agent";
  span->name = "invoke_agent " + (*assistant)->name;
  if (span->root) {
    auto who = std::make_unique<CallContext>(asker.context);
    who->conversation = conversation;
    span->who = std::move(who);
  }
  span->add("gen_ai.operation.name", std::string(span->operation));
  span->add("gen_ai.agent.name", (*assistant)->name);
  span->add("gen_ai.conversation.id", conversation);
  const auto& source = (*assistant)->source;
  span->add("code.file.path", source.relative);
  if (const auto text = read_file(source.path)) span->add("sabir.assistant.hash", fingerprint(*text));
  if (span->keeps_text) span->text("gen_ai.input.messages", plain_message("user", message));
  auto answer = [&] {
    const trace::Scope scope(*span);
    return run_turn(**assistant, functions_now, message, conversation, events, asker, std::move(cancelled), std::move(turn));
  }();
  const std::string id = trace::hex(span->context.trace);
  if (answer) {
    if (span->keeps_text) span->text("gen_ai.output.messages", plain_message("assistant", string_or(*answer, "content")));
    for (const auto& [key, attribute] : {std::pair("model", "gen_ai.response.model"), std::pair("provider", "gen_ai.provider.name")}) span->add_if(attribute, string_or(*answer, key));
    if (const auto* steps = answer->if_contains("steps"); steps && steps->is_int64()) span->add("sabir.steps", steps->get_int64());
    if (const auto* usage = answer->if_contains("usage"); usage && usage->is_object()) {
      for (const auto& [key, attribute] : {std::pair("input_tokens", "gen_ai.usage.input_tokens"), std::pair("output_tokens", "gen_ai.usage.output_tokens")}) {
        if (const auto* count = usage->get_object().if_contains(key); count && count->is_int64()) span->add(attribute, count->get_int64());
      }
    }
    if (const auto* cost = answer->if_contains("cost_usd")) {
      if (const auto usd = number_of(*cost)) span->add("sabir.cost.usd", *usd);
    }
    (*answer)["trace"] = id;
  } else {
    span->fail(answer.error());
  }
  tracer->end(std::move(span));
  return answer;
}

}  // namespace sabir::runtime
