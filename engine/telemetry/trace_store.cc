#include "sabir/telemetry/trace_store.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "sabir/base/text.h"
#include "sabir/store/migration.h"

namespace sabir::telemetry {
namespace {

constexpr std::int64_t kNanosecondsPerDay = 86'400'000'000'000;
constexpr std::chrono::milliseconds kBusy{2000};

// `text` has what is kept by policy; the rest of a span is kept always. Sums and searches look at columns of their own.
const store::Format& format() {
  static const store::Format value{0x53414254,  // "SABT"
                                   {R"(
CREATE TABLE span (
  id INTEGER PRIMARY KEY,
  trace TEXT NOT NULL,
  span TEXT NOT NULL,
  parent TEXT NOT NULL,
  root INTEGER NOT NULL,
  name TEXT NOT NULL,
  operation TEXT NOT NULL,
  begun_ns INTEGER NOT NULL,
  ended_ns INTEGER NOT NULL,
  error TEXT NOT NULL,
  message TEXT NOT NULL,
  user TEXT NOT NULL,
  tenant TEXT NOT NULL,
  conversation TEXT NOT NULL,
  run TEXT NOT NULL,
  assistant TEXT NOT NULL,
  input INTEGER NOT NULL,
  output INTEGER NOT NULL,
  nusd INTEGER NOT NULL,
  attributes TEXT NOT NULL,
  events TEXT NOT NULL
);
CREATE INDEX span_trace ON span (trace);
CREATE INDEX span_root ON span (begun_ns) WHERE root = 1;
CREATE INDEX span_run ON span (run) WHERE run <> '';
CREATE TABLE text (
  id INTEGER PRIMARY KEY,
  trace TEXT NOT NULL,
  span TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL
);
CREATE INDEX text_trace ON text (trace);
CREATE TABLE dropped (at_ns INTEGER NOT NULL, spans INTEGER NOT NULL);
)"}};
  return value;
}

const trace::Value* value_of(const trace::Span& span, std::string_view key) {
  const auto found = std::find_if(span.attributes.begin(), span.attributes.end(), [&](const auto& one) { return one.key == key; });
  return found == span.attributes.end() ? nullptr : &found->value;
}
std::string_view text_of(const trace::Span& span, std::string_view key) {
  const auto* value = value_of(span, key);
  const auto* text = value ? std::get_if<std::string>(value) : nullptr;
  return text ? std::string_view(*text) : std::string_view();
}
std::int64_t whole_of(const trace::Span& span, std::string_view key) {
  const auto* value = value_of(span, key);
  const auto* number = value ? std::get_if<std::int64_t>(value) : nullptr;
  return number ? *number : 0;
}

json::object object_of(std::string_view text) {
  auto value = parse_json(text);
  return value && value->is_object() ? std::move(value->get_object()) : json::object();
}

// A pattern of LIKE that holds `text` as it is.
std::string contains(std::string_view text) {
  std::string out = "%";
  for (const char c : text) {
    if (c == '%' || c == '_' || c == '\\') out += '\\';
    out += c;
  }
  return out + "%";
}

constexpr std::string_view kRunColumns =
    "SELECT r.trace, r.run, r.name, r.operation, r.begun_ns / 1000, r.ended_ns / 1000, r.error, r.user, r.tenant, r.conversation, "
    "(SELECT count(*) FROM span s WHERE s.trace = r.trace), (SELECT sum(input) FROM span s WHERE s.trace = r.trace), "
    "(SELECT sum(output) FROM span s WHERE s.trace = r.trace), (SELECT sum(nusd) FROM span s WHERE s.trace = r.trace) FROM span r ";

RunRow run_of(const store::Statement& row) {
  return {row.text(0), row.text(1), row.text(2), row.text(3), row.integer(4), row.integer(5), row.text(6), row.text(7), row.text(8), row.text(9),
          row.integer(10), row.integer(11), row.integer(12), row.integer(13)};
}

}  // namespace

json::object to_json(const RunRow& row) {
  json::object out{{"trace", row.trace},       {"name", row.name},
                   {"operation", row.operation}, {"begun_ms", row.begun_us / 1000},
                   {"duration_ms", static_cast<double>(row.ended_us - row.begun_us) / 1000},
                   {"ok", row.error.empty()},  {"spans", row.spans},
                   {"input_tokens", row.input_tokens}, {"output_tokens", row.output_tokens},
                   {"cost_usd", static_cast<double>(row.nusd) / 1e9}};
  for (const auto& [key, text] : {std::pair("error", &row.error), std::pair("run", &row.run), std::pair("user", &row.user), std::pair("tenant", &row.tenant),
                                  std::pair("conversation", &row.conversation)}) {
    if (!text->empty()) out[key] = *text;
  }
  return out;
}

json::object to_json(const StoredSpan& span) {
  json::object out{{"span", span.span},
                   {"parent", span.parent.empty() ? json::value() : json::value(span.parent)},
                   {"name", span.name},
                   {"operation", span.operation},
                   {"begun_us", span.begun_us},
                   {"duration_ms", static_cast<double>(span.ended_us - span.begun_us) / 1000},
                   {"ok", span.error.empty()},
                   {"attributes", span.attributes},
                   {"events", span.events}};
  if (!span.error.empty()) out["error"] = {{"type", span.error}, {"message", span.message}};
  if (span.root) out["root"] = true;
  if (!span.texts.empty()) out["texts"] = span.texts;
  return out;
}

namespace {

std::int64_t whole_of(const json::object& object, const char* key) {
  const auto* value = object.if_contains(key);
  return value && value->is_number() ? static_cast<std::int64_t>(std::llround(value->to_number<double>())) : 0;
}

// A number of thousands, or of billions, as to_json() divides it.
std::int64_t times(const json::object& object, const char* key, double factor) {
  const auto* value = object.if_contains(key);
  return value && value->is_number() ? static_cast<std::int64_t>(std::llround(value->to_number<double>() * factor)) : 0;
}

}  // namespace

RunRow run_row_of(const json::object& row) {
  RunRow out;
  for (const auto& [key, text] : {std::pair("trace", &out.trace), std::pair("run", &out.run), std::pair("name", &out.name), std::pair("operation", &out.operation), std::pair("error", &out.error),
                                  std::pair("user", &out.user), std::pair("tenant", &out.tenant), std::pair("conversation", &out.conversation)}) {
    *text = string_or(row, key);
  }
  out.begun_us = whole_of(row, "begun_ms") * 1000;
  out.ended_us = out.begun_us + times(row, "duration_ms", 1000);
  out.spans = whole_of(row, "spans");
  out.input_tokens = whole_of(row, "input_tokens");
  out.output_tokens = whole_of(row, "output_tokens");
  out.nusd = times(row, "cost_usd", 1e9);
  return out;
}

StoredSpan stored_span_of(const json::object& span) {
  StoredSpan out;
  out.span = string_or(span, "span");
  out.parent = string_or(span, "parent");
  out.root = span.contains("root");
  out.name = string_or(span, "name");
  out.operation = string_or(span, "operation");
  out.begun_us = whole_of(span, "begun_us");
  out.ended_us = out.begun_us + times(span, "duration_ms", 1000);
  if (const auto* error = span.if_contains("error"); error && error->is_object()) {
    out.error = string_or(error->get_object(), "type");
    out.message = string_or(error->get_object(), "message");
  }
  if (const auto* value = span.if_contains("attributes"); value && value->is_object()) out.attributes = value->get_object();
  if (const auto* value = span.if_contains("events"); value && value->is_array()) out.events = value->get_array();
  if (const auto* value = span.if_contains("texts"); value && value->is_object()) out.texts = value->get_object();
  return out;
}

Result<json::object> trace_json(TraceStore& store, const std::string& id) {
  auto trace = store.find(id);
  if (!trace) return fail(std::move(trace.error()));
  auto spans = store.spans(*trace);
  if (!spans) return fail(std::move(spans.error()));
  auto run = store.run(*trace);
  if (!run && run.error().code != ErrorCode::kNotFound) return fail(std::move(run.error()));
  json::array list;
  for (const auto& span : *spans) list.push_back(to_json(span));
  json::object out = run ? to_json(*run) : json::object{{"trace", *trace}};
  out["span_list"] = std::move(list);
  return out;
}

Result<std::unique_ptr<TraceStore>> TraceStore::open(const std::filesystem::path& directory) {
  store::OpenOptions options;
  options.busy_timeout = kBusy;
  auto connection = store::open_format(directory / "traces.db", format(), options);
  if (!connection) return fail(std::move(connection.error()));
  return std::unique_ptr<TraceStore>(new TraceStore(std::move(*connection)));
}

Result<std::unique_ptr<TraceStore>> TraceStore::open_reading(const std::filesystem::path& directory) {
  const store::OpenOptions options{.access = store::Access::kReadOnly, .durability = store::Durability::kProcess, .busy_timeout = kBusy};
  auto connection = store::open_format(directory / "traces.db", format(), options);
  if (connection) return std::unique_ptr<TraceStore>(new TraceStore(std::move(*connection)));
  // One that an engine is about to make has nothing in it yet.
  if (auto raw = store::Connection::open(directory / "traces.db", options)) {
    const auto tables = TraceStore(std::move(*raw)).number("SELECT count(*) FROM sqlite_schema");
    if (tables && *tables == 0) return fail(ErrorCode::kNotFound, "no trace is kept yet");
  }
  return fail(std::move(connection.error()));
}

Result<void> TraceStore::write(const std::vector<std::shared_ptr<trace::Span>>& spans, const std::vector<LateText>& late, std::uint64_t dropped, std::int64_t now_ms) {
  const auto keep_text = [this](const trace::SpanContext& context, std::string_view key, std::string_view value) -> Result<void> {
    auto insert = connection_->prepare("INSERT INTO text (trace, span, key, value) VALUES (?, ?, ?, ?)");
    if (!insert) return fail(std::move(insert.error()));
    const std::string trace = trace::hex(context.trace);
    const std::string span = trace::hex(context.span);
    insert->bind(trace).bind(span).bind(key).bind(value);
    return insert->run();
  };
  return connection_->transact([&]() -> Result<void> {
    for (const auto& one : spans) {
      const trace::Span& span = *one;
      static const CallContext nobody;
      const CallContext& who = span.who ? *span.who : nobody;
      const std::string trace = trace::hex(span.context.trace);
      const std::string id = trace::hex(span.context.span);
      const std::string parent = span.parent == 0 ? std::string() : trace::hex(span.parent);
      const std::string attributes = compact_json(trace::attributes_json(span));
      const std::string events = span.events.empty() ? std::string() : json::serialize(trace::events_json(span));
      // An assistant's span sums up what its models took, which counts once.
      const bool model = span.operation == "chat" || span.operation == "embeddings";
      const auto* cost = model ? value_of(span, "sabir.cost.usd") : nullptr;
      const auto* usd = cost ? std::get_if<double>(cost) : nullptr;
      {
        auto insert = connection_->prepare(
            "INSERT INTO span (trace, span, parent, root, name, operation, begun_ns, ended_ns, error, message, user, tenant, conversation, run, assistant, "
            "input, output, nusd, attributes, events) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
        if (!insert) return fail(std::move(insert.error()));
        insert->bind(trace).bind(id).bind(parent).bind(std::int64_t{span.root ? 1 : 0}).bind(span.shown_name()).bind(span.operation);
        insert->bind(span.begun_ns).bind(span.ended_ns).bind(span.error).bind(span.message);
        insert->bind(who.user).bind(who.tenant).bind(who.conversation).bind(text_of(span, "sabir.run.id")).bind(text_of(span, "gen_ai.agent.name"));
        insert->bind(model ? whole_of(span, "gen_ai.usage.input_tokens") : 0).bind(model ? whole_of(span, "gen_ai.usage.output_tokens") : 0);
        insert->bind(usd ? static_cast<std::int64_t>(std::llround(*usd * 1e9)) : std::int64_t{0}).bind(attributes).bind(events);
        if (auto done = insert->run(); !done) return done;
      }
      for (const auto& text : span.texts) {
        if (auto done = keep_text(span.context, text.key, text.text); !done) return done;
      }
    }
    for (const auto& text : late) {
      if (auto done = keep_text(text.span, text.key, text.text); !done) return done;
    }
    if (dropped == 0) return {};
    auto insert = connection_->prepare("INSERT INTO dropped (at_ns, spans) VALUES (?, ?)");
    if (!insert) return fail(std::move(insert.error()));
    insert->bind(now_ms * 1'000'000).bind(static_cast<std::int64_t>(dropped));
    return insert->run();
  });
}

Result<std::int64_t> TraceStore::number(std::string_view sql) {
  auto select = connection_->prepare(sql);
  if (!select) return fail(std::move(select.error()));
  auto row = select->step();
  if (!row) return fail(std::move(row.error()));
  return *row ? select->integer(0) : 0;
}

Result<std::int64_t> TraceStore::size() {
  auto pages = number("SELECT (SELECT page_count FROM pragma_page_count) - (SELECT freelist_count FROM pragma_freelist_count)");
  if (!pages) return pages;
  auto bytes = number("SELECT page_size FROM pragma_page_size");
  if (!bytes) return bytes;
  return *pages * *bytes;
}

Result<std::int64_t> TraceStore::dropped() { return number("SELECT coalesce(sum(spans), 0) FROM dropped"); }

// Of a trace that began before, all: half of one explains nothing.
Result<void> TraceStore::remove_up_to(std::int64_t row) {
  return connection_->transact([&]() -> Result<void> {
    for (const std::string_view sql : {"DELETE FROM text WHERE trace IN (SELECT trace FROM span WHERE id <= ?)", "DELETE FROM span WHERE trace IN (SELECT trace FROM span WHERE id <= ?)",
                                       "DELETE FROM dropped WHERE at_ns < coalesce((SELECT min(ended_ns) FROM span WHERE id > ?), 0)"}) {
      auto remove = connection_->prepare(sql);
      if (!remove) return fail(std::move(remove.error()));
      remove->bind(row);
      if (auto done = remove->run(); !done) return done;
    }
    return {};
  });
}

Result<void> TraceStore::prune(int keep_days, int keep_mb, std::int64_t now_ms) {
  const std::int64_t oldest = now_ms * 1'000'000 - keep_days * kNanosecondsPerDay;
  // Rows stand in the order in which spans ended, nearly.
  std::int64_t last = 0;
  auto first_ended = number("SELECT ended_ns FROM span ORDER BY id LIMIT 1");
  if (!first_ended) return fail(std::move(first_ended.error()));
  if (*first_ended > 0 && *first_ended < oldest) {
    auto select = connection_->prepare("SELECT id FROM span WHERE ended_ns < ? ORDER BY id DESC LIMIT 1");
    if (!select) return fail(std::move(select.error()));
    select->bind(oldest);
    auto row = select->step();
    if (!row) return fail(std::move(row.error()));
    last = *row ? select->integer(0) : 0;
  }
  if (last > 0) {
    if (auto done = remove_up_to(last); !done) return done;
  }
  const std::int64_t most = std::int64_t{keep_mb} << 20U;
  auto taken = size();
  if (!taken) return fail(std::move(taken.error()));
  if (*taken <= most) return {};
  while (*taken > most / 10 * 9) {
    auto first = number("SELECT min(id) FROM span");
    auto final = number("SELECT max(id) FROM span");
    if (!first || !final) return fail(first ? std::move(final.error()) : std::move(first.error()));
    if (*final == 0) break;
    if (auto done = remove_up_to(*first + (*final - *first) / 10); !done) return done;
    taken = size();
    if (!taken) return fail(std::move(taken.error()));
  }
  // What is free now is written to again. A file that is too large all the same, as where `keep_mb` has become less, gives it back, as soon
  // as nobody else reads it.
  auto pages = number("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
  if (!pages) return fail(std::move(pages.error()));
  if (*pages > most / 4 * 5) [[maybe_unused]] const auto shrunk = connection_->execute("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
  return {};
}

Result<std::vector<RunRow>> TraceStore::runs(const RunFilter& filter) {
  static const std::string sql = std::string(kRunColumns) +
      "WHERE r.root = 1 AND r.begun_ns >= ?1 AND r.begun_ns < ?2 AND (?3 = '' OR r.user = ?3) AND (?4 = '' OR r.tenant = ?4) AND (?5 = 0 OR r.error <> '') "
      "AND (?6 = '' OR EXISTS (SELECT 1 FROM span s WHERE s.trace = r.trace AND s.assistant = ?6)) "
      "AND (?7 = '' OR EXISTS (SELECT 1 FROM text t WHERE t.trace = r.trace AND t.value LIKE ?7 ESCAPE '\\') "
      "OR EXISTS (SELECT 1 FROM span s WHERE s.trace = r.trace AND (s.name LIKE ?7 ESCAPE '\\' OR s.message LIKE ?7 ESCAPE '\\' OR s.attributes LIKE ?7 ESCAPE '\\' "
      "OR s.events LIKE ?7 ESCAPE '\\'))) ORDER BY r.begun_ns DESC, r.id DESC LIMIT ?8";
  auto select = connection_->prepare(sql);
  if (!select) return fail(std::move(select.error()));
  const std::string pattern = filter.text.empty() ? std::string() : contains(filter.text);
  select->bind(filter.since_ms * 1'000'000).bind(filter.until_ms * 1'000'000).bind(filter.user).bind(filter.tenant).bind(std::int64_t{filter.failed ? 1 : 0});
  select->bind(filter.assistant).bind(pattern).bind(std::int64_t{filter.limit});
  std::vector<RunRow> out;
  while (true) {
    auto row = select->step();
    if (!row) return fail(std::move(row.error()));
    if (!*row) return out;
    out.push_back(run_of(*select));
  }
}

Result<std::string> TraceStore::find(const std::string& id) {
  if (id == "last") {
    auto select = connection_->prepare("SELECT trace FROM span WHERE root = 1 ORDER BY begun_ns DESC, id DESC LIMIT 1");
    if (!select) return fail(std::move(select.error()));
    auto row = select->step();
    if (!row) return fail(std::move(row.error()));
    if (*row) return select->text(0);
    return fail(ErrorCode::kNotFound, "no trace is kept yet", "Call a function or talk to an assistant first.");
  }
  // Ids are of digits and letters: 'g' follows those of a trace, '~' those of a run.
  auto select = connection_->prepare(
      "SELECT trace FROM span WHERE trace >= lower(?1) AND trace < lower(?1) || 'g' UNION "
      "SELECT trace FROM span WHERE run <> '' AND run >= upper(?1) AND run < upper(?1) || '~' LIMIT 6");
  if (!select) return fail(std::move(select.error()));
  select->bind(id);
  std::vector<std::string> found;
  while (true) {
    auto row = select->step();
    if (!row) return fail(std::move(row.error()));
    if (!*row) break;
    found.push_back(select->text(0));
  }
  if (found.size() == 1) return found.front();
  if (found.empty()) return fail(ErrorCode::kNotFound, "no trace begins with '" + id + "'", "`sabir trace` lists those that are kept; older ones may have been removed.");
  return fail(ErrorCode::kInvalidArguments, "several traces begin with '" + id + "'", "Give more of it: " + join(found, ", ") + (found.size() == 6 ? ", …" : ""));
}

Result<RunRow> TraceStore::run(const std::string& trace) {
  static const std::string sql = std::string(kRunColumns) + "WHERE r.trace = ? AND r.root = 1 ORDER BY r.begun_ns, r.id LIMIT 1";
  auto select = connection_->prepare(sql);
  if (!select) return fail(std::move(select.error()));
  select->bind(trace);
  auto row = select->step();
  if (!row) return fail(std::move(row.error()));
  if (!*row) return fail(ErrorCode::kNotFound, "the trace " + trace + " has no end yet");
  return run_of(*select);
}

Result<std::vector<StoredSpan>> TraceStore::spans(const std::string& trace, int most) {
  std::vector<StoredSpan> out;
  std::unordered_map<std::string, std::size_t> at;
  {
    auto select = connection_->prepare(
        "SELECT span, parent, root, name, operation, begun_ns / 1000, ended_ns / 1000, error, message, attributes, events FROM span WHERE trace = ? ORDER BY begun_ns, id LIMIT ?");
    if (!select) return fail(std::move(select.error()));
    select->bind(trace).bind(std::int64_t{most});
    while (true) {
      auto row = select->step();
      if (!row) return fail(std::move(row.error()));
      if (!*row) break;
      auto events = parse_json(select->view(10));
      at.emplace(select->text(0), out.size());
      out.push_back({select->text(0), select->text(1), select->integer(2) != 0, select->text(3), select->text(4), select->integer(5), select->integer(6),
                     select->text(7), select->text(8), object_of(select->view(9)), events && events->is_array() ? std::move(events->get_array()) : json::array(), {}});
    }
  }
  auto select = connection_->prepare("SELECT span, key, value FROM text WHERE trace = ? ORDER BY id");
  if (!select) return fail(std::move(select.error()));
  select->bind(trace);
  while (true) {
    auto row = select->step();
    if (!row) return fail(std::move(row.error()));
    if (!*row) return out;
    if (const auto owner = at.find(select->text(0)); owner != at.end()) out[owner->second].texts[select->view(1)] = select->text(2);
  }
}

}  // namespace sabir::telemetry
