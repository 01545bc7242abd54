// sabir trace.
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <set>

#include "command.h"
#include "sabir/base/text.h"
#include "sabir/project/project.h"
#include "sabir/telemetry/trace_store.h"
#include "waterfall.h"

namespace sabir::cli {
namespace {

using telemetry::RunRow;
using telemetry::StoredSpan;
using telemetry::TraceStore;

constexpr std::size_t kShortId = 8;
constexpr std::size_t kWhenPiped = 100;  // columns

struct TraceOptions {
  std::string id;
  std::string since;
  std::string until;
  std::string assistant;
  std::string text;
  bool failed = false;
  bool verbose = false;
  int limit = 20;
};

std::size_t columns() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40) return size.ws_col;
  const char* told = std::getenv("COLUMNS");
  const int count = told ? std::atoi(told) : 0;
  return count >= 40 ? static_cast<std::size_t>(count) : kWhenPiped;
}

std::string clock_text(std::int64_t microseconds, const char* pattern) {
  const std::time_t seconds = microseconds / 1'000'000;
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, pattern, &parts);
  return text;
}

std::string wide(const std::string& text, std::size_t columns) {
  const std::size_t width = width_of(text);
  return text + std::string(columns > width ? columns - width : 0, ' ');
}

std::string tokens_text(const RunRow& row) {
  return row.input_tokens + row.output_tokens == 0 ? std::string() : std::to_string(row.input_tokens) + "+" + std::to_string(row.output_tokens);
}

// The time of today's, the day of the others.
std::string when_text(std::int64_t microseconds) {
  const std::string today = clock_text(static_cast<std::int64_t>(std::time(nullptr)) * 1'000'000, "%Y-%m-%d");
  return clock_text(microseconds, clock_text(microseconds, "%Y-%m-%d") == today ? "%H:%M:%S" : "%m-%d %H:%M");
}

void show_list(const std::vector<RunRow>& rows) {
  struct Column {
    std::string title;
    bool right;
    std::size_t most;
    const char* style;
    std::vector<std::string> cells;
    std::size_t width = 0;
  };
  std::vector<Column> table{{"trace", false, kShortId, "36", {}}, {"when", false, 14, nullptr, {}}, {"what", false, 60, nullptr, {}}, {"took", true, 14, nullptr, {}},
                            {"status", false, 20, "32", {}}, {"tokens", true, 20, nullptr, {}}, {"USD", true, 14, nullptr, {}}, {"user", false, 16, nullptr, {}}};
  constexpr std::size_t kWhat = 2;
  constexpr std::size_t kStatus = 4;
  for (const auto& row : rows) {
    const std::vector<std::string> cells{row.trace.substr(0, kShortId), when_text(row.begun_us), row.name, duration_text(row.ended_us - row.begun_us), row.error.empty() ? "ok" : row.error,
                                         tokens_text(row), row.nusd == 0 ? std::string() : dollars(static_cast<double>(row.nusd) / 1e9), row.user};
    for (std::size_t i = 0; i < table.size(); ++i) table[i].cells.push_back(clipped(cells[i], table[i].most));
  }
  // What is empty throughout is left out, and so is what there is no room for.
  std::erase_if(table, [](const auto& column) { return std::all_of(column.cells.begin(), column.cells.end(), [](const auto& cell) { return cell.empty(); }); });
  const auto width = [&] {
    std::size_t all = 0;
    for (auto& column : table) {
      column.width = width_of(column.title);
      for (const auto& cell : column.cells) column.width = std::max(column.width, width_of(cell));
      all += column.width + 2;
    }
    return all - 2;
  };
  const std::size_t most = columns();
  constexpr std::size_t kLeastWhat = 18;
  while (table.size() > kStatus + 1 && width() - table[kWhat].width + std::min(table[kWhat].width, kLeastWhat) > most) {
    const auto cost = std::find_if(table.begin(), table.end(), [](const auto& column) { return column.title == "USD"; });
    table.erase(cost == table.end() ? std::prev(table.end()) : cost);
  }
  if (const std::size_t all = width(); all > most) table[kWhat].width -= std::min(all - most, table[kWhat].width - std::min(table[kWhat].width, kLeastWhat));
  std::string head;
  for (const auto& column : table) head += (head.empty() ? "" : "  ") + (column.right ? padded(column.title, column.width, true) : wide(column.title, column.width));
  print(styled(head, "2"));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::string line;
    for (const auto& column : table) {
      const std::string cell = clipped(column.cells[i], column.width);
      const std::string text = column.right ? padded(cell, column.width, true) : wide(cell, column.width);
      const char* style = column.title == "status" && !rows[i].error.empty() ? "31" : column.style;
      line += (line.empty() ? "" : "  ") + (style ? styled(text, style) : text);
    }
    print(line);
  }
}

std::string shown(const json::object& attributes, std::string_view key) {
  const auto* value = attributes.if_contains(key);
  return !value ? std::string() : value->is_string() ? std::string(value->get_string()) : compact_json(*value);
}

