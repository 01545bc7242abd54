#include "checked_model.h"

#include <algorithm>

#include "failure.h"
#include "sabir/base/text.h"
#include "sabir/schema/validator.h"

namespace sabir::models {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// What a model means by its answer: models that are only told of the schema like to put a fence around it.
std::string_view without_fence(std::string_view text) {
  text = trim(text);
  if (!text.starts_with("```") || !text.ends_with("```") || text.size() < 7) return text;
  const std::size_t line = text.find('\n');
  if (line == std::string_view::npos) return text;
  return trim(text.substr(line + 1, text.size() - 3 - line - 1));
}

class CheckedModel final : public Model {
 public:
  CheckedModel(std::shared_ptr<Model> inner, std::string alias) : inner_(std::move(inner)), alias_(std::move(alias)) {}

  std::string description() const override { return inner_->description(); }
  Result<Embeddings> embed(const EmbedRequest& request) override { return inner_->embed(request); }

  Result<Reply> complete(const Request& request, const OnEvent& on_event) override {
    if (!request.output_schema) return inner_->complete(request, on_event);
    auto validator = schema::Validator::compile(*request.output_schema);
    if (!validator) {
      validator.error().message = "the output schema: " + validator.error().message;
      return fail(std::move(validator.error()));
    }
    const auto deadline = Clock::now() + request.timeout;
    // An answer that may still be refused is not shown; nothing of it having been shown, other tries and models stay open.
    OnEvent held;
    if (on_event) {
      held = [&](const Event& event) {
        if (event.content.empty()) on_event(event);
      };
    }
    auto reply = inner_->complete(request, held);
    if (!reply) return reply;
    auto problem = check(*validator, *reply);
    if (problem && problem->again) {
      auto second = repaired(request, *reply, *problem, deadline, held);
      if (!second) return fail(with_particulars(std::move(second.error()), reply->content));
      second->usage += reply->usage;
      if (second->cost_usd && reply->cost_usd) {
        *second->cost_usd += *reply->cost_usd;
      } else {
        second->cost_usd.reset();
      }
      second->repaired = true;
      reply = std::move(second);
      problem = check(*validator, *reply);
      if (problem) problem->error.message += " (also after it was told so)";
    }
    if (problem) return fail(with_particulars(std::move(problem->error), reply->content));
    if (on_event && !reply->content.empty()) on_event(Event{.content = reply->content});
    return reply;
  }

 private:
  struct Problem {
    Error error;
    bool again = false;  // telling the model may help
  };

  // Nothing when the answer is as it should be; its content is the JSON alone then.
  std::optional<Problem> check(const schema::Validator& validator, Reply& reply) const {
    if (!reply.tool_calls.empty()) return std::nullopt;  // the answer is still to come
    const std::string who = "model '" + (reply.alias.empty() ? alias_ : reply.alias) + "'";
    if (reply.finish_reason == "content_filter") {
      Problem problem{Error(ErrorCode::kModel, who + " declined to answer", "Ask in other words.")};
      add_data(problem.error, "reason", json::value("refused"));
      return problem;
    }
    if (reply.finish_reason == "length") {
      Problem problem{Error(ErrorCode::kModel, who + " reached its limit of tokens in the middle of the JSON", "Raise max_tokens, or ask for less.")};
      add_data(problem.error, "reason", json::value("length"));
      return problem;
    }
    const std::string_view text = without_fence(reply.content);
    auto fits = validator.check(text, ErrorCode::kModel, "the answer of " + who);
    if (fits) {
      reply.content = std::string(text);
      return std::nullopt;
    }
    Problem problem{std::move(fits.error()), true};
    problem.error.code = ErrorCode::kModel;
    add_data(problem.error, "reason", json::value("schema_violation"));
    return problem;
  }

  Result<Reply> repaired(const Request& request, const Reply& reply, const Problem& problem, Clock::time_point deadline, const OnEvent& on_event) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    if (left <= milliseconds(0)) return fail(problem.error);
    Request again = request;
    again.timeout = left;
    // An empty answer has nothing to be mended; the question alone is asked again.
    if (!trim(reply.content).empty()) again.messages.push_back(json::object{{"role", "assistant"}, {"content", reply.content}});
    std::string told = "That answer does not fit the JSON Schema: " + problem.error.message + ".";
    if (!problem.error.hint.empty()) told += " " + problem.error.hint;
    again.messages.push_back(json::object{{"role", "user"}, {"content", told + " Answer with the corrected JSON alone."}});
    return inner_->complete(again, on_event);
  }

  static Error with_particulars(Error error, const std::string& content) {
    add_partial(error, content);
    return error;
  }

  const std::shared_ptr<Model> inner_;
  const std::string alias_;
};

}  // namespace

std::shared_ptr<Model> make_checked_model(std::shared_ptr<Model> inner, std::string alias) {
  return std::make_shared<CheckedModel>(std::move(inner), std::move(alias));
}

}  // namespace sabir::models
