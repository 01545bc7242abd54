#include "sabir/serve/openai.h"

#include <atomic>
#include <list>
#include <mutex>

#include "openai/chat.h"
#include "openai/conversations.h"
#include "openai/embeddings.h"
#include "openai/responses.h"
#include "sabir/base/ids.h"
#include "sabir/base/text.h"
#include "sabir/net/fiber.h"
#include "sabir/trace/span.h"

namespace sabir::serve {
namespace {

using namespace openai;
using Clock = std::chrono::steady_clock;

// Until then an error still has a status of its own; from then on the stream keeps the connection alive.
constexpr std::chrono::milliseconds kHeadWait{3000};
constexpr std::chrono::seconds kSlowReader{60};
// An answer's client wakes up meanwhile; on the processor that it is to run on, what is woken before it would go first.
constexpr std::chrono::milliseconds kAfterwards{2};

struct Target {
  std::string name;
  bool is_assistant = false;
};

// A longer request is read elsewhere, lest the loop's other requests wait for it.
constexpr std::size_t kMostReadOnLoop = std::size_t{32} << 10U;

// One request under way: its answer, whole or as a stream, and the client that may leave. The work runs on a thread of its own, or in a
// fiber, and asks nothing of the loop but the head of a stream that comes late.
class Answering : public std::enable_shared_from_this<Answering> {
 public:
  Answering(App& app, std::shared_ptr<net::Exchange> exchange, Identity who) : app_(app), exchange_(std::move(exchange)), who_(std::move(who)) {
    exchange_->when_gone([cancelled = cancelled_] { cancelled->store(true); });
  }
  ~Answering() {
    if (leave_) leave_();
  }
  // What nobody waits for: done once it has been answered.
  void afterwards(std::function<void()> task) { afterwards_.push_back(std::move(task)); }
  std::vector<std::function<void()>> take_afterwards() { return std::exchange(afterwards_, {}); }
  // What is to be done when it has ended.
  void when_ended(std::function<void()> leave) { leave_ = std::move(leave); }

  App& app() { return app_; }
  const Identity& who() const { return who_; }
  net::Exchange& exchange() { return *exchange_; }
  std::shared_ptr<std::atomic<bool>> cancelled() const { return cancelled_; }

  void respond(int status, const json::object& body) { exchange_->respond({status, {{"Content-Type", "application/json"}}, compact_json(body)}); }
  void refuse(const Error& error) {
    Error shown = error;
    shown.message = app_.redact(shown.message);
    shown.hint = app_.redact(shown.hint);
    exchange_->note("error", std::string(error_code_name(error.code)));
    net::ServerResponse response{status_of(shown), {{"Content-Type", "application/json"}}, compact_json(error_body(shown))};
    if (response.status == 429 && error.code == ErrorCode::kBusy) response.headers.emplace_back("Retry-After", "1");
    exchange_->respond(std::move(response));
  }

  // The stream's head goes out with the first event, or when it has taken a while.
  void expect_stream() {
    // The loop outlives the server, and so may this.
    auto& loop = app_.engine().loop();
    loop.post([&loop, self = shared_from_this()] { loop.after(kHeadWait, [self] { self->begin(); }); });
  }
  bool began() {
    const std::lock_guard hold(mutex_);
    return began_;
  }
  void send(const std::string& data, const std::string& type = {}) {
    begin();
    const auto until = Clock::now() + kSlowReader;
    while (!cancelled_->load()) {
      const auto sent = exchange_->event(data, type);
      if (sent == net::Exchange::Sent::kTaken) return;
      if (sent == net::Exchange::Sent::kGone || Clock::now() >= until) {
        cancelled_->store(true);
        exchange_->abort();
        return;
      }
      net::pause(std::chrono::milliseconds(20));
    }
  }
  void end() {
    const std::lock_guard hold(mutex_);
    ended_ = true;
    if (began_) exchange_->end();
  }
  // An error that comes before anything was streamed has its status.
  bool refuse_unless_begun(const Error& error) {
    {
      const std::lock_guard hold(mutex_);
      if (began_) return false;
      ended_ = true;
    }
    refuse(error);
    return true;
  }