// In the order of their first use, each once.
class Names {
 public:
  void add(std::string name) {
    if (!name.empty() && seen_.insert(name).second) list_.push_back(std::move(name));
  }
  std::string text() const { return join(list_, ", "); }

 private:
  std::set<std::string> seen_;
  std::vector<std::string> list_;
};

// What the run was made from.
std::vector<std::pair<std::string, std::string>> facts_of(const RunRow& run, const std::vector<StoredSpan>& spans) {
  std::string made;
  Names prompts;
  Names models;
  Names functions;
  Names memory;
  for (const auto& span : spans) {
    const auto& a = span.attributes;
    if (span.root && made.empty()) {
      made = shown(a, "sabir.environment");
      const auto commit = shown(a, "vcs.ref.head.revision");
      if (!commit.empty()) made += ", commit " + commit.substr(0, 10) + (shown(a, "sabir.vcs.dirty") == "true" ? " with changes" : "");
    }
    if (const auto name = shown(a, "gen_ai.prompt.name"); !name.empty()) prompts.add(name + " @" + shown(a, "sabir.prompt.hash"));
    if (span.operation == "chat" || span.operation == "embeddings") {
      const auto answered = shown(a, "gen_ai.response.model");
      std::string model = answered.empty() ? shown(a, "gen_ai.request.model") : answered;
      model += " (" + shown(a, "gen_ai.provider.name") + ")";
      for (const auto& [key, word] : {std::pair("gen_ai.request.temperature", "temperature"), std::pair("gen_ai.request.max_tokens", "max_tokens"), std::pair("gen_ai.request.seed", "seed")}) {
        if (const auto value = shown(a, key); !value.empty()) model += std::string(" ") + word + "=" + value;
      }
      models.add(std::move(model));
    }
    if (const auto address = shown(a, "sabir.function.address"); !address.empty()) functions.add(address + " @" + shown(a, "sabir.function.hash"));
    if (const auto hash = shown(a, "sabir.assistant.hash"); !hash.empty()) functions.add(shown(a, "code.file.path") + " @" + hash);
    if (span.operation == "search_memory") {
      const auto store = shown(a, "gen_ai.memory.store.id");
      const auto first = shown(a, "sabir.memory.first_seq");
      if (!first.empty()) memory.add(store + " " + first + " to " + shown(a, "sabir.memory.last_seq"));
      if (const auto version = shown(a, "sabir.memory.version"); !version.empty()) memory.add(store + "/" + shown(a, "gen_ai.memory.record.id") + "@" + version);
      if (const auto* list = a.if_contains("sabir.memory.recalled"); list && list->is_array()) {
        for (const auto& one : list->get_array()) memory.add(store + "/" + shown(json::object{{"x", one}}, "x"));
      }
    }
  }
  std::string who = run.user + (run.tenant.empty() ? "" : " of " + run.tenant);
  std::string took = duration_text(run.ended_us - run.begun_us) + ", " + std::to_string(run.spans) + (run.spans == 1 ? " span" : " spans");
  if (const auto tokens = tokens_text(run); !tokens.empty()) took += ", " + tokens + " tokens";
  if (run.nusd > 0) took += ", " + dollars(static_cast<double>(run.nusd) / 1e9) + " USD";
  return {{"run", run.run},       {"user", who},           {"conversation", run.conversation}, {"from", made}, {"prompts", prompts.text()}, {"models", models.text()},
          {"code", functions.text()}, {"recalled", memory.text()}, {"took", took}};
}

void show_one(const json::object& trace, Globals& globals, const TraceOptions& options) {
  if (globals.json) return print_json(trace);
  std::vector<StoredSpan> spans;
  for (const auto& span : trace.at("span_list").as_array()) spans.push_back(telemetry::stored_span_of(span.as_object()));
  const std::string id(string_or(trace, "trace"));
  if (trace.contains("name")) {
    const auto run = telemetry::run_row_of(trace);
    print(styled(run.name, "1") + "  " + styled(run.error.empty() ? "ok" : run.error, run.error.empty() ? "32" : "31") + "  " +
          clock_text(run.begun_us, "%Y-%m-%d %H:%M:%S") + "  " + styled(id, "2"));
    for (const auto& [name, value] : facts_of(run, spans)) {
      if (!value.empty()) print(styled(wide(name, 13), "2") + value);
    }
  } else {
    print(styled("a trace without its beginning: it has not ended, or its first span was not kept", "2") + "  " + styled(id, "2"));
  }
  print("");
  for (const auto& line : waterfall(spans, columns(), options.verbose)) print(line);
  if (options.verbose) return;
  bool first = true;
  for (const auto& span : spans) {
    if (span.error.empty()) continue;
    if (std::exchange(first, false)) print("");
    print(styled("✗ " + span.name, "31") + "  " + span.error + (span.message.empty() ? "" : ": " + span.message));
  }
}

