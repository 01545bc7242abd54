#include "engine_host.h"

#include <algorithm>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/mcp/content.h"
#include "sabir/protocol/raw_json.h"
#include "sabir/secrets/redactor.h"

namespace sabir::serve {
namespace {

using protocol::Payload;

constexpr std::chrono::minutes kPersonAnswers{10};      // for an approval
constexpr std::chrono::hours kLongestCall{24};          // a function's own time limit comes first
constexpr std::chrono::seconds kShort{60};              // memory and prompts
constexpr std::chrono::seconds kLookEvery{1};           // at memory that is subscribed to
constexpr int kLookAtOnce = 64;
constexpr std::size_t kMostStreamed = std::size_t{64} << 20U;  // bytes of chunks that become one list
constexpr std::size_t kMostShown = 2000;                // bytes of arguments that a person is shown
constexpr std::string_view kApproval = "sabir.approve";

// A request's client, for what its function says and asks meanwhile.
class WorkClient final : public workers::CallClient {
 public:
  WorkClient(const mcp::WorkPtr& work, std::shared_ptr<const secrets::Redactor> redactor) : work_(work), redactor_(std::move(redactor)) {}

  void ask(const std::string& questions_json, std::function<void(Result<std::string>)> answered) override {
    const auto work = work_.lock();
    const auto questions = parse_json(questions_json);
    if (!work || !work->is_open()) return answered(fail(ErrorCode::kCancelled, "the request that this belongs to has ended"));
    if (!questions || !questions->is_object()) return answered(fail(ErrorCode::kInvalidArguments, "client/ask takes questions by name"));
    work->ask(questions->get_object(), [answered = std::move(answered)](Result<json::object> answers) {
      if (answers) return answered(compact_json(*answers));
      answered(fail(std::move(answers.error())));
    });
  }

  std::string capabilities() override {
    const auto work = work_.lock();
    return work ? compact_json(work->capabilities()) : "{}";
  }

  void log(std::string_view level, std::string_view address, std::string_view message) override {
    if (const auto work = work_.lock()) work->log(mcp::severity_of(level).value_or(mcp::Severity::kInfo), address, redactor_->redact(message));
  }

 private:
  const std::weak_ptr<mcp::Work> work_;
  const std::shared_ptr<const secrets::Redactor> redactor_;
};

// The value of an answer {"value": …} with the blobs that belong to it.
Payload value_of(Payload answer) {
  Payload out;
  const auto members = protocol::raw_members(answer.json);
  if (members) out.json = std::string(protocol::find_member(*members, "value").value_or("null"));
  for (auto& blob : answer.blobs) {
    if (!blob.at.starts_with("/value")) continue;
    blob.at.erase(0, 6);
    out.blobs.push_back(std::move(blob));
  }
  return out;
}

double number_of(const json::object& object, const char* key, double otherwise) {
  const auto* value = object.if_contains(key);
  return value && value->is_number() ? value->to_number<double>() : otherwise;
}

// "sabir://memory/default/a%2Fb".
std::string memory_uri(std::string_view name_space, std::string_view key) {
  return std::string(kMemoryUris) + mcp::percent_encoded(name_space) + "/" + mcp::percent_encoded(key);
}

std::string cut(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  // Not inside of a character.
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0U) == 0x80U) --most;
  return std::string(text.substr(0, most)) + " …";
}

bool allows(const json::object& schema, std::string_view type) {
  const auto* own = schema.if_contains("type");
  if (!own) return true;
  if (own->is_string()) return own->get_string() == type;
  return own->is_array() && std::any_of(own->get_array().begin(), own->get_array().end(), [&](const auto& one) { return one.is_string() && one.get_string() == type; });
}

}  // namespace

json::value argument_value(const std::string& text, const json::object& schema) {
  if (schema.empty() || (schema.contains("type") && allows(schema, "string") && string_or(schema, "type") == "string")) return json::value(text);
  auto parsed = parse_json(text);
  if (!parsed || parsed->is_string()) return json::value(text);
  if (const auto* choices = schema.if_contains("enum"); choices && choices->is_array()) {
    const auto& list = choices->get_array();
    return std::find(list.begin(), list.end(), json::value(text)) != list.end() ? json::value(text) : *parsed;
  }
  return *parsed;
}

