#include "sabir/evals/kept_runs.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <map>

#include "sabir/base/file.h"
#include "sabir/base/ids.h"
#include "sabir/base/text.h"
#include "sabir/recordings/player.h"

namespace sabir::evals {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMostBytes = std::size_t{64} << 20U;

fs::path folder_of(const fs::path& root) { return root / ".sabir" / "evals"; }

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  for (const auto line : split_lines(text)) out.emplace_back(line);
  return out;
}

const json::array& list_of(const json::object& object, const char* key) {
  static const json::array kNone;
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_array() ? value->get_array() : kNone;
}

KeptCase case_of(const std::string& eval, const json::object& object) {
  KeptCase out;
  out.eval = eval;
  out.id = string_or(object, "id");
  out.outcome = string_or(object, "outcome");
  out.why = string_or(object, "why");
  out.usd = 0.0;
  double ms = 0;
  const auto& samples = list_of(object, "samples");
  for (const auto& one : samples) {
    if (!one.is_object()) continue;
    const auto& sample = one.get_object();
    out.answers.emplace_back(string_or(sample, "answer"));
    if (const auto* usd = sample.if_contains("cost_usd"); usd != nullptr && usd->is_number() && out.usd) *out.usd += usd->to_number<double>();
    else out.usd.reset();
    if (const auto* took = sample.if_contains("latency_ms"); took != nullptr && took->is_number()) ms += took->to_number<double>();
    if (const auto* usage = sample.if_contains("usage"); usage != nullptr && usage->is_object()) {
      for (const char* key : {"input_tokens", "output_tokens"}) {
        const auto* tokens = usage->get_object().if_contains(key);
        if (tokens != nullptr && tokens->is_int64() && std::abs(tokens->get_int64()) < 1'000'000'000'000) out.tokens += tokens->get_int64();
      }
    }
    if (!out.why.empty()) continue;
    const auto& failures = list_of(sample, "failures");
    if (!failures.empty() && failures.front().is_object()) out.why = string_or(failures.front().get_object(), "what");
    if (const auto* error = sample.if_contains("error"); error != nullptr && error->is_object()) out.why = string_or(error->get_object(), "message");
  }
  out.ms = samples.empty() ? 0 : ms / static_cast<double>(samples.size());
  return out;
}

}  // namespace

Result<std::string> keep(const fs::path& root, const json::array& evals, bool live) {
  const std::string id = new_id();
  std::error_code ec;
  fs::create_directories(folder_of(root), ec);
  const json::object run{{"format", kRunFormat}, {"id", id}, {"at", now_text()}, {"live", live}, {"evals", evals}};
  // Answers may say what not everybody may read.
  if (auto written = write_file(folder_of(root) / (id + ".json"), compact_json(run) + "\n", 0600); !written) return fail(std::move(written.error()));
  auto ids = kept_runs(root);
  for (std::size_t i = 0; i + kMostRunsKept < ids.size(); ++i) fs::remove(folder_of(root) / (ids[i] + ".json"), ec);
  return id;
}

