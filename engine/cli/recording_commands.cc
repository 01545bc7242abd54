// sabir recordings list | show | prune | refresh, and what --record and --replay mean.
#include <algorithm>
#include <iostream>

#include "command.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/recordings/recordings.h"

namespace sabir::cli {
namespace {
namespace fs = std::filesystem;
using recordings::Entry;
using recordings::Kind;
using recordings::Recording;
using recordings::ReplayReport;

struct Loaded {
  fs::path path;
  std::string shown;
  std::string text;
  Recording recording;
  std::optional<ReplayReport> report;  // of the last replay of this very text
};

Result<fs::path> root_of(const Globals& globals) {
  return project::find_root(globals.session.directory.empty() ? fs::current_path() : globals.session.directory);
}

// The report of the last replay of `path`, when that had this text.
std::optional<ReplayReport> report_of(const fs::path& path, const fs::path& root, std::string_view text) {
  auto report = recordings::report_since(recordings::report_file(root, path), 0);
  if (!report || report->content != fingerprint(text)) return std::nullopt;
  return report;
}

Result<Loaded> load(const fs::path& path, const fs::path& root, bool absent_too = false) {
  Loaded out;
  out.path = path;
  out.shown = recordings::shown_path(path, root);
  auto text = read_file(path, recordings::kMostBytes);
  if (!text) {
    // What was asked for without being there may be made of the report alone.
    out.report = absent_too ? report_of(path, root, "") : std::nullopt;
    if (text.error().code == ErrorCode::kNotFound && out.report && !out.report->missed.empty()) {
      out.recording.name = out.report->name;
      return out;
    }
    if (text.error().code == ErrorCode::kNotFound) text.error().hint = "`sabir recordings list` names them all.";
    return fail(std::move(text.error()));
  }
  out.text = std::move(*text);
  auto recording = recordings::parse_recording(out.text, out.shown);
  if (!recording) return fail(std::move(recording.error()));
  out.recording = std::move(*recording);
  out.report = report_of(path, root, out.text);
  return out;
}

// The files that `words` name, folders with all that is in them; without words, those of tests and evals.
Result<std::vector<fs::path>> files_of(const std::vector<std::string>& words, const fs::path& root) {
  std::vector<fs::path> out;
  std::vector<fs::path> places;
  for (const auto& word : words) places.push_back(recordings::recording_path(word, root));
  if (words.empty()) places = {root / recordings::kFolder, root / recordings::kEvalFolder};
  for (const auto& place : places) {
    std::error_code ec;
    if (!fs::is_directory(place, ec)) {
      if (!words.empty()) out.push_back(place);
      continue;
    }
    for (fs::recursive_directory_iterator it(place, fs::directory_options::skip_permission_denied, ec), end; !ec && it != end; it.increment(ec)) {
      if (it->is_regular_file() && it->path().extension() == ".json") out.push_back(it->path());
      if (out.size() > recordings::kMostEntries) {
        return fail(ErrorCode::kLimit, place.string() + " has more than " + std::to_string(recordings::kMostEntries) + " files");
      }
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

// The recordings below `words`, or of tests and evals, that are not there and were asked for in the last replays.
std::vector<fs::path> absent_files(const std::vector<std::string>& words, const fs::path& root) {
  std::vector<fs::path> places;
  for (const auto& word : words) places.push_back(recordings::recording_path(word, root));
  if (words.empty()) places = {root / recordings::kFolder, root / recordings::kEvalFolder};
  std::vector<fs::path> out;
  std::error_code ec;
  for (fs::directory_iterator it(root / ".sabir" / "replays", ec), end; !ec && it != end; it.increment(ec)) {
    const auto report = recordings::report_since(it->path(), 0);
    if (!report || report->missed.empty() || report->content != fingerprint("")) continue;
    const fs::path path = root / report->recording;
    std::error_code none;
    if (fs::exists(path, none)) continue;
    const bool wanted = std::any_of(places.begin(), places.end(), [&](const fs::path& place) { return path == place || path.parent_path() == place; });
    if (wanted) out.push_back(path);
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::string count(std::size_t n, const char* what) { return std::to_string(n) + " " + what + (n == 1 ? "" : "s"); }

struct Totals {
  std::size_t stale = 0;
  std::size_t missing = 0;
  models::Usage cost;
  std::optional<double> money;
};

Totals totals_of(const ReplayReport& report) {
  Totals out;
  for (const auto& miss : report.missed) {
    ++(miss.stale ? out.stale : out.missing);
    if (miss.ask.empty()) continue;
    out.cost.input_tokens += miss.cost.input_tokens;
    out.cost.output_tokens += miss.cost.output_tokens;
    if (miss.money) out.money = out.money.value_or(0) + *miss.money;
  }
  return out;
}

json::object usage_json(const models::Usage& usage) { return {{"input_tokens", usage.input_tokens}, {"output_tokens", usage.output_tokens}}; }

std::string usage_text(const models::Usage& usage) { return std::to_string(usage.input_tokens) + " + " + std::to_string(usage.output_tokens) + " tokens"; }

std::string cost_text(const Totals& totals) { return usage_text(totals.cost) + (totals.money ? ", " + dollars(*totals.money) + " USD" : ""); }

json::object cost_json(const Totals& totals) {
  json::object out = usage_json(totals.cost);
  if (totals.money) out["usd"] = *totals.money;
  return out;
}

// ---- list ------------------------------------------------------------------------------------------------------------

void list(Globals& globals) {
  auto root = root_of(globals);
  if (!root) return fail_with(globals, root.error());
  auto files = files_of({}, *root);
  if (!files) return fail_with(globals, files.error());
  json::array out;
  for (const auto& path : *files) {
    auto loaded = load(path, *root);
    const std::string shown = recordings::shown_path(path, *root);
    if (!loaded) {
      globals.exit_code = 1;
      out.push_back({{"file", shown}, {"error", to_json(loaded.error())}});
      if (!globals.json) note("sabir: " + to_text(loaded.error()));
      continue;
    }
    const auto& entries = loaded->recording.entries;
    const auto asked = static_cast<std::size_t>(std::count_if(entries.begin(), entries.end(), [](const Entry& e) { return e.kind == Kind::kModel; }));
    models::Usage usage;
    for (const auto& entry : entries) {
      usage.input_tokens += entry.reply.usage.input_tokens;
      usage.output_tokens += entry.reply.usage.output_tokens;
    }
    json::object object{{"file", shown}, {"name", loaded->recording.name}, {"models", asked}, {"functions", entries.size() - asked}, {"usage", usage_json(usage)}};
    std::string line = styled(shown, "1") + "  " + count(asked, "model call") + ", " + count(entries.size() - asked, "function call");
    if (loaded->report) {
      const Totals totals = totals_of(*loaded->report);
      object["last_replay"] = json::object{
          {"stale", totals.stale}, {"missing", totals.missing}, {"used", loaded->report->used.size()}, {"cost", cost_json(totals)}};
      if (totals.stale > 0) line += "; " + count(totals.stale, "stale answer");
      if (totals.missing > 0) line += "; " + std::to_string(totals.missing) + " missing";
    }
    out.push_back(std::move(object));
    if (!globals.json) print(line);
  }
  if (globals.json) return print_json({{"recordings", out}});
  if (files->empty()) note(std::string("There are no recordings in ") + recordings::kFolder + "/. Make one: sabir chat ASSISTANT \"…\" --record NAME");
}

// ---- show ------------------------------------------------------------------------------------------------------------

void show_entry(const Loaded& loaded, std::size_t i) {
  const Entry& entry = loaded.recording.entries[i];
  std::string head = std::to_string(i + 1) + "  ";
  if (entry.kind == Kind::kModel) {
    head += "model " + std::string(string_or(entry.ask, "alias"));
    if (const auto name = string_or(entry.ask, "model"); !name.empty()) head += " (" + std::string(name) + ")";
  } else {
    head += "function " + entry.address + " (" + entry.effect + ")";
  }
  print(styled(head, "1") + (entry.caller.empty() ? "" : styled("  for " + entry.caller, "2")));
  const auto shown = [](std::string text) {
    if (text.size() <= 400) return text;
    std::size_t end = 397;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
    return text.substr(0, end) + "…";
  };
  if (entry.kind == Kind::kModel) {
    for (const auto& use : entry.prompts) print("   prompt " + use.name + " " + use.text + " (message " + std::to_string(use.message + 1) + ")");
    for (const auto& line : recordings::lines_of(entry.ask)) {
      if (!line.starts_with("alias: ") && !line.starts_with("model: ")) print("   " + shown(line));
    }
  } else {
    print("   " + shown(entry.arguments));
  }
  if (entry.error) {
    print(styled(" ✗ ", "31") + std::string(string_or(*entry.error, "type")) + ": " + std::string(string_or(*entry.error, "message")));
  } else if (entry.kind == Kind::kModel) {
    for (const auto& call : entry.reply.tool_calls) print(" ← calls " + call.name + " " + shown(call.arguments_json));
    if (!entry.reply.content.empty()) print(" ← " + shown(entry.reply.content));
    if (!entry.vectors.empty()) print(" ← " + count(entry.vectors.size(), "vector") + " of " + std::to_string(entry.vectors.front().size()) + " numbers");
    print(styled("   " + usage_text(entry.reply.usage) + (entry.pieces.empty() ? "" : ", " + count(entry.pieces.size(), "piece")), "2"));
  } else {
    for (const auto& chunk : entry.chunks) print(" ← " + shown(chunk));
    print(" ← " + shown(entry.value));
  }
}

void show(Globals& globals, const std::string& word) {
  auto root = root_of(globals);
  if (!root) return fail_with(globals, root.error());
  auto loaded = load(recordings::recording_path(word, *root), *root);
  if (!loaded) return fail_with(globals, loaded.error());
  if (globals.json) return print(trim(loaded->text));
  print(styled(loaded->shown, "1") + (loaded->recording.name.empty() ? "" : ": " + loaded->recording.name) +
        (loaded->recording.override_alias.empty() ? "" : ", with SABIR_MODEL=" + loaded->recording.override_alias));
  for (std::size_t i = 0; i < loaded->recording.entries.size(); ++i) {
    print("");
    show_entry(*loaded, i);
  }
  if (!loaded->report || loaded->report->missed.empty()) return;
  print("\n" + styled("Missed in the last replay", "1"));
  for (const auto& miss : loaded->report->missed) {
    print((miss.stale ? "stale: entry " + std::to_string(*miss.stale + 1) : std::string("missing")) + ", " + miss.what);
    if (!miss.difference.empty()) print(miss.difference);
  }
}

// ---- prune -----------------------------------------------------------------------------------------------------------

// "tests/test_a.py" of "tests/test_a.py::test_b"; "" when the name is no test in a file.
std::string test_file(const std::string& name) {
  const auto colons = name.find("::");
  return colons == std::string::npos ? std::string() : name.substr(0, colons);
}

void prune(Globals& globals, const std::vector<std::string>& words, bool dry_run) {
  auto root = root_of(globals);
  if (!root) return fail_with(globals, root.error());
  auto files = files_of(words, *root);
  if (!files) return fail_with(globals, files.error());
  json::array out;
  std::size_t removed_files = 0;
  std::size_t removed_entries = 0;
  const auto tell = [&](json::object object, const std::string& line) {
    out.push_back(std::move(object));
    if (!globals.json) print((dry_run ? "would remove " : "removed ") + line);
  };
  for (const auto& path : *files) {
    auto loaded = load(path, *root);
    if (!loaded) {
      // Others are pruned all the same.
      fail_with(globals, loaded.error());
      continue;
    }
    std::error_code ec;
    if (const std::string test = test_file(loaded->recording.name); !test.empty() && !fs::exists(*root / test, ec)) {
      if (!dry_run) fs::remove(path, ec);
      if (!dry_run) fs::remove(recordings::report_file(*root, path), ec);
      ++removed_files;
      tell({{"file", loaded->shown}, {"removed", "file"}, {"why", "there is no " + test}}, loaded->shown + ": there is no " + test);
      continue;
    }
    // A replay that did not get to its end says nothing about the rest.
    if (!loaded->report || !loaded->report->missed.empty() || loaded->report->used.empty()) continue;
    Recording kept = loaded->recording;
    kept.entries.clear();
    json::array gone;
    for (std::size_t i = 0; i < loaded->recording.entries.size(); ++i) {
      const Entry& entry = loaded->recording.entries[i];
      const bool replayed = entry.kind == Kind::kModel || loaded->report->functions;
      if (replayed && !loaded->report->used.contains(i)) {
        gone.push_back(i + 1);
      } else {
        kept.entries.push_back(entry);
      }
    }
    if (gone.empty()) continue;
    removed_entries += gone.size();
    if (!dry_run) {
      if (auto written = write_file(path, recordings::to_text(kept)); !written) return fail_with(globals, written.error());
    }
    std::string numbers;
    for (const auto& number : gone) numbers += (numbers.empty() ? "" : ", ") + json::serialize(number);
    tell({{"file", loaded->shown}, {"removed", "entries"}, {"entries", gone}, {"why", "the last replay did not ask for them"}},
         loaded->shown + ": " + std::to_string(gone.size()) + (gone.size() == 1 ? " entry" : " entries") + " that the last replay did not ask for (" +
             numbers + ")");
  }
  if (globals.json) return print_json({{"pruned", out}, {"files", removed_files}, {"entries", removed_entries}, {"dry_run", dry_run}});
  if (out.empty()) print("Nothing to prune. What a replay did not ask for is known after the tests have run with recordings.");
}

// ---- refresh ---------------------------------------------------------------------------------------------------------

Result<Entry> ask_live(runtime::Engine& engine, const recordings::Miss& miss, const recordings::Scrubber& scrub) {
  models::Request request;
  const auto list_of = [&](const char* name) {
    const auto* value = miss.request.if_contains(name);
    return value && value->is_array() ? value->get_array() : json::array();
  };
  request.messages = list_of("messages");
  request.tools = list_of("tools");
  if (const auto* value = miss.request.if_contains("parameters"); value && value->is_object()) request.parameters = value->get_object();
  if (const auto* value = miss.request.if_contains("output_schema"); value && value->is_object()) request.output_schema = value->get_object();
  request.cache = std::chrono::milliseconds(0);
  Entry entry;
  entry.caller = "refresh";
  entry.ask = miss.ask;
  entry.prompts = miss.prompts;
  if (miss.request.contains("texts")) {
    models::EmbedRequest embedding;
    for (const auto& text : list_of("texts")) embedding.texts.emplace_back(text.is_string() ? std::string(text.get_string()) : std::string());
    embedding.parameters = std::move(request.parameters);
    auto out = engine.embed(std::string(string_or(miss.ask, "alias")), embedding);
    if (!out) return fail(std::move(out.error()));
    static_cast<models::Answered&>(entry.reply) = *out;
    entry.vectors = std::move(out->vectors);
    return scrub.entry(std::move(entry));
  }
  auto reply = engine.complete(std::string(string_or(miss.ask, "alias")), request, [&](const models::Event& event) {
    if (!event.content.empty()) entry.pieces.push_back(event.content);
  });
  if (!reply) return fail(std::move(reply.error()));
  entry.reply = std::move(*reply);
  return scrub.entry(std::move(entry));
}

void refresh(Globals& globals, const std::vector<std::string>& words, bool missing) {
  if (!missing) {
    return fail_with(globals, Error(ErrorCode::kUsage, "refresh asks anew only what is stale or missing: say --missing",
                                    "To record a whole run anew, run it with --record."));
  }
  auto root = root_of(globals);
  if (!root) return fail_with(globals, root.error());
  auto files = files_of(words, *root);
  if (!files) return fail_with(globals, files.error());
  for (auto& path : absent_files(words, *root)) {
    if (std::find(files->begin(), files->end(), path) == files->end()) files->push_back(std::move(path));
  }
  std::unique_ptr<runtime::Engine> engine;
  json::array out;
  models::Usage spent;
  for (const auto& path : *files) {
    auto loaded = load(path, *root, true);
    if (!loaded) {
      fail_with(globals, loaded.error());
      continue;
    }
    if (!loaded->report || loaded->report->missed.empty()) continue;
    const Totals totals = totals_of(*loaded->report);
    if (!globals.json) {
      note(loaded->shown + ": " + std::to_string(totals.stale) + " stale, " + std::to_string(totals.missing) + " missing; about " + cost_text(totals));
    }
    if (!engine) {
      auto opened = open_live_engine(globals.session);
      if (!opened) return fail_with(globals, opened.error());
      engine = std::move(*opened);
    }
    const recordings::Scrubber scrub(engine->redactor());
    Recording& recording = loaded->recording;
    ReplayReport& report = *loaded->report;
    std::vector<recordings::Miss> left;
    std::size_t renewed = 0;
    std::size_t added = 0;
    std::optional<Error> problem;
    for (auto& miss : report.missed) {
      if (miss.ask.empty() || problem) {
        left.push_back(miss);
        continue;
      }
      auto entry = ask_live(*engine, miss, scrub);
      if (!entry) {
        problem = std::move(entry.error());
        left.push_back(miss);
        continue;
      }
      spent.input_tokens += entry->reply.usage.input_tokens;
      spent.output_tokens += entry->reply.usage.output_tokens;
      if (miss.stale && *miss.stale < recording.entries.size()) {
        entry->caller = recording.entries[*miss.stale].caller;
        recording.entries[*miss.stale] = std::move(*entry);
        ++renewed;
      } else {
        recording.entries.push_back(std::move(*entry));
        ++added;
      }
    }
    if (renewed + added > 0) {
      const std::string text = recordings::to_text(recording);
      std::error_code ec;
      fs::create_directories(path.parent_path(), ec);
      if (auto written = write_file(path, text); !written) return fail_with(globals, written.error());
      report.content = fingerprint(text);
      report.missed = left;
      const fs::path file = recordings::report_file(*root, path);
      if (auto written = write_file(file, pretty_json(recordings::to_json(report)) + "\n", 0600); !written) return fail_with(globals, written.error());
    }
    const auto functions = static_cast<std::size_t>(std::count_if(left.begin(), left.end(), [](const auto& miss) { return miss.ask.empty(); }));
    out.push_back({{"file", loaded->shown}, {"renewed", renewed}, {"added", added}, {"left", left.size()}});
    if (!globals.json) {
      print(loaded->shown + ": " + count(renewed, "answer") + " renewed, " + std::to_string(added) + " added");
      if (functions > 0) note(count(functions, "call") + " of functions cannot be made here: record the run anew with --record.");
    }
    if (problem) return fail_with(globals, *problem);
  }
  if (globals.json) return print_json({{"refreshed", out}, {"usage", usage_json(spent)}});
  if (out.empty()) return print("Nothing is stale or missing, by the last replays.");
  print("The models took " + usage_text(spent) + ". Run the tests again: another answer may lead to further questions.");
}

}  // namespace

void add_recording(Command& command, Globals& globals) {
  auto& words = globals.session.recording;
  command.add_option("--record", words.record, "write each call of a model or function to this file; a name alone lies in tests/recordings/");
  command.add_option("--replay", words.replay, "answer models from this recording: no network, no key");
  command.add_flag("--replay-functions", words.functions, "with --replay: functions too; no worker starts");
}

void add_recording_commands(Command& app, Globals& globals) {
  auto* const group = app.add_subcommand("recordings", "Recorded answers of models and functions.");
  group->require_subcommand();

  auto* const listing = group->add_subcommand("list", "The recordings of tests and evals.");
  add_common(*listing, globals);
  listing->callback([&globals] { list(globals); });

  auto* const showing = group->add_subcommand("show", "One recording, call by call.");
  auto word = std::make_shared<std::string>();
  add_common(*showing, globals);
  showing->add_option("FILE", *word, "a file, or its name in tests/recordings/").required();
  showing->callback([&globals, word] { show(globals, *word); });

  auto* const pruning = group->add_subcommand("prune", "Remove what no test asks for any more, by the last replays.");
  auto pruned = std::make_shared<std::vector<std::string>>();
  auto dry_run = std::make_shared<bool>(false);
  add_common(*pruning, globals);
  pruning->add_option("FILES", *pruned, "only these");
  pruning->add_flag("--dry-run", *dry_run, "say what would go");
  pruning->callback([&globals, pruned, dry_run] { prune(globals, *pruned, *dry_run); });

  auto* const refreshing = group->add_subcommand("refresh", "Ask the live models anew what the last replays found stale or missing.");
  auto refreshed = std::make_shared<std::vector<std::string>>();
  auto missing = std::make_shared<bool>(false);
  add_common(*refreshing, globals);
  refreshing->add_option("FILES", *refreshed, "only these");
  refreshing->add_flag("--missing", *missing, "only what is stale or missing");
  refreshing->callback([&globals, refreshed, missing] { refresh(globals, *refreshed, *missing); });
}

}  // namespace sabir::cli
