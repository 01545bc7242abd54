#include "sabir/evals/parity.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>
#include <thread>

#include "sabir/base/text.h"
#include "sabir/evals/inputs.h"
#include "sabir/evals/same.h"
#include "sabir/protocol/raw_json.h"
#include "sabir/schema/validator.h"

namespace sabir::evals {
namespace {
using Clock = std::chrono::steady_clock;
using functions::Function;

constexpr std::size_t kMostKinds = 3;
constexpr std::size_t kMostShrinkCalls = 300;   // inputs that are tried to make one smaller
constexpr std::chrono::seconds kShrinkTime{20};

std::string full_address(const Function& function) { return function.language + "/" + function.address; }
std::string place_of(const Function& function) { return function.source.relative + ":" + std::to_string(function.schema.line); }

// A member that cannot be called at all, whatever its arguments.
bool cannot_be_called(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUnavailable:
    case ErrorCode::kBuildFailed:
    case ErrorCode::kLoadFailed:
    case ErrorCode::kDisabled:
    case ErrorCode::kUnknownFunction:
    case ErrorCode::kConfig:
    case ErrorCode::kSecretMissing:
    case ErrorCode::kNotGranted:
    case ErrorCode::kApprovalRefused:
    case ErrorCode::kStorage:
    case ErrorCode::kStorageFull: return true;
    default: return false;
  }
}

// How it ended is nothing that functions may agree in.
bool never_agrees(ErrorCode code) {
  return code == ErrorCode::kWorkerCrashed || code == ErrorCode::kOutcomeUnknown || code == ErrorCode::kTimeout || code == ErrorCode::kProtocol || code == ErrorCode::kInternal;
}

bool crashed(const Error& error) { return error.code == ErrorCode::kWorkerCrashed || error.code == ErrorCode::kOutcomeUnknown; }

// After that long the engine calls a function again that ended too many workers; 0 = it did call it.
std::chrono::milliseconds left_alone(const Error& error) {
  const auto data = crashed(error) && !error.data.empty() ? parse_json(error.data) : Result<json::value>(json::value());
  const auto* wait = data && data->is_object() ? data->get_object().if_contains("retry_after_ms") : nullptr;
  return std::chrono::milliseconds(wait != nullptr && wait->is_int64() ? std::clamp<std::int64_t>(wait->get_int64(), 0, 600'000) : 0);
}

// The integers of a JSON text that 64 bits may not hold.
std::vector<std::string_view> long_integers(std::string_view text) {
  auto out = numbers_of(text);
  std::erase_if(out, [](std::string_view number) { return number.size() < 19 || number.find_first_of(".eE") != std::string_view::npos; });
  std::sort(out.begin(), out.end());
  return out;
}

bool same_values(const std::string& one, const std::string& other, double tolerance, std::string* where) {
  if (one == other) return true;
  const auto a = exact_value(one);
  const auto b = exact_value(other);
  if (!a || !b) return false;
  const auto place = first_difference(*a, *b, tolerance);
  if (place && where != nullptr) *where = *place;
  if (place) return false;
  // Read as values they are rounded.
  if (!protocol::has_long_integer(one) || !protocol::has_long_integer(other)) return true;
  const auto ours = long_integers(one);
  const auto theirs = long_integers(other);
  return ours.empty() || theirs.empty() || ours == theirs;
}

bool same_answers(const Answer& one, const Answer& other, double tolerance, std::string* where = nullptr) {
  if (one.error || other.error) return one.error && other.error && one.error->code == other.error->code;
  return same_values(one.value, other.value, tolerance, where);
}

// Which of them agree: "0,0,1", with what errors they ended in. "" = all do.
std::string kind_of_disagreement(const std::vector<Answer>& answers, double tolerance) {
  std::vector<std::size_t> first;
  std::string out;
  bool differ = false;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    std::size_t group = first.size();
    for (std::size_t g = 0; g < first.size() && group == first.size(); ++g) {
      if (same_answers(answers[first[g]], answers[i], tolerance)) group = g;
    }
    if (group == first.size()) first.push_back(i);
    const auto& error = answers[i].error;
    differ = differ || group > 0 || (error && never_agrees(error->code));
    out += std::to_string(group) + (error ? ":" + std::string(error_code_name(error->code)) : "") + ",";
  }
  return differ ? out : "";
}

std::string words_for(const std::vector<const Function*>& members, const std::vector<Answer>& answers, double tolerance) {
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (answers[i].error && never_agrees(answers[i].error->code)) {
      const auto code = answers[i].error->code;
      return members[i]->language + (code == ErrorCode::kTimeout ? " does not end in time" : code == ErrorCode::kWorkerCrashed || code == ErrorCode::kOutcomeUnknown ? " takes its worker down" : " cannot answer");
    }
  }
  for (std::size_t i = 1; i < answers.size(); ++i) {
    std::string where;
    if (same_answers(answers[0], answers[i], tolerance, &where)) continue;
    if (answers[0].error.has_value() != answers[i].error.has_value()) {
      const bool first = answers[0].error.has_value();
      return members[first ? 0 : i]->language + " fails where " + members[first ? i : 0]->language + " gives a result";
    }
    if (answers[0].error) return members[i]->language + " fails in another way than " + members[0]->language;
    return members[i]->language + " gives another result than " + members[0]->language + (where.empty() ? "" : " at " + where);
  }
  return "the members disagree";
}

// ---- The schemas -----------------------------------------------------------------------------------------------------

struct SchemaWalk {
  const Function& one;
  const Function& other;
  std::vector<SchemaDifference>& out;

