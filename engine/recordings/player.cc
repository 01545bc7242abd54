#include "sabir/recordings/player.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "file_lock.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"

namespace sabir::recordings {
namespace {

constexpr std::size_t kMostCompared = 500;  // entries looked through for the nearest
constexpr std::size_t kMostMissed = 200;

std::vector<std::string> function_lines(const std::string& address, bool stream, std::string_view arguments) {
  std::vector<std::string> lines = {"function: " + address + (stream ? " (stream)" : "")};
  auto value = parse_json(arguments);
  if (!value || !value->is_object()) return lines;
  for (const auto& member : value->get_object()) lines.push_back(std::string(member.key()) + ": " + canonical_json(member.value()));
  std::sort(lines.begin() + 1, lines.end());
  return lines;
}

std::size_t bytes_of(const json::object& ask) {
  const auto* text = ask.if_contains(ask.contains("texts") ? "texts" : "messages");
  return text ? compact_json(*text).size() : 0;
}

// What asking `ask` takes, by what its like has taken: input tokens grow with the text.
// To a millionth.
std::string amount(double usd) {
  char text[64];
  std::snprintf(text, sizeof text, "%.6f", usd);
  std::string out(text);
  out.erase(out.find_last_not_of('0') + 1);
  if (out.ends_with('.')) out.pop_back();
  return out;
}

models::Usage cost_of(const json::object& ask, const Entry* like) {
  models::Usage usage{static_cast<std::int64_t>(bytes_of(ask) / 4 + 1), 0};
  if (!like || like->reply.usage.input_tokens <= 0) return usage;
  const auto before = std::max<std::size_t>(bytes_of(like->ask), 1);
  usage.input_tokens = std::max<std::int64_t>(1, like->reply.usage.input_tokens * static_cast<std::int64_t>(bytes_of(ask)) / static_cast<std::int64_t>(before));
  usage.output_tokens = like->reply.usage.output_tokens;
  return usage;
}

std::string times(std::size_t n) { return n == 1 ? "once" : std::to_string(n) + " times"; }

json::value number_or_null(const std::optional<std::size_t>& number) { return number ? json::value(*number) : json::value(nullptr); }

Result<std::optional<std::size_t>> index_of(const json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  if (!value || value->is_null()) return std::nullopt;
  if (!value->is_int64() || value->get_int64() < 0) return fail(ErrorCode::kConfig, std::string("'") + name + "' is not an entry's number");
  return static_cast<std::size_t>(value->get_int64());
}

json::object object_or_empty(const json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  return value && value->is_object() ? value->get_object() : json::object();
}

std::int64_t integer_or_zero(const json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  return value && value->is_int64() ? value->get_int64() : 0;
}

}  // namespace

Player::Player(Recording recording, std::string_view text, Options options, Scrubber scrubber)
    : recording_(std::move(recording)), options_(std::move(options)), scrubber_(std::move(scrubber)) {
  for (std::size_t i = 0; i < recording_.entries.size(); ++i) by_key_[key_of(recording_.entries[i])].push_back(i);
  report_.recording = options_.shown;
  report_.name = recording_.name;
  report_.content = fingerprint(text);
  report_.functions = options_.functions;
}

std::optional<std::size_t> Player::next(const std::string& key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return std::nullopt;
  std::size_t& taken = taken_[key];
  if (taken >= found->second.size()) return std::nullopt;
  const std::size_t entry = found->second[taken++];
  report_.used.insert(entry);
  return entry;
}

std::optional<std::size_t> Player::nearest(Kind kind, const std::string& address, const std::vector<std::string>& lines) const {
  std::map<std::string_view, int> wanted;
  for (const auto& line : lines) ++wanted[line];
  std::optional<std::size_t> best;
  double best_score = -1;
  std::size_t compared = 0;
  for (std::size_t i = 0; i < recording_.entries.size() && compared < kMostCompared; ++i) {
    const Entry& entry = recording_.entries[i];
    if (entry.kind != kind || (kind == Kind::kFunction && entry.address != address)) continue;
    ++compared;
    const auto own = kind == Kind::kModel ? lines_of(entry.ask) : function_lines(entry.address, entry.stream, entry.arguments);
    std::map<std::string_view, int> left = wanted;
    double common = 0;
    for (const auto& line : own) {
      const auto found = left.find(line);
      if (found == left.end() || found->second == 0) continue;
      --found->second;
      ++common;
    }
    // Of entries that are alike, one that has not answered yet.
    const double score = 2 * common / static_cast<double>(own.size() + lines.size()) + (report_.used.contains(i) ? 0 : 0.001);
    if (score <= best_score) continue;
    best_score = score;
    best = i;
  }
  return best;
}

Result<const Entry*> Player::model(const json::object& asked, const std::vector<PromptUse>& prompts, json::object again) {
  const json::object ask = scrubber_.object(asked);
  const std::string key = model_key(ask);
  const std::lock_guard hold(mutex_);
  if (const auto entry = next(key)) return &recording_.entries[*entry];

  const std::string alias(string_or(ask, "alias"));
  Miss miss;
  miss.what = "model " + alias;
  miss.ask = ask;
  miss.prompts = prompts;
  miss.request = scrubber_.object(std::move(again));
  const auto same = by_key_.find(key);
  const auto lines = lines_of(ask);
  Error error(ErrorCode::kRecordingMissing, "");
  if (same != by_key_.end()) {
    miss.nearest = same->second.back();
    error.message = options_.shown + " answers this question to model '" + alias + "' " + times(same->second.size()) + ", and it was asked once more";
  } else {
    for (std::size_t i = 0; i < recording_.entries.size() && !miss.stale; ++i) {
      if (!report_.used.contains(i) && !stale_.contains(i) && is_stale(recording_.entries[i], ask, prompts)) miss.stale = i;
    }
    if (miss.stale) stale_.insert(*miss.stale);
    miss.nearest = miss.stale ? miss.stale : nearest(Kind::kModel, {}, lines);
  }
  const Entry* like = miss.nearest ? &recording_.entries[*miss.nearest] : nullptr;
  if (same == by_key_.end() && like) miss.difference = difference(lines_of(like->ask), lines);
  miss.cost = cost_of(ask, like);
  if (options_.price) miss.money = options_.price(std::string(string_or(ask, "model")), miss.cost);
  const std::string tokens = "about " + std::to_string(miss.cost.input_tokens) + " + " + std::to_string(miss.cost.output_tokens) + " tokens" +
                             (miss.money ? ", " + amount(*miss.money) + " USD" : std::string());
  if (miss.stale) {
    std::vector<std::string> names;
    for (const auto& use : prompts) {
      if (std::find(names.begin(), names.end(), use.name) == names.end()) names.push_back(use.name);
    }
    error.code = ErrorCode::kRecordingStale;
    error.message = options_.shown + ": entry " + std::to_string(*miss.stale + 1) + " was recorded with another text of the prompt " + join(names, ", ");
    error.hint = "`sabir recordings refresh --missing` asks the model anew (" + tokens + "); or take the edit back.";
  } else {
    if (same == by_key_.end()) {
      error.message = options_.shown + " has no answer to this question to model '" + alias + "'" +
                      (miss.nearest ? "; entry " + std::to_string(*miss.nearest + 1) + " is nearest, and differs" : std::string(": it has no question to a model"));
    }
    error.hint = "`sabir recordings refresh --missing` asks the model (" + tokens + "); or record the run anew with --record.";
  }
  if (!options_.absent.empty()) {
    error.message = options_.absent;
    error.hint = "Record it, with --record in place of --replay; or `sabir recordings refresh --missing` asks the model (" + tokens + ").";
  }
  if (!miss.difference.empty()) error.message += ":\n" + miss.difference;
  error.data = compact_json(json::object{{"recording", options_.shown},
                                         {"entry", miss.nearest ? json::value(*miss.nearest + 1) : json::value(nullptr)},
                                         {"difference", miss.difference},
                                         {"cost", {{"input_tokens", miss.cost.input_tokens}, {"output_tokens", miss.cost.output_tokens}}}});
  if (report_.missed.size() < kMostMissed) report_.missed.push_back(std::move(miss));
  return fail(std::move(error));
}

Result<const Entry*> Player::function(const std::string& address, bool stream, std::string_view given) {
  const std::string arguments = scrubber_.json_text(std::string(given));
  const std::string key = function_key(address, stream, arguments);
  const std::lock_guard hold(mutex_);
  if (const auto entry = next(key)) return &recording_.entries[*entry];
  Miss miss;
  miss.what = "function " + address;
  Error error(ErrorCode::kRecordingMissing, "", "Record the run anew with --record, or replay with the functions live: without --replay-functions.");
  const auto lines = function_lines(address, stream, arguments);
  if (const auto same = by_key_.find(key); same != by_key_.end()) {
    miss.nearest = same->second.back();
    error.message = options_.shown + " has this call of " + address + " " + times(same->second.size()) + ", and it was made once more";
  } else {
    miss.nearest = nearest(Kind::kFunction, address, lines);
    if (miss.nearest) {
      const Entry& like = recording_.entries[*miss.nearest];
      miss.difference = difference(function_lines(like.address, like.stream, like.arguments), lines);
      error.message = options_.shown + " has no such call of " + address + "; entry " + std::to_string(*miss.nearest + 1) +
                      " is nearest, and differs:\n" + miss.difference;
    } else {
      error.message = options_.shown + " has no call of " + address;
    }
  }
  if (!options_.absent.empty()) error.message = options_.absent;
  error.data = compact_json(json::object{{"recording", options_.shown},
                                         {"entry", miss.nearest ? json::value(*miss.nearest + 1) : json::value(nullptr)},
                                         {"difference", miss.difference}});
  if (report_.missed.size() < kMostMissed) report_.missed.push_back(std::move(miss));
  return fail(std::move(error));
}

ReplayReport Player::report() const {
  const std::lock_guard hold(mutex_);
  return report_;
}

Result<void> Player::flush() {
  if (options_.report.empty()) return {};
  ReplayReport all = report();
  if (all.used.empty() && all.missed.empty()) return {};
  std::error_code ec;
  std::filesystem::create_directories(options_.report.parent_path(), ec);
  const FileLock lock(options_.lock);
  if (options_.since_ms != 0 && changed_ms(options_.report) >= options_.since_ms) {
    auto text = read_file(options_.report, kMostBytes);
    auto before = text ? parse_replay_report(*text, options_.report.string()) : Result<ReplayReport>(fail(text.error()));
    if (before && before->content == all.content) {
      all.used.insert(before->used.begin(), before->used.end());
      all.missed.insert(all.missed.begin(), before->missed.begin(), before->missed.end());
    }
  }
  return write_file(options_.report, pretty_json(to_json(all)) + "\n", 0600);
}

// ---- The report's text -----------------------------------------------------------------------------------------------

json::object to_json(const ReplayReport& report) {
  json::array used;
  for (const auto entry : report.used) used.push_back(entry);
  json::array missed;
  for (const auto& miss : report.missed) {
    json::array prompts;
    for (const auto& use : miss.prompts) prompts.push_back(to_json(use));
    json::object object{{"what", miss.what}, {"stale", number_or_null(miss.stale)}, {"nearest", number_or_null(miss.nearest)}, {"difference", miss.difference},
                        {"cost", {{"input_tokens", miss.cost.input_tokens}, {"output_tokens", miss.cost.output_tokens}}}};
    if (miss.money) object["money"] = *miss.money;
    if (!miss.ask.empty()) {
      object["ask"] = miss.ask;
      object["request"] = miss.request;
      object["prompts"] = std::move(prompts);
    }
    missed.push_back(std::move(object));
  }
  return {{"format", kFormat},          {"recording", report.recording}, {"name", report.name}, {"content", report.content},
          {"functions", report.functions}, {"used", used},                  {"missed", missed}};
}

Result<ReplayReport> parse_replay_report(std::string_view text, const std::string& file) {
  const auto wrong = [&](const std::string& message) { return fail(Error(ErrorCode::kConfig, message, "Replay once more, which writes it anew.").at(file)); };
  if (text.size() > kMostBytes) return wrong("larger than " + std::to_string(kMostBytes >> 20U) + " MiB");
  auto value = parse_json(text);
  if (!value || !value->is_object()) return wrong("not the report of a replay");
  const auto& object = value->get_object();
  const auto* format = object.if_contains("format");
  if (!format || !format->is_int64() || format->get_int64() < 1) return wrong("not the report of a replay: it has no format number");
  if (format->get_int64() > kFormat) {
    return fail(Error(ErrorCode::kStoreNewer,
                      "the report has format " + std::to_string(format->get_int64()) + ", and this engine reads format " + std::to_string(kFormat),
                      "Replay once more, which writes it anew.")
                    .at(file));
  }
  ReplayReport report;
  report.recording = string_or(object, "recording");
  report.name = string_or(object, "name");
  report.content = string_or(object, "content");
  if (const auto* functions = object.if_contains("functions")) report.functions = functions->is_bool() && functions->get_bool();
  const auto* used = object.if_contains("used");
  const auto* missed = object.if_contains("missed");
  if (!used || !used->is_array() || !missed || !missed->is_array()) return wrong("'used' and 'missed' are not lists");
  if (used->get_array().size() > kMostEntries || missed->get_array().size() > kMostEntries) return wrong("more than " + std::to_string(kMostEntries) + " entries");
  for (const auto& entry : used->get_array()) {
    if (!entry.is_int64() || entry.get_int64() < 0) return wrong("'used' has something that is no entry's number");
    report.used.insert(static_cast<std::size_t>(entry.get_int64()));
  }
  for (const auto& item : missed->get_array()) {
    if (!item.is_object()) return wrong("'missed' has something that is no object");
    const auto& one = item.get_object();
    Miss miss;
    auto stale = index_of(one, "stale");
    auto nearest = index_of(one, "nearest");
    if (!stale || !nearest) return wrong((stale ? nearest.error() : stale.error()).message);
    miss.stale = *stale;
    miss.nearest = *nearest;
    miss.what = string_or(one, "what");
    miss.difference = string_or(one, "difference");
    miss.ask = object_or_empty(one, "ask");
    miss.request = object_or_empty(one, "request");
    const json::object cost = object_or_empty(one, "cost");
    miss.cost = {integer_or_zero(cost, "input_tokens"), integer_or_zero(cost, "output_tokens")};
    if (const auto* money = one.if_contains("money"); money && money->is_double()) miss.money = money->get_double();
    if (const auto* prompts = one.if_contains("prompts"); prompts && prompts->is_array()) {
      for (const auto& use : prompts->get_array()) {
        auto read = prompt_use(use);
        if (!read) return wrong(read.error().message);
        miss.prompts.push_back(std::move(*read));
      }
    }
    report.missed.push_back(std::move(miss));
  }
  return report;
}

}  // namespace sabir::recordings