EngineHost::EngineHost(runtime::Engine& engine, Offers& offers, CallContext context)
    : engine_(engine), offers_(offers), context_(std::move(context)), redactor_(engine.redactor()) {}

EngineHost::~EngineHost() {
  *alive_ = false;
  engine_.loop().cancel(timer_);
}

// What a caller may see of an error.
Error EngineHost::shown(Error error) const {
  error.message = redactor_->redact(error.message);
  error.hint = redactor_->redact(error.hint);
  error.detail.clear();
  return error;
}

std::function<void()> EngineHost::ask(std::string method, std::string params, Reply reply, runtime::Asked asked) {
  asked.method = std::move(method);
  asked.params = protocol::deflate(std::move(params));
  if (!asked.params.blobs.empty()) {
    asked.params.json.pop_back();
    asked.params.json += protocol::blob_list(asked.params.blobs, "") + "}";
  }
  asked.caller = "mcp";
  asked.context = context_;
  if (asked.deadline == workers::Clock::time_point::max()) asked.deadline = workers::Clock::now() + kShort;
  asked.reply = [alive = alive_, reply = std::move(reply)](Result<Payload> answer) {
    if (*alive) reply(std::move(answer));
  };
  return engine_.submit(std::move(asked));
}

void EngineHost::ask_object(std::string method, const json::object& params, std::function<void(Result<json::object>)> reply) {
  ask(std::move(method), compact_json(params), [reply = std::move(reply)](Result<Payload> answer) {
    if (!answer) return reply(fail(std::move(answer.error())));
    auto text = protocol::inflate(*answer);
    auto value = text ? parse_json(*text) : Result<json::value>(fail(text.error()));
    if (!value || !value->is_object()) return reply(fail(ErrorCode::kProtocol, "the engine's answer is no object"));
    reply(std::move(value->get_object()));
  });
}

// ---- tools -----------------------------------------------------------------------------------------------------------------

void EngineHost::call(const mcp::WorkPtr& work, const std::string& address, std::string arguments, Reply reply) {
  struct Streamed {
    std::string list = "[";
    std::size_t count = 0;
    bool too_much = false;
  };
  auto streamed = std::make_shared<Streamed>();
  runtime::Asked asked;
  asked.deadline = workers::Clock::now() + kLongestCall;
  asked.client = std::make_shared<WorkClient>(work, redactor_);
  asked.span = trace::parse_traceparent(work->traceparent()).value_or(trace::SpanContext{});
  asked.notice = [work, streamed](std::string_view method, std::string_view members) {
    if (method == "progress") {
      const auto value = parse_json(members);
      if (!value || !value->is_object()) return;
      const auto& object = value->get_object();
      std::optional<double> total;
      if (const auto* own = object.if_contains("total"); own && own->is_number()) total = own->to_number<double>();
      work->progress(number_of(object, "done", 0), total, string_or(object, "message"));
      return;
    }
    const auto chunk = protocol::raw_at(members, "/value");
    if (streamed->list.size() + chunk.size() > kMostStreamed) streamed->too_much = true;
    if (streamed->too_much) return;
    if (streamed->count++ > 0) streamed->list += ',';
    streamed->list.append(chunk);
  };
  std::string params = "{\"address\":" + protocol::quote(address) + ",\"arguments\":" + arguments + ",\"stream\":true,\"idempotency_key\":" + protocol::quote(work->key()) + "}";
  work->when_cancelled = ask("functions.call", std::move(params), [work, streamed, reply = std::move(reply)](Result<Payload> answer) {
    work->when_cancelled = nullptr;
    if (!answer) return reply(std::move(answer));
    if (streamed->too_much) return reply(fail(ErrorCode::kLimit, "the function yielded more than " + std::to_string(kMostStreamed >> 20U) + " MB", "Let it yield less, or return the address of a file."));
    if (streamed->count > 0) return reply(Payload{streamed->list + "]", {}});
    reply(value_of(std::move(*answer)));
  }, std::move(asked));
}

void EngineHost::call_tool(mcp::WorkPtr work, std::shared_ptr<const mcp::Catalogue> catalogue, const mcp::Tool& tool, std::string arguments) {
  const auto go = [this, work, catalogue = std::move(catalogue), tool = &tool, arguments] {
    call(work, tool->address, arguments, [this, work, catalogue, tool](Result<Payload> value) {
      auto members = value ? mcp::tool_result(work->revision(), *tool, *value) : Result<std::string>(fail(std::move(value.error())));
      work->answer_members(members ? *members : mcp::tool_failure(shown(std::move(members.error()))));
    });
  };
  if (!tool.is_irreversible || !offers_.settings().asks) return go();
  approve(work, tool, arguments, go);
}