  void tell(const std::string& what) {
    if (out.size() < 40) out.push_back({what, place_of(one), place_of(other)});
  }

  static std::string shown(const json::value* value) {
    if (value == nullptr) return "missing";
    std::string text = compact_json(*value);
    return text.size() > 60 ? text.substr(0, 57) + "..." : text;
  }

  void keyword(const json::object& a, const json::object& b, const char* key, const std::string& path) {
    const auto* x = a.if_contains(key);
    const auto* y = b.if_contains(key);
    if (x == nullptr && y == nullptr) return;
    if (x != nullptr && y != nullptr && !first_difference(*x, *y, 0)) return;
    tell(path + ": " + key + " is " + shown(x) + " in " + one.language + " and " + shown(y) + " in " + other.language);
  }

  static const json::object& member(const json::object& schema, const char* key) {
    static const json::object kNone;
    const auto* value = schema.if_contains(key);
    return value != nullptr && value->is_object() ? value->get_object() : kNone;
  }

  static bool requires_name(const json::object& schema, std::string_view name) {
    const auto* list = schema.if_contains("required");
    if (list == nullptr || !list->is_array()) return false;
    return std::any_of(list->get_array().begin(), list->get_array().end(), [&](const auto& one) { return one.is_string() && one.get_string() == name; });
  }

