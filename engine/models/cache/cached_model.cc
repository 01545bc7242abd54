#include "cache/cached_model.h"

#include <algorithm>

#include "sabir/base/log.h"
#include "sabir/bridge/bridge.h"

namespace sabir::models {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kPieceBytes = 64;  // of an answer that is given again as a stream

// Where the piece that begins at `from` ends: at a character's end.
std::size_t piece_end(std::string_view text, std::size_t from) {
  std::size_t end = std::min(text.size(), from + kPieceBytes);
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) ++end;
  return end;
}

class CachedModel final : public Model {
 public:
  CachedModel(std::shared_ptr<Model> inner, Caching caching) : inner_(std::move(inner)), caching_(std::move(caching)) {}

  std::string description() const override { return inner_->description(); }
  Result<Embeddings> embed(const EmbedRequest& request) override { return inner_->embed(request); }

  Result<Reply> complete(const Request& request, const OnEvent& on_event) override {
    const milliseconds ttl = request.cache.value_or(caching_.ttl);
    // What a question with a secret in it was, its text does not say.
    if (ttl <= milliseconds(0) || !request.secrets.empty()) return inner_->complete(request, on_event);
    const auto deadline = Clock::now() + request.timeout;
    const std::string key = answer_key(caching_, request);
    if (auto kept = find(key, ttl)) return given(*std::move(kept), request, on_event);
    const AnswerCache::Turn turn(*caching_.cache, key, deadline, request.cancelled.get());
    if (is_cancelled(request)) return cancelled();
    if (turn.waited()) {
      if (auto kept = find(key, ttl)) return given(*std::move(kept), request, on_event);
    }
    Request own = request;
    own.timeout = std::max(milliseconds(1), std::chrono::duration_cast<milliseconds>(deadline - Clock::now()));
    auto reply = inner_->complete(own, on_event);
    if (reply && reply->missed.empty()) {
      if (auto done = caching_.cache->keep(key, *reply, ttl); !done) tell("was not kept", done.error());
    }
    return reply;
  }

 private:
  static bool is_cancelled(const Request& request) { return request.cancelled && request.cancelled->load(std::memory_order_relaxed); }

  Result<Reply> cancelled() const { return fail(ErrorCode::kCancelled, "the request to model '" + caching_.facts.alias + "' was cancelled"); }

  // A cache that cannot be read costs the time of a call, not the answer.
  std::optional<Reply> find(const std::string& key, milliseconds ttl) const {
    auto kept = caching_.cache->find(key, ttl);
    if (kept) return *std::move(kept);
    tell("was not looked for", kept.error());
    return std::nullopt;
  }
  void tell(const char* what, const Error& error) const {
    log(LogLevel::kWarning, "an answer of model '" + caching_.facts.alias + "' " + what + " in the cache: " + error.message);
  }

  Result<Reply> given(Reply reply, const Request& request, const OnEvent& on_event) const {
    reply.alias = caching_.facts.alias;
    reply.cached = true;
    reply.cost_usd = 0;
    reply.tries = 0;
    if (on_event) {
      for (const auto member : {&Event::reasoning, &Event::content}) {
        const std::string& text = member == &Event::content ? reply.content : reply.reasoning;
        for (std::size_t at = 0; at < text.size();) {
          if (is_cancelled(request)) return cancelled();
          const std::size_t end = piece_end(text, at);
          Event event;
          event.*member = text.substr(at, end - at);
          on_event(event);
          at = end;
        }
      }
    }
    if (caching_.ledger) {
      CallFacts facts = caching_.facts;
      facts.caller = request.caller;
      if (!reply.model.empty()) facts.model = reply.model;
      if (auto booked = caching_.ledger->settle(std::nullopt, facts, Usage{}, 0, "cached"); !booked) tell("was not written down as given again", booked.error());
    }
    return reply;
  }

  const std::shared_ptr<Model> inner_;
  const Caching caching_;
};

}  // namespace

std::string answer_key(const Caching& caching, const Request& request) {
  json::object parameters = caching.parameters;
  for (const auto& member : request.parameters) parameters[member.key()] = member.value();
  json::object question{{"format", 1}, {"settings", caching.settings}, {"parameters", std::move(parameters)}, {"messages", request.messages}, {"tools", request.tools}};
  if (request.output_schema) question["output_schema"] = *request.output_schema;
  const std::string text = compact_json(question);
  char digest[64];
  sb_sha256* state = sb_sha256_new();
  sb_sha256_update(state, {text.data(), text.size()});
  sb_sha256_finish(state, digest);
  return {digest, sizeof digest};
}

std::shared_ptr<Model> make_cached_model(std::shared_ptr<Model> inner, Caching caching) {
  return std::make_shared<CachedModel>(std::move(inner), std::move(caching));
}

}  // namespace sabir::models
