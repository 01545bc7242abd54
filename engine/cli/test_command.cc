// sabir test, graph.
#include "test_command.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "command.h"
#include "extra_suites.h"
#include "resources.h"
#include "sabir/base/file.h"
#include "sabir/languages/languages.h"
#include "sabir/project/project.h"
#include "sabir/recordings/recordings.h"
#include "sabir/secrets/secrets.h"
#include "sabir/testing/testing.h"
#include "secret_checks.h"

namespace sabir::cli {
namespace {
namespace fs = std::filesystem;

struct TestOptions {
  std::string only;
  std::string junit;
  std::string since;
  bool affected = false;
  bool explain = false;
  bool watch = false;
  int retries = 0;
  int jobs = 0;
  int timeout_s = 0;
};

struct GraphWords {
  std::string node;
  bool dot = false;
};

Result<fs::path> root_of(const Globals& globals) {
  return project::find_root(globals.session.directory.empty() ? fs::current_path() : globals.session.directory);
}

// What the suites are told of recordings: an explicit --record or --replay holds for every test; without one, tests that have a
// recording are replayed, and the others run as ever.
Result<std::map<std::string, std::string>> recording_environment(const Globals& globals, const fs::path& root, std::int64_t since) {
  std::map<std::string, std::string> out;
  auto choice = recording_choice(globals.session, root);
  if (!choice) return fail(std::move(choice.error()));
  std::error_code ec;
  if (choice->mode != recordings::Mode::kRecord) {
    // No test costs money or sees a developer's keys.
    out["SABIR_LIVE_MODELS"] = "0";
    out["SABIR_TEST_SECRETS"] = "-";
    // A variable of the developer's shell that is a secret's; the empty one is none.
    auto known = secrets_of(globals);
    if (!known) return fail(std::move(known.error()));
    for (const auto& name : known->names) {
      const std::string variable = secrets::variable_name(name);
      if (std::getenv(variable.c_str()) != nullptr) out[variable] = "";
    }
  }
  if (choice->mode == recordings::Mode::kOff) {
    if (!fs::is_directory(root / recordings::kFolder, ec)) return out;
    choice->mode = recordings::Mode::kReplay;
    choice->path = root / recordings::kFolder;
    out["SABIR_REPLAY_WHERE_PRESENT"] = "1";
  } else if (std::getenv("SABIR_MODEL") == nullptr) {
    // The project's own models, not the scripted one that its tests choose otherwise.
    out["SABIR_MODEL"] = "";
  }
  if (choice->mode == recordings::Mode::kReplay && !fs::exists(choice->path, ec)) {
    return fail(ErrorCode::kNotFound, "there is no recording " + recordings::shown_path(choice->path, root), "Record the tests: sabir test --record tests/recordings");
  }
  out[choice->mode == recordings::Mode::kRecord ? "SABIR_RECORD" : "SABIR_REPLAY"] = choice->path.string();
  out[choice->mode == recordings::Mode::kRecord ? "SABIR_REPLAY" : "SABIR_RECORD"] = "";
  out["SABIR_REPLAY_FUNCTIONS"] = choice->functions ? "1" : "";
  out["SABIR_RECORDING_SINCE"] = std::to_string(since);
  return out;
}

// What the replays of these tests missed, whatever the tests made of it.
struct Missed {
  std::size_t stale = 0;
  std::size_t missing = 0;
  models::Usage cost;
};

Missed missed_since(const fs::path& root, std::int64_t since) {
  Missed out;
  std::error_code ec;
  for (fs::directory_iterator it(root / ".sabir" / "replays", ec), end; !ec && it != end; it.increment(ec)) {
    const auto report = recordings::report_since(it->path(), since);
    if (!report) continue;
    for (const auto& miss : report->missed) {
      ++(miss.stale ? out.stale : out.missing);
      out.cost.input_tokens += miss.cost.input_tokens;
      out.cost.output_tokens += miss.cost.output_tokens;
    }
  }
  return out;
}

bool is_given(const Globals& globals, std::string_view option, std::string_view short_option) {
  return std::any_of(globals.words.begin(), globals.words.end(), [&](const std::string& word) {
    return word == option || word == short_option || word.starts_with(std::string(option) + "=");
  });
}

// What a run's end is told by: its report on the terminal or as JSON, its JUnit file, its exit code.
Result<void> tell(Globals& globals, const TestOptions& options, const testing::Summary& summary, const fs::path& root, bool recorded, std::int64_t since) {
  if (!options.junit.empty()) {
    if (auto written = write_file(options.junit, testing::to_junit(summary)); !written) return written;
  }
  const Missed missed = missed_since(root, since);
  if (globals.json) {
    auto object = testing::to_json(summary);
    if (recorded || missed.stale + missed.missing > 0) {
      object["recordings"] = json::object{{"stale", missed.stale}, {"missing", missed.missing},
                                          {"cost", {{"input_tokens", missed.cost.input_tokens}, {"output_tokens", missed.cost.output_tokens}}}};
    }
    print_json(object);
  } else if (missed.stale + missed.missing > 0) {
    print("Recordings: " + std::to_string(missed.stale) + " stale, " + std::to_string(missed.missing) + " missing. `sabir recordings refresh --missing` asks the models, about " +
          std::to_string(missed.cost.input_tokens) + " + " + std::to_string(missed.cost.output_tokens) + " tokens.");
  }
  // A test may have caught the error; its answer was missing all the same.
  globals.exit_code = !summary.ok() || missed.stale + missed.missing > 0 ? 1 : 0;
  return {};
}

void show_reasons(Globals& globals, const testing::Summary& summary) {
  if (globals.json) {
    json::array files;
    for (const auto& [file, reason] : summary.reasons) files.push_back(json::object{{"file", file}, {"reason", reason}});
    json::array notes;
    for (const auto& note : summary.notes) notes.emplace_back(note);
    return print_json(json::object{{"affected", std::move(files)}, {"unchanged", summary.unchanged}, {"notes", std::move(notes)}});
  }
  for (const auto& note : summary.notes) print(note);
  for (const auto& [file, reason] : summary.reasons) print(file + ": " + reason);
  print(std::to_string(summary.reasons.size()) + " test files affected, " + std::to_string(summary.unchanged) + " unchanged");
}

void test(Globals& globals, const TestOptions& options) {
  auto root = root_of(globals);
  if (!root) return fail_with(globals, root.error());
  auto folder = resources();
  if (!folder) return fail_with(globals, folder.error());
  if (options.watch && (globals.json || !options.since.empty() || options.explain)) {
    return fail_with(globals, Error(ErrorCode::kUsage, "--watch goes with neither --json nor --affected=REF nor --explain-affected", "Leave one of them away."));
  }
  testing::Options run;
  run.root = *root;
  std::string path = options.only;
  if (const auto colons = path.find("::"); colons != std::string::npos) {
    run.test = path.substr(colons + 2);
    path.resize(colons);
    if (!path.ends_with(".py") || run.test.empty()) {
      return fail_with(globals, Error(ErrorCode::kUsage, options.only + ": a single test is named only for pytest, as tests/test_a.py::test_b", "Name the file: sabir test " + path));
    }
  }
  if (!path.empty()) run.only = fs::absolute(path);
  std::error_code ec;
  if (!run.test.empty() && !fs::is_regular_file(run.only, ec)) return fail_with(globals, Error(ErrorCode::kNotFound, path + ": no such file"));
  run.engine = fs::read_symlink("/proc/self/exe", ec);
  run.engine_version = SABIR_VERSION;
  const char* chosen = std::getenv("SABIR_ENV");
  if (is_given(globals, "--env", "-e") || (chosen != nullptr && *chosen)) run.environment_name = globals.session.environment;
  globals.session.environment = run.environment_name;
  auto languages = project::load_languages(*folder / "languages", *root);
  if (!languages) return fail_with(globals, languages.error());
  for (const auto& language : *languages) run.sdk_paths[language.name] = language.resources / language.sdk;
  run.languages = std::move(*languages);
  run.affected = (options.affected || options.watch || options.explain) && options.since.empty();
  run.since = options.since;
  run.explain = options.explain;
  if (!options.junit.empty()) run.report = fs::absolute(options.junit);
  run.retries = options.retries;
  run.jobs = options.jobs;
  run.timeout_ms = options.timeout_s * 1000;
  run.output_fd = globals.json ? -1 : STDOUT_FILENO;
  run.live = !globals.json && on_terminal();
  for (bool at_once = false;;) {
    const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    auto environment = recording_environment(globals, *root, since);
    if (!environment) return fail_with(globals, environment.error());
    run.environment = std::move(*environment);
    run.extra = extra_suites(*root, run.engine, run.environment_name);
    auto summary = testing::run(run);
    if (!summary) return fail_with(globals, summary.error());
    if (options.explain) return show_reasons(globals, *summary);
    if (auto told = tell(globals, options, *summary, *root, run.environment.contains("SABIR_RECORDING_SINCE"), since); !told) return fail_with(globals, told.error());
    if (!options.watch || summary->interrupted) return;
    // What was saved while the tests ran is run at once, but not over and over where a test itself writes what it depends on.
    at_once = summary->changed_meanwhile && !at_once;
    if (at_once) continue;
    print(styled("Waiting for changes; Ctrl-C ends it.", "2"));
    if (!testing::wait_for_change(*root)) return;
    print("");
  }
}

void graph(Globals& globals, const GraphWords& words) {
  auto root = root_of(globals);
  if (!root) return fail_with(globals, root.error());
  auto folder = resources();
  if (!folder) return fail_with(globals, folder.error());
  if (words.dot && globals.json) return fail_with(globals, Error(ErrorCode::kUsage, "--dot and --json exclude each other"));
  auto languages = project::load_languages(*folder / "languages", *root);
  if (!languages) return fail_with(globals, languages.error());
  auto found = testing::dependency_graph({*root, words.node, std::move(*languages)});
  if (!found) return fail_with(globals, found.error());
  if (globals.json) return print_json(*found);
  if (words.dot) {
    std::string out = "digraph sabir {\n  rankdir=LR; node [shape=box];\n";
    const auto name = [](const json::value& text) { return json::serialize(text); };
    for (const auto& node : found->at("nodes").as_array()) {
      if (node.at("kind") == "group") out += "  " + name(node.at("name")) + " [style=dashed];\n";
      else if (node.at("kind") == "test") out += "  " + name(node.at("name")) + " [style=bold];\n";
    }
    for (const auto& edge : found->at("edges").as_array()) out += "  " + name(edge.at(0)) + " -> " + name(edge.at(1)) + ";\n";
    return print(out + "}");
  }
  if (words.node.empty()) {
    std::string last;
    for (const auto& edge : found->at("edges").as_array()) {
      const std::string from(edge.at(0).as_string());
      if (from.starts_with('(')) continue;
      if (from != last) print(from);
      last = from;
      print("  → " + std::string(edge.at(1).as_string()));
    }
    return;
  }
  const auto list = [&](const char* title, const char* key) {
    const auto& names = found->at(key).as_array();
    print(styled(title, "1") + " (" + std::to_string(names.size()) + ")");
    for (const auto& one : names) print("  " + std::string(one.as_string()));
  };
  print(std::string(found->at("node").as_string()));
  list("depends on", "reaches");
  list("is reached by", "reached_by");
  list("tests that a change of it runs", "tests");
}

}  // namespace

std::vector<std::string> test_words(std::vector<std::string> words) {
  if (words.size() < 3 || words[1] != "test") return words;
  const auto is_for_path = [](const std::string& word) {
    // What is there and holds no recordings is the PATH that follows, not where they are.
    std::error_code ec;
    const fs::path path(word.substr(0, word.find("::")));
    if (fs::is_regular_file(path, ec)) return path.extension() != ".json";
    if (!fs::is_directory(path, ec)) return false;
    for (fs::directory_iterator it(path, ec), end; !ec && it != end; it.increment(ec)) {
      if (it->path().extension() != ".json") return true;
    }
    return false;
  };
  std::vector<std::string> out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word.starts_with("--affected=")) {
      out.insert(out.end(), {"--since", word.substr(11)});
      continue;
    }
    out.push_back(word);
    if (word != "--record" && word != "--replay") continue;
    if (i + 1 == words.size() || words[i + 1].starts_with('-') || is_for_path(words[i + 1])) {
      // From wherever it is called.
      auto root = project::find_root(fs::current_path());
      out.push_back(root ? (*root / recordings::kFolder).string() : std::string(recordings::kFolder));
    }
  }
  return out;
}