  void walk(const json::object& a, const json::object& b, const std::string& path, int depth) {
    if (depth > 12 || a == b) return;
    // Bounds and kinds that follow from a type that differs are not told besides.
    if (!path.empty()) {
      const auto* x = a.if_contains("type");
      const auto* y = b.if_contains("type");
      const bool kinds = (x == nullptr) != (y == nullptr) || (x != nullptr && *x != *y);
      if (kinds) return keyword(a, b, "type", path);
      for (const char* key : {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern", "format", "contentEncoding", "enum", "const",
                              "minItems", "maxItems", "uniqueItems", "anyOf", "oneOf", "default"}) {
        keyword(a, b, key, path);
      }
    }
    const auto& ours = member(a, "properties");
    const auto& theirs = member(b, "properties");
    for (const auto& property : ours) {
      const std::string name = path.empty() ? std::string(property.key()) : path + "." + std::string(property.key());
      const auto* match = theirs.if_contains(property.key());
      if (match == nullptr) {
        tell(name + " is there in " + one.language + " and not in " + other.language);
        continue;
      }
      if (requires_name(a, property.key()) != requires_name(b, property.key())) {
        tell(name + " must be given in " + (requires_name(a, property.key()) ? one.language : other.language) + " and may be left out in " +
             (requires_name(a, property.key()) ? other.language : one.language));
      }
      if (property.value().is_object() && match->is_object()) walk(property.value().get_object(), match->get_object(), name, depth + 1);
    }
    for (const auto& property : theirs) {
      if (!ours.contains(property.key())) tell((path.empty() ? "" : path + ".") + std::string(property.key()) + " is there in " + other.language + " and not in " + one.language);
    }
    walk(member(a, "items"), member(b, "items"), path + "[]", depth + 1);
  }
};

// ---- One comparison --------------------------------------------------------------------------------------------------

struct Comparison {
  const ParityGroup& group;
  const ParityOptions& options;
  const ParityCall& call;
  ParityReport& report;
  std::vector<std::vector<double>> times;   // ms, of each member
  std::vector<bool> warm;
  std::size_t turn = 0;
  Clock::time_point deadline;
  std::set<std::string> kinds;
  std::vector<std::string> good;            // of each member: an input that it survived
  std::chrono::milliseconds may_wait{10'000};  // for functions that the engine leaves alone

  bool stopped() const { return (options.cancelled && options.cancelled->load()) || Clock::now() >= deadline; }

  // All members with one input, another first each time, so that noise hits all alike.
  std::vector<Answer> ask(const std::string& input, bool timed) {
    const std::size_t n = report.members.size();
    std::vector<Answer> out(n);
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t who = (turn + i) % n;
      const auto address = full_address(*report.members[who]);
      auto begun = Clock::now();
      auto value = call(address, input, options.call_timeout);
      if (const auto wait = value ? std::chrono::milliseconds(0) : left_alone(value.error()); wait.count() > 0 && wait <= may_wait && Clock::now() + wait < deadline) {
        may_wait -= wait;
        std::this_thread::sleep_for(wait);
        begun = Clock::now();
        value = call(address, input, options.call_timeout);
      }
      out[who].ms = std::chrono::duration<double, std::milli>(Clock::now() - begun).count();
      if (value) out[who].value = std::move(*value);
      else out[who].error = std::move(value.error());
      // The engine forgets a function's crashes once it has survived a call, and would leave it alone otherwise.
      if (!out[who].error) good[who] = input;
      else if (crashed(*out[who].error) && !good[who].empty()) [[maybe_unused]] const auto healed = call(address, good[who], options.call_timeout);
      if (timed && warm[who]) times[who].push_back(out[who].ms);
      warm[who] = true;
    }
    ++turn;
    return out;
  }

  // False when a member cannot be called at all: the report says so.
  bool callable(const std::vector<Answer>& answers) {
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (!answers[i].error || !cannot_be_called(answers[i].error->code)) continue;
      report.outcome = Outcome::kError;
      report.why = full_address(*report.members[i]) + " cannot be called: " + sabir::to_text(*answers[i].error);
      return false;
    }
    return true;
  }

