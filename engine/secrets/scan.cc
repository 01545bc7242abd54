#include "sabir/secrets/scan.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/process/spawn.h"
#include "sabir/secrets/redactor.h"

namespace sabir::secrets {
namespace {

constexpr std::size_t kMostFile = std::size_t{8} << 20U;
constexpr std::size_t kMostFindings = 1000;
constexpr std::size_t kMostList = std::size_t{256} << 20U;
constexpr std::size_t kMostLine = std::size_t{1} << 20U;
constexpr std::chrono::minutes kHistory{5};
constexpr std::string_view kMark = "not-a-secret";

// How keys of well-known services begin, and what follows. Sources: each service's documentation of its keys.
struct KeyShape {
  std::string_view begins;
  std::size_t least;       // characters behind it
  std::string_view others; // beside letters and digits
  const char* what;
};
constexpr std::array kShapes = {
    KeyShape{"sk-ant-", 24, "-_", "a key of Anthropic"},
    KeyShape{"sk-proj-", 24, "-_", "a key of OpenAI"},
    KeyShape{"sk-svcacct-", 24, "-_", "a key of OpenAI"},
    KeyShape{"sk-", 40, "", "a key of OpenAI"},
    KeyShape{"AKIA", 16, "", "an access key of AWS"},
    KeyShape{"ASIA", 16, "", "an access key of AWS"},
    KeyShape{"ghp_", 36, "", "a token of GitHub"},
    KeyShape{"gho_", 36, "", "a token of GitHub"},
    KeyShape{"ghs_", 36, "", "a token of GitHub"},
    KeyShape{"ghu_", 36, "", "a token of GitHub"},
    KeyShape{"github_pat_", 40, "_", "a token of GitHub"},
    KeyShape{"glpat-", 20, "-_", "a token of GitLab"},
    KeyShape{"xoxb-", 20, "-", "a token of Slack"},
    KeyShape{"xoxp-", 20, "-", "a token of Slack"},
    KeyShape{"AIza", 35, "-_", "a key of Google"},
    KeyShape{"sk_live_", 20, "", "a key of Stripe"},
    KeyShape{"rk_live_", 20, "", "a key of Stripe"},
    KeyShape{"hf_", 34, "", "a token of Hugging Face"},
    KeyShape{"hvs.", 24, "-_", "a token of Vault"},
    KeyShape{"npm_", 36, "", "a token of npm"},
    KeyShape{"pypi-", 60, "-_", "a token of PyPI"},
    KeyShape{"SG.", 40, "-_.", "a key of SendGrid"},
    KeyShape{"AGE-SECRET-KEY-1", 50, "", "a private key of age"},
};

bool is_word(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// What is one character over and over, or in words, stands for a key in a text about keys.
bool is_random(std::string_view key) {
  std::set<char> seen(key.begin(), key.end());
  const bool digits = std::any_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; });
  return seen.size() >= 8 && digits;
}

bool is_marked(std::string_view text, std::size_t at) {
  const std::size_t begin = text.rfind('\n', at) == std::string_view::npos ? 0 : text.rfind('\n', at) + 1;
  const std::size_t end = std::min(text.find('\n', at), text.size());
  return text.substr(begin, end - begin).find(kMark) != std::string_view::npos;
}

struct Reading {
  ScanReport report;
  std::set<std::string> known;  // a finding's file, what and beginning: each once in the history

  void add(ScanFinding finding) {
    if (report.findings.size() >= kMostFindings) return;
    const std::string key = finding.commit.empty() ? finding.file + "\n" + std::to_string(finding.line) + "\n" + finding.what + finding.shown
                                                   : "history\n" + finding.file + "\n" + finding.what + finding.shown;
    if (known.insert(key).second) report.findings.push_back(std::move(finding));
  }
};

Result<process::RunResult> git(const std::filesystem::path& root, std::vector<std::string> words) {
  process::SpawnSpec spec;
  spec.argv = {"git", "-C", root.string()};
  for (auto& word : words) spec.argv.push_back(std::move(word));
  // A GIT_DIR of the caller (a hook, say) would ask another repository.
  spec.environment = process::environment_with({{"GIT_DIR", ""}, {"GIT_WORK_TREE", ""}, {"GIT_INDEX_FILE", ""}});
  spec.separate_errors = true;
  return process::run(std::move(spec), std::chrono::seconds(60), kMostList);
}

std::vector<std::string> walked(const std::filesystem::path& root) {
  std::vector<std::string> out;
  std::error_code ec;
  for (auto it = std::filesystem::recursive_directory_iterator(root, std::filesystem::directory_options::skip_permission_denied, ec);
       it != std::filesystem::recursive_directory_iterator(); it.increment(ec)) {
    if (ec) break;
    const auto name = it->path().filename().string();
    if (it->is_directory(ec) && (name == ".git" || name == ".sabir" || name == "node_modules" || name == "__pycache__")) {
      it.disable_recursion_pending();
      continue;
    }
    if (it->is_regular_file(ec) && !it->is_symlink(ec)) out.push_back(it->path().lexically_relative(root).string());
  }
  return out;
}

// `git log -p` as it comes, line by line.
class History {
 public:
  History(Reading& reading, const Scanner& scanner) : reading_(reading), scanner_(scanner) {}

