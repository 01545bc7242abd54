#include "extra_suites.h"

#include <unistd.h>

#include <algorithm>

#include "sabir/base/file.h"
#include "sabir/base/ids.h"
#include "sabir/base/text.h"
#include "sabir/evals/eval_file.h"
#include "sabir/evals/parity.h"
#include "sabir/process/spawn.h"

namespace sabir::cli {
namespace {
namespace fs = std::filesystem;

constexpr std::size_t kMostFiles = 10'000;

// The YAML files right below a folder, from the root.
std::vector<std::string> files_of(const fs::path& root, const std::string& folder) {
  std::vector<std::string> out;
  std::error_code ec;
  for (fs::directory_iterator it(root / folder, ec), end; !ec && it != end && out.size() < kMostFiles; it.increment(ec)) {
    const auto extension = it->path().extension();
    if (extension == ".yml" || extension == ".yaml") out.push_back(folder + "/" + it->path().filename().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

testing::Suite run_command(const fs::path& root, std::vector<std::string> words, const std::vector<std::string>& files, std::chrono::milliseconds timeout) {
  testing::Suite suite;
  std::error_code ec;
  const fs::path report = fs::temp_directory_path(ec) / ("sabir-" + new_id() + ".xml");
  words.insert(words.end(), {"--junit", report.string()});
  process::SpawnSpec spec;
  spec.argv = std::move(words);
  spec.directory = root;
  // Neither what the developer's shell has chosen nor what the other suites are told.
  spec.environment = process::environment_with({{"SABIR_MODEL", ""}, {"SABIR_RECORD", ""}, {"SABIR_REPLAY", ""}});
  auto done = process::run(std::move(spec), timeout);
  auto xml = read_file(report, std::size_t{64} << 20U);
  fs::remove(report, ec);
  if (!done) {
    suite.problem = done.error().message;
    suite.hint = done.error().hint;
    return suite;
  }
  if (done->timed_out) {
    suite.problem = "it did not end within " + std::to_string(timeout.count() / 1000) + " s";
    suite.hint = "Raise `tests: {timeout: …}` in sabir.yml, or run fewer of them.";
  } else if (!xml) {
    suite.problem = "it could not run";
  } else if (auto read = testing::read_junit(*xml, root, files, suite); !read) {
    suite.problem = read.error().message;
  } else if (suite.cases.empty()) {
    suite.problem = "it has files and found nothing to check in them";
  }
  if (!suite.problem.empty()) suite.output = std::string(trim(done->output));
  return suite;
}

}  // namespace

std::vector<testing::ExtraSuite> extra_suites(const fs::path& root, const fs::path& engine, const std::string& environment) {
  std::vector<testing::ExtraSuite> out;
  if (engine.empty()) return out;
  if (auto files = files_of(root, evals::kEvalFolder); !files.empty()) {
    out.push_back({"evals", std::move(files), 1, [=](const std::vector<std::string>& some, std::chrono::milliseconds timeout) {
                     std::vector<std::string> words{engine.string(), "eval", "--env", environment};
                     words.insert(words.end(), some.begin(), some.end());
                     return run_command(root, std::move(words), some, timeout);
                   }});
  }
  if (auto files = files_of(root, evals::kParityFolder); !files.empty()) {
    out.push_back({"parity", std::move(files), 2, [=](const std::vector<std::string>& some, std::chrono::milliseconds timeout) {
                     std::vector<std::string> words{engine.string(), "parity", "--env", environment};
                     for (const auto& file : some) words.push_back(fs::path(file).stem().string());
                     return run_command(root, std::move(words), some, timeout);
                   }});
  }
  return out;
}

}  // namespace sabir::cli