  // A generated input, or a case that says nothing of the result. False = stop.
  bool compare_input(const json::object& arguments, const std::vector<schema::Validator>& validators) {
    const std::string input = compact_json(arguments);
    auto answers = ask(input, true);
    if (!callable(answers)) return false;
    ++report.inputs;
    const double tolerance = group.settings.tolerance;
    const std::string kind = kind_of_disagreement(answers, tolerance);
    if (kind.empty()) return true;
    ++report.disagreeing;
    if (!kinds.insert(kind).second || report.disagreements.size() >= kMostKinds) return true;
    Disagreement found;
    found.original = input;
    const auto until = std::min(deadline, Clock::now() + kShrinkTime);
    std::size_t calls = 0;
    std::set<std::string> tried{input};
    const auto smallest = shrink(
        arguments,
        [&](const json::value& candidate) {
          if (!candidate.is_object() || calls >= kMostShrinkCalls || Clock::now() >= until || stopped()) return false;
          std::string text = compact_json(candidate);
          if (!tried.insert(text).second) return false;
          for (const auto& validator : validators) {
            if (!validator.check(text, ErrorCode::kInvalidArguments, "input")) return false;
          }
          ++calls;
          return kind_of_disagreement(ask(text, false), tolerance) == kind;
        },
        20'000);
    found.input = compact_json(smallest);
    found.answers = ask(found.input, false);
    const auto again = ask(found.input, false);
    found.what = words_for(report.members, found.answers, tolerance);
    for (std::size_t i = 0; i < again.size(); ++i) {
      if (!same_answers(found.answers[i], again[i], tolerance)) found.what = report.members[i]->language + " gives another result each time";
    }
    add(std::move(found));
    return true;
  }

  void add(Disagreement found) {
    const bool known = std::any_of(report.disagreements.begin(), report.disagreements.end(), [&](const auto& one) { return one.input == found.input && one.expected == found.expected; });
    if (!known) report.disagreements.push_back(std::move(found));
  }

  bool compare_case(const GoldenCase& one, const std::vector<schema::Validator>& validators) {
    if (!one.gives && !one.fails) return compare_input(one.arguments, validators);
    const std::string input = compact_json(one.arguments);
    auto answers = ask(input, true);
    if (!callable(answers)) return false;
    ++report.inputs;
    const std::string where = group.settings.file + ":" + std::to_string(one.line);
    const std::string expected = one.gives ? compact_json(*one.gives) : "an error";
    for (std::size_t i = 0; i < answers.size(); ++i) {
      const bool fits = one.fails ? answers[i].error && !never_agrees(answers[i].error->code) : !answers[i].error && same_values(answers[i].value, expected, group.settings.tolerance, nullptr);
      if (fits) continue;
      ++report.disagreeing;
      Disagreement found;
      found.input = found.original = input;
      found.answers = std::move(answers);
      found.expected = expected;
      found.what = report.members[i]->language + (one.fails ? " does not fail as " + where + " says" : " does not give what " + where + " says");
      add(std::move(found));
      return true;
    }
    return true;
  }
};

double quantile(std::vector<double> times, double part) {
  if (times.empty()) return 0;
  std::sort(times.begin(), times.end());
  return times[std::min(times.size() - 1, static_cast<std::size_t>(part * static_cast<double>(times.size())))];
}

// By the canonical names of the parameters, what the doc comments of all members show.
std::vector<json::object> examples_of(const std::vector<const Function*>& members) {
  std::vector<json::object> out;
  for (const auto* member : members) {
    std::vector<std::string> parameters;
    for (const auto& parameter : member->schema.parameters) {
      if (!parameter.is_context) parameters.push_back(parameter.canonical);
    }
    for (auto& one : parse_doc_examples(member->schema.doc, {member->schema.name, member->schema.canonical}, parameters)) {
      if (std::find(out.begin(), out.end(), one) == out.end()) out.push_back(std::move(one));
    }
  }
  return out;
}

}  // namespace

std::string_view outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPassed: return "passed";
    case Outcome::kFailed: return "failed";
    case Outcome::kError: return "error";
    case Outcome::kSkipped: break;
  }
  return "skipped";
}

std::vector<SchemaDifference> schema_differences(const std::vector<const Function*>& members) {
  std::vector<SchemaDifference> out;
  for (std::size_t i = 1; i < members.size(); ++i) {
    const Function& one = *members[0];
    const Function& other = *members[i];
    SchemaWalk walk{one, other, out};
    walk.walk(inlined(one.schema.input_schema), inlined(other.schema.input_schema), "", 0);
    // Who does not tell promises nothing.
    if (!one.schema.output_schema.empty() && !other.schema.output_schema.empty()) walk.walk(inlined(one.schema.output_schema), inlined(other.schema.output_schema), "result", 0);
    if (one.schema.effect != other.schema.effect) {
      walk.tell("the effect is " + std::string(schema::effect_name(one.schema.effect)) + " in " + one.language + " and " + std::string(schema::effect_name(other.schema.effect)) + " in " + other.language);
    }
  }
  return out;
}