  void feed(std::string_view bytes) {
    rest_ += bytes;
    std::size_t from = 0;
    for (std::size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', from)) {
      line(std::string_view(rest_).substr(from, end - from));
      from = end + 1;
    }
    rest_.erase(0, from);
    // No line of a text is that long; what is searched is its beginning.
    if (rest_.size() > kMostLine) {
      line(rest_);
      rest_.clear();
    }
  }

 private:
  void line(std::string_view text) {
    if (text.starts_with("\x01" "commit ")) {
      commit_ = text.substr(8, 12);
      ++reading_.report.commits;
    } else if (text.starts_with("+++ ")) {
      file_ = text.substr(text.starts_with("+++ b/") ? 6 : 4);
    } else if (text.starts_with("@@")) {
      const std::size_t plus = text.find('+');
      number_ = plus == std::string_view::npos ? 0 : std::atoi(std::string(text.substr(plus + 1, 12)).c_str());
    } else if (text.starts_with("+") || text.starts_with(" +")) {
      scanner_.text(text.substr(1), number_, [&](int at, const std::string& what, const std::string& shown) { reading_.add({file_, at, commit_, what, shown}); });
      ++number_;
    } else if (text.starts_with(" ")) {
      ++number_;
    }
  }

  Reading& reading_;
  const Scanner& scanner_;
  std::string rest_;
  std::string commit_;
  std::string file_;
  int number_ = 0;
};

Result<void> read_history(const std::filesystem::path& root, const Scanner& scanner, Reading& reading) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(ErrorCode::kIo, std::string("pipe: ") + std::strerror(errno));
  process::Fd from(ends[0]);
  process::Fd to(ends[1]);
  process::SpawnSpec spec;
  spec.argv = {"git", "-C", root.string(), "log", "--all", "-p", "--cc", "--no-color", "--no-ext-diff", "--no-textconv", "--unified=0", "--relative", "--format=%x01commit %H"};
  spec.environment = process::environment_with({{"GIT_DIR", ""}, {"GIT_WORK_TREE", ""}, {"GIT_INDEX_FILE", ""}});
  spec.descriptors = {{1, to.get()}};
  auto child = process::spawn(spec);
  if (!child) return fail(std::move(child.error()));
  to.reset();
  History history(reading, scanner);
  const auto deadline = std::chrono::steady_clock::now() + kHistory;
  char buffer[65536];
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd ready{from.get(), POLLIN, 0};
    const int n = left > 0 ? ::poll(&ready, 1, static_cast<int>(left)) : 0;
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      child->signal_group(SIGKILL);
      (void)child->wait(std::chrono::seconds(5));
      reading.report.left_out = "git's history was read for five minutes and is longer";
      return {};
    }
    const auto got = ::read(from.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    history.feed({buffer, static_cast<std::size_t>(got)});
  }
  history.feed("\n");
  auto ended = child->wait(std::chrono::seconds(10));
  reading.report.has_history = ended && ended->code == 0;
  if (!reading.report.has_history) reading.report.left_out = "git could not give its history";
  return {};
}

}  // namespace

Scanner::Scanner(const std::vector<std::pair<std::string, std::string>>& values) {
  for (const auto& [name, value] : values) {
    if (value.size() < Redactor::kLeastBytes) continue;
    for (auto& form : Redactor::forms(value)) {
      const std::string what = "the secret " + name + (form == value ? "" : ", encoded");
      if (std::none_of(patterns_.begin(), patterns_.end(), [&](const auto& p) { return p.text == form; })) patterns_.push_back({std::move(form), what});
    }
  }
  std::stable_sort(patterns_.begin(), patterns_.end(), [](const auto& a, const auto& b) { return a.text.size() > b.text.size(); });
}