std::vector<std::string> kept_runs(const fs::path& root) {
  std::vector<std::string> out;
  std::error_code ec;
  for (fs::directory_iterator it(folder_of(root), ec), end; !ec && it != end; it.increment(ec)) {
    if (it->path().extension() == ".json" && it->path().stem().string().size() == 26) out.push_back(it->path().stem().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

Result<KeptRun> read_kept(const fs::path& root, const std::string& which) {
  const auto ids = kept_runs(root);
  std::string id;
  if (which.starts_with('-')) {
    const auto ago = static_cast<std::size_t>(std::max(0, std::atoi(which.c_str() + 1)));
    if (ago == 0 || ago > ids.size()) return fail(ErrorCode::kNotFound, ids.empty() ? "no run of evals is kept" : "only " + std::to_string(ids.size()) + (ids.size() == 1 ? " run of evals is kept" : " runs of evals are kept"), "`sabir eval` keeps each run of its.");
    id = ids[ids.size() - ago];
  } else {
    std::vector<std::string> found;
    for (const auto& one : ids) {
      if (one.starts_with(which) || one.ends_with(which)) found.push_back(one);
    }
    if (found.size() != 1) return fail(ErrorCode::kNotFound, (found.empty() ? "no run of evals is called '" : "more than one run of evals begins or ends with '") + which + "'", "`sabir eval runs` lists them.");
    id = found.front();
  }
  const fs::path path = folder_of(root) / (id + ".json");
  auto text = read_file(path, kMostBytes);
  if (!text) return fail(std::move(text.error()));
  return parse_kept_run(*text, ".sabir/evals/" + id + ".json");
}

Result<KeptRun> parse_kept_run(std::string_view text, const std::string& file) {
  const auto wrong = [&](const std::string& message) { return fail(Error(ErrorCode::kConfig, message, "Delete the file; the next run is kept anew.").at(file)); };
  auto value = parse_json(text);
  if (!value || !value->is_object()) return wrong("not a kept run of evals");
  const auto& object = value->get_object();
  const auto* format = object.if_contains("format");
  if (format == nullptr || !format->is_int64() || format->get_int64() < 1) return wrong("not a kept run of evals: it has no format number");
  if (format->get_int64() > kRunFormat) {
    return fail(Error(ErrorCode::kStoreNewer, "the run has format " + std::to_string(format->get_int64()) + ", and this engine reads format " + std::to_string(kRunFormat), "Use the newer Sabir that kept it, or delete the file.").at(file));
  }
  KeptRun out;
  out.id = string_or(object, "id");
  out.at = string_or(object, "at");
  if (const auto* live = object.if_contains("live")) out.live = *live == true;
  for (const auto& eval : list_of(object, "evals")) {
    if (!eval.is_object()) return wrong("'evals' has something that is no object");
    for (const auto& one : list_of(eval.get_object(), "cases")) {
      if (!one.is_object()) return wrong("'cases' has something that is no object");
      out.cases.push_back(case_of(std::string(string_or(eval.get_object(), "name")), one.get_object()));
    }
  }
  return out;
}

RunDifference difference_of(KeptRun before, KeptRun after) {
  RunDifference out;
  std::map<std::pair<std::string, std::string>, const KeptCase*> known;
  for (const auto& one : before.cases) known[{one.eval, one.id}] = &one;
  out.usd = 0.0;
  for (const auto& one : after.cases) {
    CaseChange change;
    change.eval = one.eval;
    change.id = one.id;
    change.after = one.outcome;
    if (one.outcome != "passed") change.why = one.why;
    const auto found = known.find({one.eval, one.id});
    if (found == known.end()) {
      out.changes.push_back(std::move(change));
      continue;
    }
    const KeptCase& old = *found->second;
    known.erase(found);
    change.before = old.outcome;
    change.tokens = one.tokens - old.tokens;
    change.ms = one.ms - old.ms;
    if (one.usd && old.usd) change.usd = *one.usd - *old.usd;
    out.tokens += change.tokens;
    out.ms += change.ms;
    if (change.usd && out.usd) *out.usd += *change.usd;
    else out.usd.reset();
    const std::string was = old.answers.empty() ? "" : old.answers.front();
    const std::string is = one.answers.empty() ? "" : one.answers.front();
    if (was != is) {
      change.answer = lines_of(recordings::difference(lines_of(was), lines_of(is)));
      // Where nothing but the ends of lines differs.
      if (change.answer.empty()) change.answer = {"- " + compact_json(json::value(was)), "+ " + compact_json(json::value(is))};
    }
    if (change.before == change.after && change.answer.empty()) ++out.same;
    else out.changes.push_back(std::move(change));
  }
  for (const auto& one : before.cases) {
    if (!known.contains({one.eval, one.id})) continue;
    CaseChange change;
    change.eval = one.eval;
    change.id = one.id;
    change.before = one.outcome;
    out.changes.push_back(std::move(change));
  }
  out.before = std::move(before);
  out.after = std::move(after);
  return out;
}

json::object to_json(const RunDifference& difference) {
  json::array changes;
  for (const auto& one : difference.changes) {
    json::array answer;
    for (const auto& line : one.answer) answer.push_back(json::value(line));
    json::object object{{"eval", one.eval}, {"case", one.id}, {"before", one.before.empty() ? json::value(nullptr) : json::value(one.before)}, {"after", one.after.empty() ? json::value(nullptr) : json::value(one.after)}};
    if (!one.why.empty()) object["why"] = one.why;
    object["answer"] = std::move(answer);
    if (one.usd) object["cost_usd"] = *one.usd;
    object["tokens"] = one.tokens;
    object["latency_ms"] = one.ms;
    changes.push_back(std::move(object));
  }
  const auto run = [](const KeptRun& one) { return json::object{{"id", one.id}, {"at", one.at}, {"live", one.live}, {"cases", one.cases.size()}}; };
  json::object out{{"before", run(difference.before)}, {"after", run(difference.after)}, {"same", difference.same}, {"changes", std::move(changes)}, {"tokens", difference.tokens}, {"latency_ms", difference.ms}};
  if (difference.usd) out["cost_usd"] = *difference.usd;
  return out;
}

}  // namespace sabir::evals