ParityReport compare(const ParityGroup& group, const ParityOptions& options, const ParityCall& call) {
  const auto begun = Clock::now();
  ParityReport report;
  report.address = group.address;
  const auto& settings = group.settings;
  for (const auto* member : group.members) {
    if (std::find(settings.skip.begin(), settings.skip.end(), member->language) != settings.skip.end()) report.left_out.push_back(member->language + ": " + settings.reason);
    else report.members.push_back(member);
  }
  report.schemas = schema_differences(report.members);
  const auto end = [&](Outcome outcome, std::string why) {
    report.outcome = outcome;
    report.why = std::move(why);
    report.seconds = std::chrono::duration<double>(Clock::now() - begun).count();
    return report;
  };
  if (report.members.size() < 2) return end(Outcome::kSkipped, "only one language is left: " + join(report.left_out, "; "));
  for (const auto* member : report.members) {
    if (member->disabled) return end(Outcome::kSkipped, full_address(*member) + " is disabled");
  }
  if (!settings.effects_allowed) {
    for (const auto* member : report.members) {
      if (member->schema.effect == schema::Effect::kRead) continue;
      return end(Outcome::kSkipped, full_address(*member) + " has the effect " + std::string(schema::effect_name(member->schema.effect)) + "; `effects: allowed` in " + kParityFolder + "/" + group.address +
                                        ".yml has it called, with a store that is thrown away");
    }
  }
  std::vector<json::object> schemas;
  std::vector<schema::Validator> validators;
  for (const auto* member : report.members) {
    schemas.push_back(member->schema.input_schema);
    auto validator = schema::Validator::compile(member->schema.input_schema);
    if (!validator) return end(Outcome::kError, full_address(*member) + ": " + validator.error().message);
    validators.push_back(std::move(*validator));
  }
  if (!settings.inputs.empty()) {
    json::object narrow{{"type", "object"}, {"properties", settings.inputs}};
    auto validator = schema::Validator::compile(narrow);
    if (!validator) return end(Outcome::kError, settings.file + ": inputs: " + validator.error().message);
    schemas.push_back(std::move(narrow));
    validators.push_back(std::move(*validator));
  }
  const auto ground = common_ground(schemas);
  if (is_impossible(ground)) return end(Outcome::kFailed, "no input fits all of them: their schemas exclude one another");

  Comparison run{group, options, call, report, std::vector<std::vector<double>>(report.members.size()), std::vector<bool>(report.members.size(), false), 0, begun + settings.timeout, {}, std::vector<std::string>(report.members.size())};
  bool going = true;
  for (const auto& one : settings.cases) {
    if (!going || run.stopped()) break;
    going = run.compare_case(one, validators);
  }
  const auto runs = static_cast<std::size_t>(settings.runs.value_or(options.runs));
  Generator generator(ground, options.seed);
  std::vector<json::object> inputs = examples_of(report.members);
  for (auto& edge : generator.edges(std::max<std::size_t>(runs / 2, 20))) {
    if (edge.is_object()) inputs.push_back(std::move(edge.get_object()));
  }
  std::set<std::string> seen;
  std::size_t used = 0;
  std::size_t unfit = 0;
  // Twice as many are drawn at most: what has few inputs has no more.
  for (std::size_t i = 0; going && used < runs && unfit < runs * 4 + 200; ++i) {
    if (run.stopped()) {
      report.out_of_time = true;
      break;
    }
    json::object arguments;
    if (i < inputs.size()) {
      arguments = inputs[i];
    } else {
      auto drawn = generator.random();
      if (drawn.is_object()) arguments = std::move(drawn.get_object());
    }
    const std::string text = compact_json(arguments);
    const bool fits = std::all_of(validators.begin(), validators.end(), [&](const auto& validator) { return validator.check(text, ErrorCode::kInvalidArguments, "input").has_value(); });
    if (!fits || !seen.insert(text).second) {
      ++unfit;
      continue;
    }
    ++used;
    going = run.compare_input(arguments, validators);
  }
  for (const auto& times : run.times) {
    double sum = 0;
    for (const double ms : times) sum += ms;
    report.latencies.push_back({times.size(), quantile(times, 0.5), quantile(times, 0.99), sum > 0 ? 1000.0 * static_cast<double>(times.size()) / sum : 0});
  }
  if (report.outcome == Outcome::kError) return end(Outcome::kError, report.why);
  if (options.cancelled && options.cancelled->load()) return end(Outcome::kError, "interrupted");
  if (report.disagreeing > 0) return end(Outcome::kFailed, "");
  if (settings.schemas_same && !report.schemas.empty()) return end(Outcome::kFailed, "the schemas differ, and " + settings.file + " says that they are the same");
  if (report.inputs == 0) return end(Outcome::kError, "no input was found that fits all the schemas; name some as `cases` in " + std::string(kParityFolder) + "/" + group.address + ".yml");
  return end(Outcome::kPassed, "");
}

}  // namespace sabir::evals