void add_test_command(Command& app, Globals& globals) {
  auto* const trying = app.add_subcommand("test", "Run every language's own tests, with one summary.");
  auto options = std::make_shared<TestOptions>();
  add_common(*trying, globals);
  add_recording(*trying, globals);
  trying->add_option("PATH", options->only, "only the tests below this path; tests/test_a.py::test_b for one of pytest's");
  trying->add_option("--junit", options->junit, "write the results as JUnit XML to this file");
  trying->add_flag("--affected", options->affected, "only test files that have not passed with what they depend on now; --affected=REF as --since");
  trying->add_option("--since", options->since, "only test files that what changed since this branch left the commit reaches");
  trying->add_flag("--explain-affected", options->explain, "say why each test file would run, and run none");
  trying->add_flag("--watch", options->watch, "go on: after each change run what it affects");
  trying->add_option("--retries", options->retries, "run what failed so many times more; what passes then is flaky").between(0, 10);
  trying->add_option("--jobs", options->jobs, "processors to keep busy (default: the machine's)").between(1, 1024);
  trying->add_option("--timeout", options->timeout_s, "seconds for one suite").between(1, 86400);
  trying->callback([&globals, options] { test(globals, *options); });

  auto* const graphing = app.add_subcommand("graph", "Show what depends on what: functions, prompt parts, prompts, assistants, tests.");
  auto words = std::make_shared<GraphWords>();
  add_common(*graphing, globals);
  graphing->add_option("NODE", words->node, "a file, a function's address, a prompt's or an assistant's name: what it depends on and what depends on it");
  graphing->add_flag("--dot", words->dot, "as Graphviz reads it");
  graphing->callback([&globals, words] { graph(globals, *words); });
}

}  // namespace sabir::cli
