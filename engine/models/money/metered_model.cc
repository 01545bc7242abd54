#include "money/metered_model.h"

#include <algorithm>

#include "failure.h"
#include "policy/estimate.h"
#include "sabir/base/log.h"

namespace sabir::models {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kAssumedAnswer = 4096;  // tokens of an answer that nobody has bounded
constexpr milliseconds kLeaseMargin{60'000};

class MeteredModel final : public Model {
 public:
  MeteredModel(std::shared_ptr<Model> leaf, Meter meter) : leaf_(std::move(leaf)), meter_(std::move(meter)) {}

  std::string description() const override { return leaf_->description(); }

  Result<Reply> complete(const Request& request, const OnEvent& on_event) override {
    Usage most;
    most.input_tokens = prompt_tokens(request);
    most.output_tokens = answer_tokens(request.parameters).value_or(answer_tokens(meter_.parameters).value_or(kAssumedAnswer));
    return metered<Reply>(request.caller, most, request.timeout, request.afterwards, [&] { return leaf_->complete(request, on_event); });
  }

  Result<Embeddings> embed(const EmbedRequest& request) override {
    Usage most;
    most.input_tokens = prompt_tokens(request);
    return metered<Embeddings>(request.caller, most, request.timeout, {}, [&] { return leaf_->embed(request); });
  }

 private:
  template <class Answer>
  Result<Answer> metered(const Caller& caller, const Usage& most, milliseconds timeout, const std::function<void(std::function<void()>)>& afterwards,
                         const std::function<Result<Answer>()>& ask) {
    CallFacts facts{caller, meter_.alias, meter_.provider, meter_.model};
    std::optional<std::int64_t> lease;
    if (meter_.budgets.any()) {
      // What cannot be promised is not spent: neither when a budget is used up nor when nobody can tell.
      auto promised = meter_.ledger->lease(facts, {most.input_tokens + most.output_tokens, cost(meter_.model, most)}, meter_.budgets, timeout + kLeaseMargin);
      if (!promised) return fail(std::move(promised.error()));
      lease = *promised;
    }
    auto answer = ask();
    if (answer) {
      if (!answer->model.empty()) facts.model = answer->model;
      const auto nusd = cost(facts.model, answer->usage);
      if (nusd) answer->cost_usd = static_cast<double>(*nusd) / 1e9;
      // Until then a promise stands for it, as it would if this engine died now.
      if (afterwards) afterwards([meter = meter_, lease, facts, usage = answer->usage, nusd] { book(meter, lease, facts, usage, nusd, "ok"); });
      else book(meter_, lease, facts, answer->usage, nusd, "ok");
      return answer;
    }
    const Error& error = answer.error();
    const Failure failure = Failure::of(error);
    const std::int64_t partial = received(error);
    const bool may_have_cost = failure.status == 0 && (partial > 0 || error.code == ErrorCode::kTimeout || error.code == ErrorCode::kCancelled);
    if (may_have_cost && failure.reason != Reason::kBusy) {
      // Its server went to work; what came of it is counted, and the prompt as estimated.
      Usage usage;
      usage.input_tokens = most.input_tokens;
      usage.output_tokens = partial / 4;
      if (afterwards) afterwards([meter = meter_, lease, facts, usage, nusd = cost(meter_.model, usage)] { book(meter, lease, facts, usage, nusd, "broken"); });
      else book(meter_, lease, facts, usage, cost(meter_.model, usage), "broken");
    } else if (lease) {
      if (auto released = meter_.ledger->release(*lease); !released) log(LogLevel::kWarning, "a budget's promise was not taken back: " + released.error().message);
    }
    return answer;
  }

  // The price of whoever answered, else of the model that was asked.
  std::optional<std::int64_t> cost(const std::string& model, const Usage& usage) const {
    auto price = meter_.prices ? meter_.prices->find(model) : std::nullopt;
    if (!price && meter_.prices) price = meter_.prices->find(meter_.model);
    if (price) return price->of(usage);
    return meter_.free ? std::optional<std::int64_t>(0) : std::nullopt;
  }

  static std::int64_t received(const Error& error) {
    const auto data = error.data.empty() ? Result<json::value>(json::value()) : parse_json(error.data);
    if (!data || !data->is_object()) return 0;
    std::int64_t bytes = 0;
    for (const char* key : {"partial", "partial_reasoning"}) {
      const auto* whole = data->get_object().if_contains(std::string(key) + "_bytes");
      bytes += whole != nullptr && whole->is_int64() ? whole->get_int64() : static_cast<std::int64_t>(string_or(data->get_object(), key).size());
    }
    return bytes;
  }

  static void book(const Meter& meter, std::optional<std::int64_t> lease, const CallFacts& facts, const Usage& usage, std::optional<std::int64_t> nusd, const char* outcome) {
    if (!meter.ledger) return;
    // An answer is not lost because nobody can write down what it cost.
    if (auto done = meter.ledger->settle(lease, facts, usage, nusd, outcome); !done) {
      log(LogLevel::kWarning, "what a call of model '" + meter.alias + "' took was not written down: " + done.error().message);
    }
  }

  const std::shared_ptr<Model> leaf_;
  const Meter meter_;
};

}  // namespace

std::shared_ptr<Model> make_metered_model(std::shared_ptr<Model> leaf, Meter meter) { return std::make_shared<MeteredModel>(std::move(leaf), std::move(meter)); }

}  // namespace sabir::models