void EngineHost::approve(const mcp::WorkPtr& work, const mcp::Tool& tool, const std::string& arguments, std::function<void()> approved) {
  const std::string asking = "Allow " + tool.name + (arguments == "{}" ? std::string() : " with " + redactor_->redact(cut(arguments, kMostShown))) + "? It cannot be undone.";
  const json::object questions{
      {kApproval, {{"method", "elicitation/create"},
                   {"params", {{"message", asking},
                               {"requestedSchema", {{"type", "object"},
                                                    {"properties", {{"approve", {{"type", "boolean"}, {"title", "Allow this call"}, {"description", asking}, {"default", false}}}}},
                                                    {"required", json::array{"approve"}}}}}}}}};
  auto refused = [this, work](std::string why, std::string hint) {
    work->answer_members(mcp::tool_failure(shown(Error(ErrorCode::kApprovalRefused, std::move(why), std::move(hint)))));
  };
  const auto timer = engine_.loop().after(kPersonAnswers, [here = alive_, work, refused] {
    if (*here && work->is_open()) refused("nobody allowed the call in time", "Ask the person again before you call it again.");
  });
  work->when_cancelled = [this, here = alive_, timer] {
    if (*here) engine_.loop().cancel(timer);
  };
  work->ask(questions, [this, here = alive_, work, timer, refused, name = tool.name, approved = std::move(approved)](Result<json::object> answers) {
    if (!*here) return;
    engine_.loop().cancel(timer);
    if (!work->is_open()) return;
    if (!answers) {
      return refused("the call of " + name + " needs somebody's approval: " + answers.error().message, "`irreversible: client` under `mcp` in sabir.yml leaves the asking to the client.");
    }
    const json::value all(*answers);
    json::error_code ec;
    const auto* action = all.find_pointer("/" + std::string(kApproval) + "/action", ec);
    const auto* approve = all.find_pointer("/" + std::string(kApproval) + "/content/approve", ec);
    const bool is_allowed = action && action->is_string() && action->get_string() == "accept" && approve && approve->is_bool() && approve->get_bool();
    if (!is_allowed) return refused("the call of " + name + " was not allowed", "Do not try it again unless the person asks for it.");
    if (!work->consume()) return refused("this approval has been used", "Call it anew, so that the person is asked again.");
    approved();
  }, mcp::Work::Trust::kAskedAlone);
}

// ---- prompts ---------------------------------------------------------------------------------------------------------------

void EngineHost::get_prompt(mcp::WorkPtr work, std::shared_ptr<const mcp::Catalogue> catalogue, const mcp::Prompt& prompt, json::object arguments) {
  json::object variables;
  for (const auto& given : arguments) {
    const auto known = std::find_if(prompt.arguments.begin(), prompt.arguments.end(), [&](const auto& one) { return one.name == given.key(); });
    variables[given.key()] = given.value().is_string() && known != prompt.arguments.end() ? argument_value(std::string(given.value().get_string()), known->schema) : given.value();
  }
  const auto refuse = [this, work](Error error) {
    error = shown(std::move(error));
    const bool is_callers = error.code == ErrorCode::kInvalidArguments || error.code == ErrorCode::kNotFound;
    work->refuse({is_callers ? mcp::kInvalidParams : mcp::kInternalError, error.message + (error.hint.empty() ? "" : " " + error.hint), compact_json(to_json(error))});
  };
  if (prompt.address.empty()) {
    const std::string params = "{\"name\":" + protocol::quote(prompt.name) + ",\"variables\":" + compact_json(variables) + "}";
    work->when_cancelled = ask("completions.render", params, [work, refuse, description = prompt.description](Result<Payload> answer) {
      if (!answer) return refuse(std::move(answer.error()));
      auto text = protocol::inflate(*answer);
      const auto value = text ? parse_json(*text) : Result<json::value>(fail(text.error()));
      const auto* messages = value && value->is_object() ? value->get_object().if_contains("messages") : nullptr;
      if (!messages || !messages->is_array()) return refuse(Error(ErrorCode::kProtocol, "the prompt has no messages"));
      work->answer({{"description", description}, {"messages", mcp::prompt_messages(messages->get_array())}});
    });
    return;
  }
  call(work, prompt.address, compact_json(variables), [work, refuse, catalogue = std::move(catalogue), description = prompt.description](Result<Payload> value) {
    auto messages = value ? mcp::prompt_messages(*value) : Result<json::array>(fail(std::move(value.error())));
    if (!messages) return refuse(std::move(messages.error()));
    work->answer({{"description", description}, {"messages", std::move(*messages)}});
  });
}

