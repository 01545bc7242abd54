// Runs of assistants over REST, and the approvals that they wait for.
#include "sabir/trace/span.h"
#include "server_state.h"

namespace sabir::serve {
namespace {

using net::Exchange;

std::string text_of(const json::object& object, const char* name) { return std::string(string_or(object, name)); }

}  // namespace

Result<json::array> Server::State::approvals_of(const Identity& who, bool waiting) {
  auto all = engine_.approvals(waiting);
  if (!all || who.context.tenant.empty()) return all;
  json::array mine;
  for (auto& one : *all) {
    if (text_of(one.as_object(), "tenant") == who.context.tenant) mine.push_back(std::move(one));
  }
  return mine;
}

Result<json::object> Server::State::decide_as(const Identity& who, const std::string& id, bool approve, const std::string& reason) {
  auto all = engine_.approvals(false);
  if (!all) return fail(std::move(all.error()));
  const auto theirs = [&](const json::value& one) { return text_of(one.as_object(), "id") == id && text_of(one.as_object(), "tenant") != who.context.tenant; };
  if (!who.context.tenant.empty() && std::any_of(all->begin(), all->end(), theirs)) return fail(ErrorCode::kNotFound, "there is no approval '" + id + "'");
  return engine_.decide({id, approve, who.context.user.empty() ? who.name : who.context.user, reason});
}

void Server::State::add_runs() {
  const auto answer = [this](const std::shared_ptr<Exchange>& exchange, const Identity& who, std::function<void()> work) {
    const bool taken = run([span = who.span, work = std::move(work)] {
      const trace::Scope scope(span);
      work();
    });
    if (!taken) exchange->respond(problem(Error(ErrorCode::kBusy, "the server has too much to do"), who, exchange->request().path));
  };

  add("POST", "/assistants/{name}", "assistants", [this, answer](const std::shared_ptr<Exchange>& exchange, const Identity& who) {
    const std::string name(exchange->request().capture("name"));
    if (!project()->exposure.reaches(project::Door::kRest, "assistants/" + name)) {
      return exchange->respond(problem(Error(ErrorCode::kNotFound, "there is no assistant '" + name + "' here", "GET /assistants lists what there is."), who, exchange->request().path));
    }
    if (!is_json(exchange->request().header("content-type"))) return exchange->respond(net::problem(415, "the message is JSON", "Send: Content-Type: application/json"));
    exchange->note("name", name);
    auto body = object_of(exchange->request());
    const auto* message = body ? body->if_contains("message") : nullptr;
    const auto* conversation = body ? body->if_contains("conversation") : nullptr;
    if (body && (!message || !message->is_string() || message->get_string().empty())) body = fail(ErrorCode::kInvalidArguments, "'message' is missing: what the assistant is asked");
    if (body && conversation && !conversation->is_string()) body = fail(ErrorCode::kInvalidArguments, "'conversation' is not a text");
    if (!body) return exchange->respond(problem(body.error(), who, exchange->request().path));
    auto cancelled = std::make_shared<std::atomic<bool>>(false);
    exchange->when_gone([cancelled] { cancelled->store(true); });
    answer(exchange, who, [this, exchange, who, name, asked = std::move(*body), cancelled] {
      runtime::RunEvents events;
      events.may_wait = true;
      auto conversation_now = text_of(asked, "conversation");
      if (conversation_now.empty()) conversation_now = who.context.conversation;
      auto out = engine_.run_assistant(name, text_of(asked, "message"), conversation_now, who.context, events, cancelled);
      if (!out) {
        exchange->note("error", std::string(error_code_name(out.error().code)));
        return exchange->respond(problem(out.error(), who, exchange->request().path));
      }
      const bool waits = out->contains("waiting");
      auto response = json_response(*out, waits ? 202 : 200);
      if (waits) response.headers.emplace_back("Location", "/runs/" + text_of(*out, "run"));
      exchange->respond(std::move(response));
    });
  });

  add("GET", "/runs/{id}", "assistants", [this, answer](const std::shared_ptr<Exchange>& exchange, const Identity& who) {
    answer(exchange, who, [this, exchange, who] {
      const std::string id(exchange->request().capture("id"));
      auto run_now = engine_.run(id);
      // Somebody else's is none.
      const auto* context = run_now ? run_now->if_contains("context") : nullptr;
      const bool own = context && text_of(context->as_object(), "user") == who.context.user && text_of(context->as_object(), "tenant") == who.context.tenant;
      if (run_now && !own) run_now = fail(ErrorCode::kNotFound, "there is no run '" + id + "'");
      if (!run_now) return exchange->respond(problem(run_now.error(), who, exchange->request().path));
      json::object out;
      for (const char* member : {"run", "assistant", "status", "started_ms", "ended_ms", "output"}) out[member] = run_now->at(member);
      out["conversation"] = context->as_object().at("conversation");
      if (text_of(out, "status") == "waiting") {
        auto all = engine_.approvals(true);
        json::array waiting;
        for (auto& one : all ? *all : json::array()) {
          if (text_of(one.as_object(), "run") == id) waiting.push_back(std::move(one));
        }
        out["waiting"] = std::move(waiting);
      }
      exchange->respond(json_response(std::move(out)));
    });
  });

  add("GET", "/approvals", "approvals", [this, answer](const std::shared_ptr<Exchange>& exchange, const Identity& who) {
    // What cannot be read is not left out.
    const bool is_there = ("&" + exchange->request().query).find("&all") != std::string::npos;
    if (is_there && exchange->request().parameter("all").value_or("") != "1") {
      return exchange->respond(problem(Error(ErrorCode::kUsage, "all is 1 or left out"), who, exchange->request().path));
    }
    answer(exchange, who, [this, exchange, who] {
      auto mine = approvals_of(who, exchange->request().parameter("all").value_or("") != "1");
      if (!mine) return exchange->respond(problem(mine.error(), who, exchange->request().path));
      exchange->respond(json_response(json::object{{"approvals", std::move(*mine)}}));
    });
  });

  add("POST", "/approvals/{id}", "approvals", [this, answer](const std::shared_ptr<Exchange>& exchange, const Identity& who) {
    auto body = object_of(exchange->request());
    const auto* approve = body ? body->if_contains("approve") : nullptr;
    if (body && (!approve || !approve->is_bool())) body = fail(ErrorCode::kInvalidArguments, "'approve' is neither true nor false");
    if (!body) return exchange->respond(problem(body.error(), who, exchange->request().path));
    answer(exchange, who, [this, exchange, who, asked = std::move(*body)] {
      const std::string id(exchange->request().capture("id"));
      auto done = decide_as(who, id, asked.at("approve").as_bool(), text_of(asked, "reason"));
      if (!done) return exchange->respond(problem(done.error(), who, exchange->request().path));
      // What the run answers is for those who asked for it.
      json::object out{{"approval", done->at("approval")}};
      exchange->respond(json_response(std::move(out)));
    });
  });
}

}  // namespace sabir::serve