void show_rows(Globals& globals, const std::vector<RunRow>& rows, std::int64_t dropped, bool filters) {
  if (globals.json) {
    json::array list;
    for (const auto& row : rows) list.push_back(to_json(row));
    return print_json({{"runs", std::move(list)}, {"dropped_spans", dropped}});
  }
  if (rows.empty()) return note(filters ? "No trace fits." : "No traces yet in the environment " + globals.session.environment + ".");
  show_list(rows);
  if (dropped > 0) note(std::to_string(dropped) + " spans were not kept: they came faster than they are written.");
}

// The same of the engine that --engine names.
void trace_elsewhere(Globals& globals, const TraceOptions& options, const telemetry::RunFilter& filter, bool filters) {
  auto asked = globals.session;
  asked.context = {};  // a filter here, and not on whose behalf it happens
  auto session = Session::open(asked);
  if (!session) return fail_with(globals, session.error());
  if (!options.id.empty()) {
    auto one = (*session)->ask("traces.get", {{"id", options.id}});
    if (!one) return fail_with(globals, one.error());
    return show_one(*one, globals, options);
  }
  auto answer = (*session)->ask("traces.list", {{"user", filter.user}, {"tenant", filter.tenant}, {"assistant", filter.assistant}, {"text", filter.text}, {"failed", filter.failed},
                                                {"since_ms", filter.since_ms}, {"until_ms", filter.until_ms}, {"limit", filter.limit}});
  if (!answer) return fail_with(globals, answer.error());
  std::vector<RunRow> rows;
  for (const auto& row : answer->at("runs").as_array()) rows.push_back(telemetry::run_row_of(row.as_object()));
  show_rows(globals, rows, answer->at("dropped_spans").to_number<std::int64_t>(), filters);
}

void trace(Globals& globals, const TraceOptions& options) {
  telemetry::RunFilter filter;
  filter.user = globals.session.context.user;
  filter.tenant = globals.session.context.tenant;
  filter.assistant = options.assistant;
  filter.text = options.text;
  filter.failed = options.failed;
  filter.limit = options.limit;
  for (const auto& [option, text, target] : {std::tuple("--since", &options.since, &filter.since_ms), std::tuple("--until", &options.until, &filter.until_ms)}) {
    if (text->empty()) continue;
    const auto moment = moment_ms(option, *text);
    if (!moment) return fail_with(globals, moment.error());
    *target = *moment;
  }
  const bool filters = options.failed || !(filter.user + filter.tenant + filter.assistant + filter.text + options.since + options.until).empty();
  if (!options.id.empty() && filters) {
    return fail_with(globals, Error(ErrorCode::kUsage, "a trace's ID and filters exclude each other", "`sabir trace " + options.id + "` shows that one alone."));
  }
  if (!globals.session.engine.url.empty()) return trace_elsewhere(globals, options, filter, filters);
  auto root = project::find_root(globals.session.directory.empty() ? std::filesystem::current_path() : globals.session.directory);
  if (!root) return fail_with(globals, root.error());
  auto store = TraceStore::open_reading(*root / ".sabir" / globals.session.environment);
  if (!store && store.error().code == ErrorCode::kNotFound) {
    if (!options.id.empty()) {
      return fail_with(globals, Error(ErrorCode::kNotFound, "no traces of the environment " + globals.session.environment + " are kept here", "Call a function or talk to an assistant first."));
    }
    return show_rows(globals, {}, 0, filters);
  }
  if (!store) return fail_with(globals, store.error());
  if (!options.id.empty()) {
    auto one = telemetry::trace_json(**store, options.id);
    if (!one) return fail_with(globals, one.error());
    return show_one(*one, globals, options);
  }
  auto rows = (*store)->runs(filter);
  if (!rows) return fail_with(globals, rows.error());
  show_rows(globals, *rows, (*store)->dropped().value_or(0), filters);
}

}  // namespace

void add_trace_command(Command& app, Globals& globals) {
  auto* const command = app.add_subcommand("trace", "What happened: recent runs, or one of them as a waterfall.");
  auto options = std::make_shared<TraceOptions>();
  add_common(*command, globals);
  command->add_option("ID", options->id, "the beginning of a trace's id or of a run's, or `last`; without it, recent runs");
  command->add_option("--since", options->since, "runs from then on: a date (UTC) or a span such as 36h or 7d");
  command->add_option("--until", options->until, "runs before then");
  command->add_option("--assistant", options->assistant, "runs in which this assistant took part");
  command->add_option("--text", options->text, "runs that hold this text, in what is kept of them");
  command->add_flag("--failed", options->failed, "failed runs alone");
  command->add_option("--limit", options->limit, "at most so many").between(1, 10'000).show_default();
  command->add_flag("--verbose", options->verbose, "with the attributes, events and texts of each span");
  command->footer("--user and --tenant filter too. Attributes, and what of texts is kept: docs/tracing.md.");
  command->callback([&globals, options] { trace(globals, *options); });
}

}  // namespace sabir::cli