// ---- resources -------------------------------------------------------------------------------------------------------------

void EngineHost::read_resource(mcp::WorkPtr work, std::string uri) {
  if (const auto variables = offers_.has_memory() ? mcp::match_uri(kMemoryTemplate, uri) : std::nullopt) return read_memory(work, uri, (*variables)[0].second, (*variables)[1].second);
  const auto catalogue = offers_.catalogue();
  const auto from_function = [&](const std::string& address, const std::string& media_type, bool is_bytes, const std::string& arguments) {
    call(work, address, arguments, [this, work, uri, media_type, is_bytes](Result<Payload> value) {
      auto content = value ? mcp::resource_content(uri, media_type, is_bytes, *value) : Result<json::object>(fail(std::move(value.error())));
      if (content) return work->answer({{"contents", json::array{std::move(*content)}}});
      const auto error = shown(std::move(content.error()));
      // A function says by `not_found`, or by refusing its arguments, that there is no such resource.
      if (error.code == ErrorCode::kNotFound || error.code == ErrorCode::kInvalidArguments) return mcp::refuse_unknown_resource(*work, uri);
      work->refuse({mcp::kInternalError, error.message, compact_json(to_json(error))});
    });
  };
  if (const auto* resource = catalogue->resource(uri)) {
    if (resource->address.empty()) return read_part(work, uri);
    return from_function(resource->address, resource->media_type, resource->is_bytes, "{}");
  }
  for (const auto& one : catalogue->templates) {
    if (one.address.empty()) continue;
    const auto variables = mcp::match_uri(one.uri, uri);
    if (!variables) continue;
    json::object arguments;
    for (const auto& [name, value] : *variables) {
      const auto known = std::find_if(one.arguments.begin(), one.arguments.end(), [&, wanted = &name](const auto& argument) { return argument.name == *wanted; });
      arguments[name] = known == one.arguments.end() ? json::value(value) : argument_value(value, known->schema);
    }
    return from_function(one.address, one.media_type, one.is_bytes, compact_json(arguments));
  }
  mcp::refuse_unknown_resource(*work, uri);
}

