#include "sabir/deploy/ledger.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include "digest.h"
#include "who.h"

namespace sabir::deploy {
namespace {

constexpr std::string_view kPrefix = "ledger/";
constexpr std::array<std::string_view, 6> kKinds = {"begun", "step", "done", "failed", "skipped", "ended"};

std::string name_of(std::uint64_t number) {
  char text[32];
  std::snprintf(text, sizeof text, "ledger/%08llu.json", static_cast<unsigned long long>(number));
  return text;
}

Error broken(std::string message) {
  return Error(ErrorCode::kStorage, "the ledger of deployments is broken: " + std::move(message), "Its records are never changed nor removed. Put them back from a copy; nothing is deployed before that.");
}

// Tests end the process right after its Nth record, as a power cut would.
void end_here_where_asked() {
  static int left = [] {
    const char* text = std::getenv("SABIR_TEST_KILL_AFTER_RECORD");
    return text ? std::atoi(text) : 0;
  }();
  if (left > 0 && --left == 0) ::kill(::getpid(), SIGKILL);
}

}  // namespace

std::string_view record_kind_name(RecordKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

json::object to_json(const Release& release) {
  return {{"id", release.id}, {"bundle", release.bundle_hash}, {"engine", json::object{{"version", release.engine_version}, {"sha256", release.engine_hash}}}};
}

std::optional<Release> release_from_json(const json::value& value) {
  const auto* object = value.if_object();
  if (!object) return std::nullopt;
  Release out;
  out.id = string_or(*object, "id");
  out.bundle_hash = string_or(*object, "bundle");
  if (const auto* engine = object->if_contains("engine"); engine && engine->is_object()) {
    out.engine_version = string_or(engine->get_object(), "version");
    out.engine_hash = string_or(engine->get_object(), "sha256");
  }
  const auto is_hash = [](const std::string& text) { return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos; };
  if (out.id.size() < 2 || out.id.size() > 10 || out.id[0] != 'r' || out.id.find_first_not_of("0123456789", 1) != std::string::npos || !is_hash(out.bundle_hash) || !is_hash(out.engine_hash)) return std::nullopt;
  return out;
}

json::object to_json(const Record& record) {
  json::object out{{"format", kLedgerFormat}, {"number", record.number}, {"at_ms", record.at_ms}, {"operation", record.operation}, {"kind", record_kind_name(record.kind)}};
  if (!record.what.empty()) out["what"] = record.what;
  if (!record.outcome.empty()) out["outcome"] = record.outcome;
  out["by"] = record.by;
  if (!record.message.empty()) out["message"] = record.message;
  if (record.release) out["release"] = to_json(*record.release);
  if (!record.more.empty()) out["more"] = record.more;
  return out;
}

Result<Record> record_from(std::string_view bytes, std::string& previous) {
  auto value = parse_json(bytes);
  const auto* object = value ? value->if_object() : nullptr;
  if (!object) return fail(broken("a record is no JSON object"));
  const auto* format = object->if_contains("format");
  if (!format || !format->is_int64()) return fail(broken("a record has no format"));
  if (format->get_int64() > kLedgerFormat) return fail(ErrorCode::kStoreNewer, "this environment was deployed to by a newer Sabir", "Use that version, or a newer one.");
  Record out;
  const auto number = [&](const char* key) -> std::int64_t {
    const auto* member = object->if_contains(key);
    return member && member->is_int64() ? member->get_int64() : 0;
  };
  out.number = static_cast<std::uint64_t>(std::max<std::int64_t>(number("number"), 0));
  out.at_ms = number("at_ms");
  out.operation = string_or(*object, "operation");
  const auto kind = std::find(kKinds.begin(), kKinds.end(), string_or(*object, "kind"));
  if (kind == kKinds.end() || out.operation.empty() || out.number == 0) return fail(broken("a record does not say what happened"));
  out.kind = static_cast<RecordKind>(kind - kKinds.begin());
  out.what = string_or(*object, "what");
  out.outcome = string_or(*object, "outcome");
  out.by = string_or(*object, "by");
  out.message = string_or(*object, "message");
  if (const auto* release = object->if_contains("release")) {
    out.release = release_from_json(*release);
    if (!out.release) return fail(broken("record " + std::to_string(out.number) + " names a release that is none"));
  }
  if (const auto* more = object->if_contains("more"); more && more->is_object()) out.more = more->get_object();
  previous = string_or(*object, "previous");
  return out;
}

Result<std::vector<Record>> Ledger::read() {
  auto names = backend_.list(std::string(kPrefix));
  if (!names) return fail(std::move(names.error()));
  std::vector<Record> out;
  last_ = 0;
  last_hash_.clear();
  for (const auto& name : *names) {
    if (name != name_of(last_ + 1)) return fail(broken(name_of(last_ + 1) + " is not there, and " + name + " is"));
    auto object = backend_.get(name);
    if (!object) return fail(std::move(object.error()));
    std::string previous;
    auto record = record_from(object->bytes, previous);
    if (!record) {
      record.error().message += " (" + name + ")";
      return fail(std::move(record.error()));
    }
    if (record->number != last_ + 1 || previous != last_hash_) return fail(broken(name + " does not follow from the record before it"));
    last_hash_ = sha256(object->bytes);
    ++last_;
    out.push_back(std::move(*record));
  }
  return out;
}

Result<void> Ledger::append(Record record) {
  record.number = last_ + 1;
  record.at_ms = now_ms();
  record.by = user_and_machine();
  json::object object = to_json(record);
  object["previous"] = last_hash_;
  const std::string bytes = compact_json(object) + "\n";
  auto put = backend_.put(name_of(record.number), bytes, std::string());
  if (!put) {
    if (put.error().code == ErrorCode::kConflict) put.error().hint = "Another deployment has gone on meanwhile. `sabir deploy status` says what it did.";
    return fail(std::move(put.error()));
  }
  last_ = record.number;
  last_hash_ = sha256(bytes);
  end_here_where_asked();
  return {};
}

History history_of(const std::vector<Record>& records) {
  History out;
  const auto goes_live = [&](const Release& release, const Record& record) {
    std::erase_if(out.good, [&](const Release& one) { return one.id == release.id; });
    out.good.push_back(release);
    out.live = release;
    out.live_since_ms = record.at_ms;
    if (const auto url = string_or(record.more, "url"); !url.empty()) out.url = url;
    out.certain = true;
  };
  for (const auto& record : records) {
    if (record.release) out.last_release = std::max(out.last_release, std::atoi(record.release->id.c_str() + 1));
    if (record.kind == RecordKind::kBegun) {
      Operation begun;
      begun.id = record.operation;
      begun.what = record.what;
      begun.by = record.by;
      begun.begun_ms = begun.last_ms = record.at_ms;
      begun.release = record.release;
      begun.more = record.more;
      out.operations.push_back(std::move(begun));
      continue;
    }
    const auto found = std::find_if(out.operations.rbegin(), out.operations.rend(), [&](const Operation& one) { return one.id == record.operation; });
    if (found == out.operations.rend()) continue;
    auto& operation = *found;
    operation.last_ms = record.at_ms;
    if (record.release && !operation.release) operation.release = record.release;
    switch (record.kind) {
      case RecordKind::kStep:
        operation.step = record.what;
        operation.step_kind = record.kind;
        if (record.what == "activate" || record.what == "back" || record.what == "destroy") operation.touched = true;
        break;
      case RecordKind::kDone:
        operation.done.push_back(record.what);
        [[fallthrough]];
      case RecordKind::kFailed:
      case RecordKind::kSkipped:
        operation.step_kind = record.kind;
        if (record.kind == RecordKind::kFailed) operation.message = record.message;
        break;
      case RecordKind::kEnded:
        operation.outcome = record.outcome;
        if (!record.message.empty()) operation.message = record.message;
        if ((record.outcome == "released" || record.outcome == "rolled_back") && record.release) goes_live(*record.release, record);
        else if (record.outcome == "destroyed") out.live.reset(), out.url.clear(), out.good.clear(), out.certain = true;
        else if (record.outcome == "failed" || (record.outcome == "interrupted" && operation.touched)) out.certain = false;
        break;
      case RecordKind::kBegun: break;
    }
  }
  return out;
}

std::optional<Release> History::good_before(const std::string& id) const {
  // Releases from before the one that is left count, not those that have been left by a way back already.
  const auto number = [](const std::string& text) { return std::atoi(text.c_str() + 1); };
  std::optional<Release> best;
  for (const auto& one : good) {
    if (one.id == id || (!id.empty() && number(one.id) > number(id))) continue;
    if (!best || number(one.id) > number(best->id)) best = one;
  }
  return best;
}

const Release* History::find(const std::string& id) const {
  for (const auto& one : good) {
    if (one.id == id) return &one;
  }
  return nullptr;
}

}  // namespace sabir::deploy