 private:
  void begin() {
    const std::lock_guard hold(mutex_);
    if (began_ || ended_) return;
    began_ = true;
    exchange_->begin_events();
  }

  App& app_;
  const std::shared_ptr<net::Exchange> exchange_;
  const Identity who_;
  const std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);
  std::function<void()> leave_;
  std::vector<std::function<void()>> afterwards_;  // of the thread that answers
  std::mutex mutex_;
  bool began_ = false;
  bool ended_ = false;
};

struct Outcome {
  json::array waiting;  // approvals that the run waits for; `told` says so in words
  Told told;
  json::array said;    // what came of it, with the calls of an assistant's own functions
  json::object about;  // what OpenAI's answers have no member for
};

std::int64_t now_seconds() { return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

class OpenAi : public std::enable_shared_from_this<OpenAi> {
 public:
  explicit OpenAi(App& app) : app_(app), kept_(app.engine()) {}

  void add() {
    const auto self = shared_from_this();
    const auto on_request = [&](const char* method, const char* pattern, const std::function<void(OpenAi&, std::shared_ptr<Answering>)>& begin) {
      app_.add(method, pattern, "model", [self, begin](std::shared_ptr<net::Exchange> exchange, const Identity& who) {
        auto answering = std::make_shared<Answering>(self->app_, std::move(exchange), who);
        self->remember(*answering);
        begin(*self, std::move(answering));
      });
    };
    const auto on = [&](const char* method, const char* pattern, void (OpenAi::*handler)(const std::shared_ptr<Answering>&)) {
      on_request(method, pattern, [handler](OpenAi& me, std::shared_ptr<Answering> answering) {
        auto& app = me.app_;
        me.work(answering, [&app](std::function<void()> task) { return app.run(std::move(task)); }, [&me, handler, answering] { (me.*handler)(answering); });
      });
    };
    app_.refuse_as("/v1/", [](int status, std::string_view detail, std::string_view hint) {
      return net::ServerResponse{status, {{"Content-Type", "application/json"}}, compact_json(error_body(status, detail, hint))};
    });
    app_.at_close([self] { self->close(); });
    on("GET", "/v1/models", &OpenAi::list_models);
    on("GET", "/v1/models/{id...}", &OpenAi::get_model);
    on_request("POST", "/v1/chat/completions", [](OpenAi& me, std::shared_ptr<Answering> answering) { me.begin_chat(std::move(answering)); });
    on("POST", "/v1/responses", &OpenAi::respond);
    on("GET", "/v1/responses/{id}", &OpenAi::get_response);
    on("DELETE", "/v1/responses/{id}", &OpenAi::delete_response);
    on("POST", "/v1/embeddings", &OpenAi::embed);
  }

 private:
  // Where `runs` has it done.
  void work(const std::shared_ptr<Answering>& answering, const std::function<bool(std::function<void()>)>& runs, std::function<void()> task) {
    const bool taken = runs([this, self = shared_from_this(), answering, task = std::move(task)] {
      const trace::Scope scope(answering->who().span);
      task();
      later(answering->take_afterwards());
    });
    if (!taken) answering->refuse(Error(ErrorCode::kBusy, "too many requests run already", "Try again in a moment."));
  }

  // A thread has nothing better to do than to do it at once. A fiber is the loop's, and leaves it to a thread, a little later.
  void later(std::vector<std::function<void()>> tasks) {
    if (tasks.empty()) return;
    if (net::Fiber::current() == nullptr) {
      for (const auto& task : tasks) task();
      return;
    }
    const bool waits = !later_.empty();
    for (auto& task : tasks) later_.push_back(std::move(task));
    if (closed_) return do_what_waits();
    if (waits) return;
    app_.engine().loop().after(kAfterwards, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->do_what_waits();
    });
  }
  void do_what_waits() {
    auto run = [tasks = std::exchange(later_, {})] {
      for (const auto& task : tasks) task();
    };
    // It blocks; better that than that it is never done.
    if (!app_.elsewhere(run)) run();
  }
  void close() {
    closed_ = true;
    do_what_waits();
    cancel_all();
  }

  // What runs, so that closing need not wait for it.
  void remember(Answering& answering) {
    const std::lock_guard hold(mutex_);
    const auto place = running_.insert(running_.end(), answering.cancelled());
    // A timer may keep it for a while after the server has gone.
    answering.when_ended([weak = weak_from_this(), place] {
      if (const auto self = weak.lock()) self->forget(place);
    });
  }
  void forget(std::list<std::shared_ptr<std::atomic<bool>>>::iterator place) {
    const std::lock_guard hold(mutex_);
    running_.erase(place);
  }
  void cancel_all() {
    const std::lock_guard hold(mutex_);
    for (const auto& cancelled : running_) cancelled->store(true);
  }

  // ---- Models ----

  std::vector<Target> targets() {
    std::vector<Target> out;
    const auto project = app_.project();
    for (const auto& assistant : app_.registry()->assistants()) {
      const bool known = std::any_of(out.begin(), out.end(), [&](const Target& one) { return one.name == assistant.name; });
      if (!known && project->exposure.reaches(project::Door::kModel, "assistants/" + assistant.name)) out.push_back({assistant.name, true});
    }
    if (auto models = app_.engine().models()) {
      for (const auto& model : *models) {
        const bool known = std::any_of(out.begin(), out.end(), [&](const Target& one) { return one.name == model.alias; });
        if (!known && project->exposure.reaches(project::Door::kModel, "models/" + model.alias)) out.push_back({model.alias, false});
      }
    }
    return out;
  }

  bool is_assistant(const std::string& name) {
    const auto registry = app_.registry();
    const auto& all = registry->assistants();
    return std::any_of(all.begin(), all.end(), [&](const auto& one) { return one.name == name; });
  }

  Result<Target> target(const std::string& name) {
    const auto& exposure = app_.project()->exposure;
    if (is_assistant(name) && exposure.reaches(project::Door::kModel, "assistants/" + name)) return Target{name, true};
    if (exposure.reaches(project::Door::kModel, "models/" + name) && app_.engine().has_model(name)) return Target{name, false};
    std::vector<std::string> names;
    for (auto& one : targets()) names.push_back(std::move(one.name));
    std::string hint = did_you_mean(name, names);
    if (hint.empty()) hint = names.empty() ? "Nothing is exposed: name assistants and aliases under `expose: {model: […]}` in sabir.yml." : "There are: " + join(names, ", ") + ".";
    return fail(Error(ErrorCode::kNotFound, "The model '" + name + "' does not exist", std::move(hint)).with_data(R"({"param":"model"})"));
  }

  static json::object model_object(const Target& target) {
    return {{"id", target.name}, {"object", "model"}, {"created", 0}, {"owned_by", target.is_assistant ? "assistants" : "models"}};
  }

  void list_models(const std::shared_ptr<Answering>& answering) {
    json::array data;
    for (const auto& one : targets()) data.push_back(model_object(one));
    answering->respond(200, {{"object", "list"}, {"data", std::move(data)}});
  }

  void get_model(const std::shared_ptr<Answering>& answering) {
    auto found = target(std::string(answering->exchange().request().capture("id")));
    if (!found) return answering->refuse(found.error());
    answering->respond(200, model_object(*found));
  }

  // ---- One answer, whichever interface asks ----

  static Result<json::object> body_of(Answering& answering) {
    auto value = parse_json(answering.exchange().request().body);
    if (value && value->is_object()) return std::move(value->get_object());
    return fail(ErrorCode::kInvalidArguments, "We could not parse the JSON body of your request: " + (value ? std::string("it is not an object") : value.error().message));
  }

  // `messages` is all that was said, instructions included. `show` gets the text in the pieces in which it is part of the answer.
  Result<Outcome> run(Answering& answering, const Asked& asked, const Target& target, json::array messages, const std::string& conversation,
                      const std::function<void(std::string_view)>& show) {
    CallContext context = answering.who().context;
    Outcome out;
    if (!target.is_assistant) {
      models::Request request;
      request.messages = std::move(messages);
      request.tools = asked.tools;
      request.parameters = asked.parameters;
      request.output_schema = asked.output_schema;
      request.cancelled = answering.cancelled();
      request.caller.context = context;
      request.afterwards = [&answering](std::function<void()> task) { answering.afterwards(std::move(task)); };
      models::OnEvent on_event;
      if (asked.stream) {
        on_event = [&show](const models::Event& event) {
          if (!event.content.empty()) show(event.content);
        };
      }
      auto reply = app_.engine().complete(target.name, request, on_event);
      if (!reply) return fail(std::move(reply.error()));
      out.told = {reply->content, reply->tool_calls, reply->finish_reason, reply->usage};
      json::object message{{"role", "assistant"}, {"content", reply->content.empty() ? json::value(nullptr) : json::value(reply->content)}};
      if (!reply->tool_calls.empty()) message["tool_calls"] = runtime::to_json(*reply).at("tool_calls");
      out.said.push_back(std::move(message));
      out.about = {{"model", reply->model}, {"provider", reply->provider}};
      if (reply->cost_usd) out.about["cost_usd"] = *reply->cost_usd;
      return out;
    }
    // What the model says before a call of an assistant's own function is part of the answer, unless that has to be JSON.
    std::string text;
    bool is_new_step = false;
    const auto piece = [&](std::string_view words) {
      if (asked.output_schema) return;
      std::string shown;
      if (is_new_step && !text.empty()) shown = "\n\n";
      is_new_step = false;
      shown += words;
      text += shown;
      if (asked.stream) show(shown);
    };
    runtime::RunEvents events;
    events.text = piece;
    events.calling = [&](const std::string&, const std::string&) { is_new_step = true; };
    events.may_wait = true;
    auto answer = app_.engine().answer_turn(target.name, {std::move(messages), asked.tools, asked.parameters, asked.output_schema}, conversation, context, events,
                                            answering.cancelled());
    if (!answer) return fail(std::move(answer.error()));
    out.told.content = string_or(*answer, "content");
    if (const auto* waiting = answer->if_contains("waiting"); waiting && waiting->is_array()) {
      out.waiting = waiting->get_array();
      out.about["waiting"] = out.waiting;
      out.told.content = words_of(out.waiting);
    }
    if (!text.empty()) {
      // A model that does not stream, or repairs its answer, says the last words only at its end.
      if (!text.ends_with(out.told.content)) text += (text.empty() ? "" : "\n\n") + out.told.content;
      out.told.content = std::move(text);
    }
    out.told.finish_reason = string_or(*answer, "finish_reason", "stop");
    if (const auto* said = answer->if_contains("said"); said && said->is_array()) out.said = said->get_array();
    if (const auto* calls = answer->if_contains("handed_over"); calls && calls->is_array()) {
      for (const auto& call : calls->get_array()) {
        const auto& object = call.as_object();
        out.told.calls.push_back({std::string(string_or(object, "id")), std::string(string_or(object, "name")), std::string(string_or(object, "arguments"))});
      }
    }
    rename_calls(out);
    if (out.told.calls.empty() && out.told.finish_reason == "tool_calls") out.told.finish_reason = "stop";
    if (!out.told.calls.empty()) out.told.finish_reason = "tool_calls";
    if (const auto* usage = answer->if_contains("usage"); usage && usage->is_object()) {
      const auto number = [&](const char* name) {
        const auto* count = usage->get_object().if_contains(name);
        return count && count->is_int64() ? count->get_int64() : 0;
      };
      out.told.usage = {number("input_tokens"), number("output_tokens"), number("cached_tokens"), number("cache_write_tokens"), number("reasoning_tokens")};
    }
    for (const char* name : {"run", "model", "provider", "cost_usd", "steps"}) {
      if (const auto* value = answer->if_contains(name)) out.about[name] = *value;
    }
    if (!out.waiting.empty()) out.told.finish_reason = "stop";
    if (out.said.empty() || !out.waiting.empty()) out.said = json::array{json::object{{"role", "assistant"}, {"content", out.told.content}}};
    return out;
  }

  static std::string words_of(const json::array& waiting) {
    std::string text = "This waits for somebody's approval:";
    for (const auto& item : waiting) {
      const auto& one = item.as_object();
      text += "\n- " + std::string(string_or(one, "address")) + " " + compact_json(one.at("arguments")) + " (" + std::string(string_or(one, "id")) + ")";
    }
    return text;
  }

  // Ids of models are unique within a run at best; what is kept under them needs more.
  static void rename_calls(Outcome& out) {
    if (out.told.calls.empty() || out.said.empty()) return;
    auto& last = out.said.back().as_object();
    auto& listed = last["tool_calls"].as_array();
    for (std::size_t i = 0; i < out.told.calls.size() && i < listed.size(); ++i) {
      out.told.calls[i].id = "call_" + new_id();
      listed[i].as_object()["id"] = out.told.calls[i].id;
    }
  }

  // ---- Chat Completions: the client keeps the conversation ----

  static Result<Asked> chat_asked(Answering& answering) {
    auto body = body_of(answering);
    return body ? read_chat(*body) : Result<Asked>(openai_error(body));
  }

  // A model's answer that waits for its server alone needs no thread.
  void begin_chat(std::shared_ptr<Answering> answering) {
    if (answering->exchange().request().body.size() <= kMostReadOnLoop && answering->who().context.conversation.empty()) {
      auto asked = std::make_shared<Result<Asked>>(chat_asked(*answering));
      const bool on_loop = *asked && passes_on((*asked)->model);
      return work(answering, [&](std::function<void()> task) { return on_loop ? app_.run_on_loop(std::move(task)) : app_.run(std::move(task)); },
                  [this, answering, asked] { chat(answering, std::move(*asked)); });
    }
    work(answering, [&](std::function<void()> task) { return app_.run(std::move(task)); }, [this, answering] { chat(answering, chat_asked(*answering)); });
  }

  bool passes_on(const std::string& alias) {
    return !is_assistant(alias) && app_.engine().completes_on_loop(alias);
  }

  void chat(const std::shared_ptr<Answering>& answering, Result<Asked> asked) {
    if (!asked) return answering->refuse(asked.error());
    auto found = target(asked->model);
    if (!found) return answering->refuse(found.error());
    answering->exchange().note("name", found->name);
    const auto& context = answering->who().context;
    auto held = turns_.take(context.conversation.empty() ? "" : scope_of(context) + context.conversation, Clock::now() + kTurnWait, [&] { return answering->cancelled()->load(); });
    if (!held) return answering->refuse(held.error());
    auto messages = found->is_assistant && !asked->tools.empty() ? kept_.restored(context, asked->messages) : Result<json::array>(asked->messages);
    if (!messages) return answering->refuse(messages.error());

    Head head{"chatcmpl-" + new_id(), now_seconds(), asked->model};
    ChatStream stream(head, asked->include_usage);
    bool begun = false;
    const auto send = [&](std::vector<json::object> chunks) {
      if (!begun) {
        begun = true;
        for (const auto& chunk : stream.begin()) answering->send(compact_json(chunk));
      }
      for (const auto& chunk : chunks) answering->send(compact_json(chunk));
    };
    if (asked->stream) answering->expect_stream();
    auto out = run(*answering, *asked, *found, std::move(*messages), context.conversation, [&](std::string_view piece) { send(stream.text(piece)); });
    if (out && !out->told.calls.empty() && out->said.size() > 1) {
      json::array before = out->said;
      before.pop_back();
      if (auto kept = kept_.hide(context, out->told.calls.front().id, before); !kept) out = fail(std::move(kept.error()));
    }
    if (!out) {
      if (answering->refuse_unless_begun(out.error())) return;
      Error error = out.error();
      error.message = app_.redact(error.message);
      answering->send(compact_json(error_body(error)));
      return answering->end();
    }
    if (!asked->stream) {
      auto completion = chat_completion(head, out->told);
      completion["sabir"] = std::move(out->about);
      return answering->respond(200, completion);
    }
    auto chunks = stream.end(out->told);
    chunks.back()["sabir"] = std::move(out->about);
    send(std::move(chunks));
    answering->send("[DONE]");
    answering->end();
  }

  // ---- Responses: the store keeps the conversation ----

  void respond(const std::shared_ptr<Answering>& answering) {
    auto body = body_of(*answering);
    auto asked = body ? read_response_request(*body) : Result<Asked>(openai_error(body));
    if (!asked) return answering->refuse(asked.error());
    auto found = target(asked->model);
    if (!found) return answering->refuse(found.error());
    answering->exchange().note("name", found->name);
    CallContext context = answering->who().context;
    if (!asked->conversation.empty()) context.conversation = asked->conversation;

    // Of a named conversation the last response is the previous one.
    Conversations::Kept kept;
    kept.previous = asked->previous;
    if (!asked->previous.empty()) {
      auto previous = kept_.find(context, asked->previous);
      if (!previous) return answering->refuse(previous.error());
      auto now = up_to_date(context, asked->previous, std::move(*previous));
      if (!now) return answering->refuse(now.error());
      if (string_or(now->response, "status") == "in_progress") {
        return answering->refuse(Error(ErrorCode::kConflict, "the response '" + asked->previous + "' still waits for somebody's approval", "GET it until it is completed."));
      }
      kept.root = now->root;
    }
    const std::string id = "resp_" + new_id();
    if (kept.root.empty()) kept.root = id;
    const std::string lock = asked->conversation.empty() ? (asked->previous.empty() ? "" : kept.root) : asked->conversation;
    auto held = turns_.take(lock.empty() ? "" : scope_of(context) + lock, Clock::now() + kTurnWait, [&] { return answering->cancelled()->load(); });
    if (!held) return answering->refuse(held.error());
    if (!asked->conversation.empty()) {
      auto last = kept_.last_of(context, asked->conversation);
      if (!last) return answering->refuse(last.error());
      kept.previous = *last;
    }
    json::array messages;
    if (!kept.previous.empty()) {
      auto history = kept_.history(context, kept.previous);
      if (!history) return answering->refuse(history.error());
      messages = std::move(*history);
    }
    for (const auto& message : asked->messages) {
      const bool is_instructions = &message == asked->messages.data() && asked->request.if_contains("instructions") && !asked->request.at("instructions").is_null();
      if (is_instructions) messages.insert(messages.begin(), message);
      else messages.push_back(message);
      if (!is_instructions) kept.asked.push_back(message);
    }

    ResponseHead head{id, now_seconds(), asked->model, "msg_" + new_id()};
    ResponseStream stream(head, *asked);
    bool begun = false;
    const auto send = [&](const std::vector<ResponseEvent>& events) {
      for (const auto& event : events) answering->send(compact_json(event.data), event.type);
    };
    const auto begin = [&] {
      if (!begun) send(stream.begin());
      begun = true;
    };
    if (asked->stream) answering->expect_stream();
    auto out = run(*answering, *asked, *found, std::move(messages), kept.root, [&](std::string_view piece) {
      begin();
      send(stream.text(piece));
    });
    json::object response;
    if (out) {
      response = response_object(head, *asked, out->told);
      if (!out->waiting.empty()) {
        // As an answer that is made in the background: it is asked for again by its id.
        response["status"] = "in_progress";
        response["output"] = json::array();
        response.erase("usage");
        kept.run = string_or(out->about, "run");
      }
      if (asked->store) {
        kept.said = std::move(out->said);
        kept.response = response;
        auto done = kept_.keep(context, id, kept);
        if (done && !asked->conversation.empty()) done = kept_.set_last(context, asked->conversation, id);
        if (!done) out = fail(std::move(done.error()));
      }
    }
    if (!out) {
      if (answering->refuse_unless_begun(out.error())) return;
      Error error = out.error();
      error.message = app_.redact(error.message);
      begin();
      send(stream.fail(error));
      return answering->end();
    }
    if (!asked->stream) {
      response["sabir"] = std::move(out->about);
      return answering->respond(200, response);
    }
    begin();
    if (!out->waiting.empty()) {
      response["sabir"] = std::move(out->about);
      send(stream.waiting(std::move(response)));
      return answering->end();
    }
    auto events = stream.end(out->told);
    events.back().data["response"].as_object()["sabir"] = std::move(out->about);
    send(events);
    answering->end();
  }

  // A response whose run waited, with what has come of it meanwhile.
  Result<Conversations::Kept> up_to_date(const CallContext& context, const std::string& id, Conversations::Kept kept) {
    if (kept.run.empty() || string_or(kept.response, "status") != "in_progress") return kept;
    auto run_now = app_.engine().run(kept.run);
    if (!run_now) return fail(std::move(run_now.error()));
    const auto status = string_or(*run_now, "status");
    if (status == "waiting" || status == "running") return kept;
    const auto* output = run_now->at("output").if_object();
    if (status == "finished" && output) {
      const std::string content(string_or(*output, "content"));
      kept.response["status"] = "completed";
      kept.response["output"] = json::array{message_of(content)};
      kept.said = json::array{json::object{{"role", "assistant"}, {"content", content}}};
    } else {
      const auto* error = output ? output->if_contains("error") : nullptr;
      kept.response["status"] = "failed";
      kept.response["error"] = json::object{{"code", "server_error"}, {"message", error && error->is_object() ? string_or(error->get_object(), "message") : "the run was interrupted"}};
    }
    if (auto done = kept_.keep(context, id, kept); !done) return fail(std::move(done.error()));
    return kept;
  }

  void get_response(const std::shared_ptr<Answering>& answering) {
    const std::string id(answering->exchange().request().capture("id"));
    auto kept = kept_.find(answering->who().context, id);
    if (kept) kept = up_to_date(answering->who().context, id, std::move(*kept));
    if (!kept) return answering->refuse(kept.error());
    answering->respond(200, kept->response);
  }

  void delete_response(const std::shared_ptr<Answering>& answering) {
    const std::string id(answering->exchange().request().capture("id"));
    if (auto done = kept_.remove(answering->who().context, id); !done) return answering->refuse(done.error());
    answering->respond(200, {{"id", id}, {"object", "response"}, {"deleted", true}});
  }

  // ---- Embeddings ----

  void embed(const std::shared_ptr<Answering>& answering) {
    auto body = body_of(*answering);
    if (!body) return answering->refuse(body.error());
    auto request = read_embedding(*body);
    if (!request) return answering->refuse(request.error());
    const std::string name(string_or(*body, "model"));
    auto found = target(name);
    if (found && found->is_assistant) found = wrong("model", "'" + name + "' is an assistant, which gives no embeddings", "Name an alias of an embedding model.");
    if (!found) return answering->refuse(found.error());
    request->cancelled = answering->cancelled();
    request->caller.context = answering->who().context;
    auto out = app_.engine().embed(name, *request);
    if (!out) return answering->refuse(out.error());
    answering->respond(200, embeddings_object(name, *out, string_or(*body, "encoding_format", "float") == "base64"));
  }

  static std::unexpected<Error> openai_error(const Result<json::object>& body) { return fail(Error(body.error())); }
  static std::string scope_of(const CallContext& context) { return context.tenant + "\x1f" + context.user + "\x1f"; }

  static constexpr std::chrono::seconds kTurnWait{120};

  App& app_;
  Conversations kept_;
  Turns turns_;
  std::mutex mutex_;
  // Of the loop.
  std::vector<std::function<void()>> later_;
  bool closed_ = false;
  std::list<std::shared_ptr<std::atomic<bool>>> running_;
};

}  // namespace

void plug_openai(App& app) { std::make_shared<OpenAi>(app)->add(); }

}  // namespace sabir::serve