void EngineHost::read_part(const mcp::WorkPtr& work, const std::string& uri) {
  const auto* resource = offers_.catalogue()->resource(uri);
  // The name is a listed one, so that it leads nowhere else.
  const auto path = offers_.project()->root / "completions" / "prompt_parts" / resource->name;
  const bool taken = offers_.elsewhere([here = alive_, work, uri, path, type = resource->media_type, &loop = engine_.loop()] {
    auto text = read_file(path, std::size_t{4} << 20U);
    loop.post([here, work, uri, type, text = std::move(text)] {
      if (!*here) return;
      if (!text || find_invalid_utf8(*text) != std::string::npos) return mcp::refuse_unknown_resource(*work, uri);
      work->may_keep(5'000, false);
      work->answer({{"contents", json::array{json::object{{"uri", uri}, {"mimeType", type}, {"text", *text}}}}});
    });
  });
  if (!taken) work->refuse({mcp::kInternalError, "the engine has too much to do; try again later", {}});
}

void EngineHost::read_memory(const mcp::WorkPtr& work, const std::string& uri, const std::string& name_space, const std::string& key) {
  ask_object("memory.get", {{"namespace", name_space}, {"key", key}}, [this, work, uri](Result<json::object> item) {
    const auto* found = item ? item->if_contains("found") : nullptr;
    if (!item && item.error().code != ErrorCode::kInvalidArguments) return work->refuse({mcp::kInternalError, shown(item.error()).message, {}});
    if (!found || !found->is_bool() || !found->get_bool()) return mcp::refuse_unknown_resource(*work, uri);
    const auto& value = item->at("value");
    json::object content{{"uri", uri}, {"mimeType", value.is_string() ? "text/plain" : "application/json"}};
    content["text"] = value.is_string() ? std::string(value.get_string()) : compact_json(value);
    work->answer({{"contents", json::array{std::move(content)}}});
  });
}

void EngineHost::more_resources(const mcp::Work&, const std::string& after, int most, std::function<void(Result<More>)> done) {
  // "2:key": behind the key of the third namespace.
  const auto& names = offers_.settings().memory;
  std::size_t index = 0;
  std::string last;
  if (!after.empty()) {
    const auto colon = after.find(':');
    if (colon == std::string::npos || colon > 6 || after.find_first_not_of("0123456789") != colon) return done(fail(ErrorCode::kInvalidArguments, "'cursor' is not one that this list gave"));
    index = static_cast<std::size_t>(std::atoi(after.c_str()));
    last = after.substr(colon + 1);
  }
  if (index >= names.size() || most <= 0 || !offers_.has_memory()) return done(More{});
  const std::string name_space = names[index];
  ask_object("memory.list", {{"namespace", name_space}, {"after", last}, {"limit", most}}, [this, index, name_space, most, count = names.size(), done = std::move(done)](Result<json::object> answer) {
    if (!answer) return done(fail(shown(std::move(answer.error()))));
    More more;
    const auto& items = answer->at("items").as_array();
    for (const auto& item : items) {
      mcp::Resource one;
      one.name = std::string(item.at("key").as_string());
      one.uri = memory_uri(name_space, one.name);
      one.description = "An item of the memory '" + name_space + "'.";
      one.media_type = item.at("value").is_string() ? "text/plain" : "application/json";
      more.resources.push_back(std::move(one));
    }
    if (static_cast<int>(items.size()) >= most) {
      more.next = std::to_string(index) + ":" + more.resources.back().name;
    } else if (index + 1 < count) {
      more.next = std::to_string(index + 1) + ":";
    }
    done(std::move(more));
  });
}

void EngineHost::complete(const mcp::Work&, const mcp::Completion& asked, std::function<void(std::vector<std::string>)> done) {
  if (asked.name != kMemoryTemplate || asked.argument != "key") return done({});
  const std::string name_space(string_or(asked.arguments, "namespace", offers_.settings().memory.empty() ? "default" : offers_.settings().memory.front()));
  ask_object("memory.list", {{"namespace", name_space}, {"prefix", asked.value}, {"limit", 101}}, [done = std::move(done)](Result<json::object> answer) {
    std::vector<std::string> keys;
    if (answer) {
      for (const auto& item : answer->at("items").as_array()) keys.emplace_back(item.at("key").as_string());
    }
    done(std::move(keys));
  });
}

// ---- subscriptions ---------------------------------------------------------------------------------------------------------

void EngineHost::watch(const std::string& uri, bool wanted, const std::function<void(const std::string&)>& updated) {
  updated_ = updated;
  if (!wanted) {
    watched_.erase(uri);
  } else if (uri.starts_with(kMemoryUris) && offers_.has_memory()) {
    watched_.emplace(uri, Watched{});
  }
  if (!watched_.empty() && timer_ == 0) look_at_memory();
}

// Any engine of the project may have written, so that the items themselves are looked at, some at a time.
void EngineHost::look_at_memory() {
  timer_ = 0;
  if (watched_.empty()) return;
  auto at = watched_.upper_bound(looked_at_);
  const std::size_t round = std::min<std::size_t>(watched_.size(), kLookAtOnce);
  for (std::size_t i = 0; i < round; ++i, ++at) {
    if (at == watched_.end()) at = watched_.begin();
    looked_at_ = at->first;
    const auto variables = mcp::match_uri(kMemoryTemplate, at->first);
    if (!variables) continue;
    ask_object("memory.get", {{"namespace", (*variables)[0].second}, {"key", (*variables)[1].second}}, [this, uri = at->first](Result<json::object> item) {
      const auto found = watched_.find(uri);
      if (!item || found == watched_.end()) return;
      const auto version = static_cast<std::int64_t>(number_of(*item, "version", 0));
      const bool changed = found->second.version >= 0 && found->second.version != version;
      found->second.version = version;
      if (changed && updated_) updated_(uri);
    });
  }
  timer_ = engine_.loop().after(kLookEvery, [this, here = alive_] {
    if (*here) look_at_memory();
  });
}

}  // namespace sabir::serve
