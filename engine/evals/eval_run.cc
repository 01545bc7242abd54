#include "sabir/evals/eval_run.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

#include "sabir/base/file.h"
#include "sabir/base/text.h"

namespace sabir::evals {
namespace {
using Clock = std::chrono::steady_clock;
using recordings::Entry;

constexpr std::size_t kMostShown = 600;

bool is_free(const std::string& provider) { return provider == "local" || provider == "scripted"; }

std::string model_of(const Entry& entry) {
  const auto asked = string_or(entry.ask, "model");
  return asked.empty() ? entry.reply.model : std::string(asked);
}

// What one question cost; nothing where nobody knows.
std::optional<double> price_of(const Entry& entry, runtime::Engine& engine) {
  if (is_free(entry.reply.provider) || entry.error) return 0;
  if (entry.reply.cost_usd) return entry.reply.cost_usd;
  if (auto usd = engine.cost_usd(model_of(entry), entry.reply.usage)) return usd;
  return engine.cost_usd(entry.reply.model, entry.reply.usage);
}

struct Taken {
  int steps = 0;
  models::Usage usage;
  std::optional<double> usd = 0.0;
  std::vector<std::string> unpriced;
};

Taken taken_by(const std::vector<Entry>& entries, runtime::Engine& engine, std::size_t from = 0) {
  Taken out;
  std::size_t seen = 0;
  for (const auto& entry : entries) {
    if (entry.kind != recordings::Kind::kModel || seen++ < from) continue;
    ++out.steps;
    out.usage += entry.reply.usage;
    const auto usd = price_of(entry, engine);
    if (usd && out.usd) *out.usd += *usd;
    if (!usd) {
      out.usd.reset();
      out.unpriced.push_back(model_of(entry));
    }
  }
  return out;
}

std::size_t questions_in(const std::vector<Entry>& entries) {
  return static_cast<std::size_t>(std::count_if(entries.begin(), entries.end(), [](const Entry& entry) { return entry.kind == recordings::Kind::kModel; }));
}

void add_calls(const json::object& answer, Observed& out) {
  const auto* calls = answer.if_contains("calls");
  if (calls == nullptr || !calls->is_array()) return;
  for (const auto& one : calls->get_array()) {
    if (!one.is_object()) continue;
    const auto& object = one.get_object();
    CallSeen seen;
    seen.address = string_or(object, "address");
    if (const auto* arguments = object.if_contains("arguments"); arguments != nullptr && arguments->is_object()) seen.arguments = arguments->get_object();
    seen.ok = !object.contains("error");
    if (const auto* outcome = object.if_contains(seen.ok ? "value" : "error")) seen.outcome = compact_json(*outcome);
    out.calls.push_back(std::move(seen));
  }
}

struct Running {
  const Eval& eval;
  runtime::Engine& engine;
  const EvalOptions& options;

  Result<void> ask(const EvalCase& one, SampleResult& out) {
    runtime::RunEvents events;
    events.approve = [this](const std::string& address, const std::string&) {
      return std::any_of(eval.approve.begin(), eval.approve.end(), [&](const auto& pattern) { return names_function(pattern, address); });
    };
    const auto take = [&](json::object& answer) {
      out.observed.answer = string_or(answer, "content");
      out.model = string_or(answer, "model");
      if (const auto trace = string_or(answer, "trace"); !trace.empty()) out.trace = trace;
      add_calls(answer, out.observed);
    };
    if (!eval.prompt.empty()) {
      runtime::PromptRequest request;
      request.name = eval.prompt;
      request.variables = compact_json(one.with);
      request.model = eval.model;
      request.cache = std::chrono::milliseconds(0);
      auto answer = engine.complete_prompt(request, options.context, events, options.cancelled);
      if (!answer) return fail(std::move(answer.error()));
      take(*answer);
      return {};
    }
    std::string conversation;
    for (const auto& message : one.asks) {
      auto answer = engine.run_assistant(eval.assistant, message, conversation, options.context, events, options.cancelled);
      if (!answer) return fail(std::move(answer.error()));
      take(*answer);
      conversation = string_or(*answer, "conversation");
    }
    return {};
  }

  Result<Judgement> judge(const EvalCase& one, const Observed& observed) {
    const auto& rule = *one.expect.judge;
    models::Request request;
    request.messages = judge_messages(rule, one, observed);
    request.output_schema = judge_schema();
    request.cancelled = options.cancelled;
    request.cache = std::chrono::milliseconds(0);
    request.caller.context = options.context;
    auto reply = engine.complete(rule.model, request, {});
    if (!reply) {
      reply.error().message = "the judge: " + reply.error().message;
      return fail(std::move(reply.error()));
    }
    return parse_judgement(reply->content);
  }