void Scanner::text(std::string_view text, int first_line, const std::function<void(int, const std::string&, const std::string&)>& found) const {
  struct Hit {
    std::size_t at;
    std::string what;
    std::string shown;
  };
  std::vector<Hit> hits;
  std::vector<std::pair<std::size_t, std::size_t>> taken;
  const auto is_taken = [&](std::size_t at) { return std::any_of(taken.begin(), taken.end(), [&](const auto& t) { return at >= t.first && at < t.second; }); };
  for (const auto& pattern : patterns_) {
    for (std::size_t at = text.find(pattern.text); at != std::string_view::npos; at = text.find(pattern.text, at + pattern.text.size())) {
      if (is_taken(at) || is_marked(text, at)) continue;
      taken.emplace_back(at, at + pattern.text.size());
      hits.push_back({at, pattern.what, ""});
      if (hits.size() > kMostFindings) break;
    }
  }
  for (const auto& shape : kShapes) {
    for (std::size_t at = text.find(shape.begins); at != std::string_view::npos; at = text.find(shape.begins, at + 1)) {
      if (at > 0 && (is_word(text[at - 1]) || text[at - 1] == '_' || text[at - 1] == '-')) continue;
      std::size_t end = at + shape.begins.size();
      while (end < text.size() && (is_word(text[end]) || shape.others.find(text[end]) != std::string_view::npos)) ++end;
      const auto key = text.substr(at + shape.begins.size(), end - at - shape.begins.size());
      if (key.size() < shape.least || !is_random(key) || is_taken(at) || is_marked(text, at)) continue;
      taken.emplace_back(at, end);
      hits.push_back({at, shape.what, std::string(shape.begins) + std::string(key.substr(0, 4)) + "…"});
      if (hits.size() > kMostFindings) break;
    }
  }
  static constexpr std::string_view kBegin = "-----BEGIN ";
  for (std::size_t at = text.find(kBegin); at != std::string_view::npos; at = text.find(kBegin, at + 1)) {
    const auto rest = text.substr(at + kBegin.size(), 40);
    if (rest.find("PRIVATE KEY-----") != std::string_view::npos && !is_marked(text, at)) hits.push_back({at, "a private key", ""});
  }
  std::sort(hits.begin(), hits.end(), [](const Hit& a, const Hit& b) { return a.at < b.at; });
  std::size_t seen = 0;
  int line = first_line;
  for (const auto& hit : hits) {
    line += static_cast<int>(std::count(text.begin() + static_cast<std::ptrdiff_t>(seen), text.begin() + static_cast<std::ptrdiff_t>(hit.at), '\n'));
    seen = hit.at;
    found(line, hit.what, hit.shown);
  }
}

Result<ScanReport> scan_project(const std::filesystem::path& root, const Scanner& scanner, bool history) {
  Reading reading;
  std::vector<std::string> files;
  // Untracked files too, so that it is seen before it is committed.
  auto listed = git(root, {"ls-files", "-z", "--cached", "--others", "--exclude-standard"});
  const bool in_git = listed && !listed->timed_out && listed->status.code == 0;
  if (in_git) {
    std::string_view rest = listed->output;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\0'), rest.size());
      files.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  } else {
    files = walked(root);
  }
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  std::error_code ec;
  for (const auto& file : files) {
    // Where they belong, and which git does not track, or says so.
    if (file == "config/secrets.json") continue;
    const auto path = root / file;
    if (!std::filesystem::is_regular_file(std::filesystem::symlink_status(path, ec))) continue;
    auto text = read_file(path, kMostFile);
    if (!text || std::string_view(*text).substr(0, 8000).find('\0') != std::string_view::npos) continue;
    ++reading.report.files;
    scanner.text(*text, 1, [&](int line, const std::string& what, const std::string& shown) { reading.add({file, line, "", what, shown}); });
  }
  if (history && in_git) {
    if (auto done = read_history(root, scanner, reading); !done) return fail(std::move(done.error()));
  }
  return std::move(reading.report);
}

}  // namespace sabir::secrets