  // `questions` gets how many models were asked, `spent` what the judge's and all else cost.
  SampleResult sample(const EvalCase& one, int number, Taken& spent) {
    SampleResult out;
    engine.use_recording(recording_name(eval, one, number));
    const auto broken = [&](Error error) {
      out.outcome = Outcome::kError;
      if (error.code == ErrorCode::kRecordingMissing || error.code == ErrorCode::kRecordingStale) {
        error.hint = "`sabir eval " + eval.name + " --case '" + one.id + "' --live` asks the model and records its answer.";
      }
      out.error = std::move(error);
    };
    const auto begun = Clock::now();
    auto asked = ask(one, out);
    out.observed.ms = std::chrono::duration<double, std::milli>(Clock::now() - begun).count();
    out.observed.live = options.live;
    const auto entries = engine.recorded();
    const auto own = taken_by(entries, engine);
    out.observed.steps = own.steps;
    out.observed.usage = own.usage;
    out.observed.usd = own.usd;
    spent = own;
    if (!asked) {
      broken(std::move(asked.error()));
      return out;
    }
    // Somebody may have caught the error; the answer was missing all the same.
    if (!options.live) {
      const auto missed = engine.missed();
      if (!missed.empty()) {
        const auto& first = missed.front();
        broken(Error(first.stale ? ErrorCode::kRecordingStale : ErrorCode::kRecordingMissing, "the recording has no answer for " + first.what + (first.difference.empty() ? "" : ":\n" + first.difference)));
        return out;
      }
    }
    out.failures = check(one.expect, out.observed);
    if (one.expect.judge) {
      auto judged = judge(one, out.observed);
      const auto all = engine.recorded();
      const auto besides = taken_by(all, engine, questions_in(entries));
      spent.usage += besides.usage;
      if (spent.usd && besides.usd) *spent.usd += *besides.usd;
      else spent.usd.reset();
      spent.unpriced.insert(spent.unpriced.end(), besides.unpriced.begin(), besides.unpriced.end());
      if (!judged) {
        auto error = std::move(judged.error());
        if (error.file.empty()) error = std::move(error).at(one.expect.judge->place.file, one.expect.judge->place.line, one.expect.judge->place.column);
        broken(std::move(error));
        return out;
      }
      out.judgement = *judged;
      if (judged->score < one.expect.judge->pass) {
        char text[64];
        std::snprintf(text, sizeof text, "judge: %.2f, and %.2f is needed: ", judged->score, one.expect.judge->pass);
        out.failures.push_back({text + judged->reason, out.observed.answer, one.expect.judge->place});
      }
    }
    if (!out.failures.empty()) out.outcome = Outcome::kFailed;
    return out;
  }
};

std::string cut(std::string text, std::size_t most = kMostShown) {
  if (text.size() <= most) return text;
  std::size_t end = most - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return text.substr(0, end) + "…";
}

std::string place_text(const Place& place) { return place.file + ":" + std::to_string(place.line) + (place.column > 0 ? ":" + std::to_string(place.column) : ""); }

std::string indented(const std::string& text, const std::string& by) {
  std::string out;
  for (const auto line : split_lines(text)) out += by + std::string(line) + "\n";
  return out;
}

}  // namespace

std::string dollars_of(double usd) {
  char text[64];
  std::snprintf(text, sizeof text, "%.6f", usd);
  std::string out(text);
  out.erase(out.find_last_not_of('0') + 1);
  if (out.ends_with('.')) out.pop_back();
  return out;
}

int CaseResult::passed() const {
  return static_cast<int>(std::count_if(samples.begin(), samples.end(), [](const auto& one) { return one.outcome == Outcome::kPassed; }));
}
double CaseResult::ms() const {
  double sum = 0;
  for (const auto& one : samples) sum += one.observed.ms;
  return samples.empty() ? 0 : sum / static_cast<double>(samples.size());
}
std::optional<double> CaseResult::usd() const {
  double sum = 0;
  for (const auto& one : samples) {
    if (!one.observed.usd) return std::nullopt;
    sum += *one.observed.usd;
  }
  return sum;
}
std::int64_t CaseResult::tokens() const {
  std::int64_t sum = 0;
  for (const auto& one : samples) sum += one.observed.usage.input_tokens + one.observed.usage.output_tokens;
  return sum;
}

std::size_t EvalResult::count(Outcome outcome) const {
  return static_cast<std::size_t>(std::count_if(cases.begin(), cases.end(), [&](const auto& one) { return one.outcome == outcome; }));
}

CostEstimate estimate(const Eval& eval, const std::string& only_case, const std::filesystem::path& root, runtime::Engine& engine) {
  CostEstimate out;
  double usd = 0;
  std::set<std::string> unpriced;
  for (const auto& one : eval.cases) {
    if (!one.skip.empty() || (!only_case.empty() && one.id != only_case)) continue;
    for (int sample = 1; sample <= one.samples; ++sample) {
      ++out.samples;
      const auto path = root / recordings::kEvalFolder / recordings::file_name(recording_name(eval, one, sample));
      auto text = read_file(path, recordings::kMostBytes);
      auto recording = text ? recordings::parse_recording(*text, path.string()) : Result<recordings::Recording>(fail(text.error()));
      if (!recording) continue;
      ++out.known;
      const auto taken = taken_by(recording->entries, engine);
      out.of_free_models = out.of_free_models || std::any_of(recording->entries.begin(), recording->entries.end(), [](const Entry& entry) { return entry.kind == recordings::Kind::kModel && is_free(entry.reply.provider); });
      out.usage += taken.usage;
      usd += taken.usd.value_or(0);
      unpriced.insert(taken.unpriced.begin(), taken.unpriced.end());
    }
  }
  out.unpriced.assign(unpriced.begin(), unpriced.end());
  if (out.known == 0) return out;
  const double all = static_cast<double>(out.samples) / static_cast<double>(out.known);
  out.usage.input_tokens = static_cast<std::int64_t>(std::ceil(static_cast<double>(out.usage.input_tokens) * all));
  out.usage.output_tokens = static_cast<std::int64_t>(std::ceil(static_cast<double>(out.usage.output_tokens) * all));
  if (out.unpriced.empty()) {
    out.usd = usd * all;
    out.a_sample = usd / static_cast<double>(out.known);
  }
  return out;
}

EvalResult run_eval(const Eval& eval, runtime::Engine& engine, const EvalOptions& options, Purse& purse, const CostEstimate& estimate) {
  const auto begun = Clock::now();
  EvalResult out;
  out.name = eval.name;
  out.file = eval.file;
  out.asked = eval.prompt.empty() ? "assistant " + eval.assistant : "prompt " + eval.prompt;
  out.live = options.live;
  Running running{eval, engine, options};
  Purse own{eval.budget_usd, 0, false};
  // Why nothing more may be asked; "" = it may.
  const auto closed = [&]() -> std::string {
    if (!options.live) return "";
    for (const auto* one : {&purse, &own}) {
      if (!one->most_usd) continue;
      if (one->unknown) return "not run: what was asked before has no known price, so that the budget of " + dollars_of(*one->most_usd) + " USD cannot be kept; `prices` in config/openai_config.yml names it";
      const double next = one->spent_usd + estimate.a_sample;
      if (one->spent_usd >= *one->most_usd && one->spent_usd > 0) return "not run: the budget of " + dollars_of(*one->most_usd) + " USD is used up";
      if (next > *one->most_usd) return "not run: " + dollars_of(one->spent_usd) + " USD of " + dollars_of(*one->most_usd) + " are spent, and one more takes about " + dollars_of(estimate.a_sample);
    }
    return "";
  };
  for (const auto& one : eval.cases) {
    if (!options.only_case.empty() && one.id != options.only_case) continue;
    CaseResult result;
    result.id = one.id;
    result.place = one.place;
    result.needed = std::max(1, static_cast<int>(std::ceil(one.pass_rate * one.samples - 1e-9)));
    if (one.pass_rate == 0) result.needed = 0;
    if (!one.skip.empty()) {
      result.outcome = Outcome::kSkipped;
      result.why = one.skip;
    }
    for (int sample = 1; sample <= one.samples && one.skip.empty(); ++sample) {
      std::string why = closed();
      if (why.empty() && options.cancelled && options.cancelled->load()) why = "not run: interrupted";
      if (!why.empty()) {
        result.outcome = Outcome::kError;
        result.why = std::move(why);
        break;
      }
      Taken spent;
      result.samples.push_back(running.sample(one, sample, spent));
      if (!options.live) continue;
      for (auto* purse_of : {&purse, &own}) {
        purse_of->spent_usd += spent.usd.value_or(0);
        purse_of->unknown = purse_of->unknown || !spent.usd;
      }
    }
    const bool broken = std::any_of(result.samples.begin(), result.samples.end(), [](const auto& sample) { return sample.outcome == Outcome::kError; });
    if (result.outcome == Outcome::kPassed) result.outcome = broken ? Outcome::kError : result.passed() >= result.needed ? Outcome::kPassed : Outcome::kFailed;
    if (options.told) options.told(result);
    out.cases.push_back(std::move(result));
  }
  out.seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  return out;
}

// ---- Words -----------------------------------------------------------------------------------------------------------

std::string failures_of(const CaseResult& result, const std::function<std::string(std::string_view, const char*)>& styled) {
  std::string out;
  if (!result.why.empty()) out += "      " + result.why + "\n";
  if (result.outcome == Outcome::kPassed) return out;
  for (std::size_t i = 0; i < result.samples.size(); ++i) {
    const auto& sample = result.samples[i];
    if (sample.outcome == Outcome::kPassed) continue;
    const std::string which = result.samples.size() > 1 ? "sample " + std::to_string(i + 1) + ": " : "";
    if (sample.error) {
      const bool placed = !sample.error->file.empty();
      out += indented(which + (placed ? "" : place_text(result.place) + ": ") + sabir::to_text(*sample.error), "      ");
    }
    for (const auto& failure : sample.failures) {
      out += indented(which + place_text(failure.place) + ": " + cut(failure.what), "      ");
      if (!failure.got.empty()) out += indented("got: " + cut(failure.got), "        ");
    }
    if (!sample.trace.empty()) out += "        " + styled("sabir trace " + sample.trace.substr(0, 8), "2") + "\n";
  }
  return out;
}

Verdict verdict_of(const EvalResult& eval, const CaseResult& result) {
  Verdict out;
  out.name = eval.name + ": " + result.id;
  out.outcome = result.outcome;
  out.file = result.place.file;
  out.line = result.place.line;
  out.column = result.place.column;
  out.seconds = result.ms() * static_cast<double>(result.samples.size()) / 1000;
  out.message = result.why;
  for (const auto& sample : result.samples) {
    if (result.outcome == Outcome::kPassed || !out.message.empty()) break;
    if (sample.error) out.message = sample.error->message;
    else if (!sample.failures.empty()) out.message = sample.failures.front().what;
  }
  out.text = failures_of(result, [](std::string_view text, const char*) { return std::string(text); });
  return out;
}

json::object to_json(const EvalResult& result) {
  json::array cases;
  for (const auto& one : result.cases) {
    json::array samples;
    for (const auto& sample : one.samples) {
      json::array failures;
      for (const auto& failure : sample.failures) {
        json::object object{{"what", failure.what}, {"file", failure.place.file}, {"line", failure.place.line}, {"column", failure.place.column}};
        if (!failure.got.empty()) object["got"] = failure.got;
        failures.push_back(std::move(object));
      }
      json::array calls;
      for (const auto& call : sample.observed.calls) {
        auto outcome = parse_json(call.outcome);
        calls.push_back({{"address", call.address}, {"arguments", call.arguments}, {call.ok ? "value" : "error", outcome ? *outcome : json::value(call.outcome)}});
      }
      json::object object{{"outcome", outcome_name(sample.outcome)}, {"answer", sample.observed.answer}, {"calls", std::move(calls)}, {"steps", sample.observed.steps}, {"usage", models::to_json(sample.observed.usage)}};
      if (sample.observed.usd) object["cost_usd"] = *sample.observed.usd;
      object["latency_ms"] = sample.observed.ms;
      if (!sample.model.empty()) object["model"] = sample.model;
      if (!sample.trace.empty()) object["trace"] = sample.trace;
      if (sample.judgement) object["judge"] = json::object{{"score", sample.judgement->score}, {"reason", sample.judgement->reason}};
      if (sample.error) object["error"] = sabir::to_json(*sample.error);
      if (!failures.empty()) object["failures"] = std::move(failures);
      samples.push_back(std::move(object));
    }
    json::object object{{"id", one.id}, {"outcome", outcome_name(one.outcome)}, {"file", one.place.file}, {"line", one.place.line}, {"column", one.place.column}, {"needed", one.needed}, {"samples", std::move(samples)}};
    if (!one.why.empty()) object["why"] = one.why;
    cases.push_back(std::move(object));
  }
  return {{"name", result.name}, {"file", result.file}, {"asked", result.asked}, {"live", result.live}, {"seconds", result.seconds}, {"cases", std::move(cases)}};
}

}  // namespace sabir::evals
