#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <optional>
#include <vector>

#include "sabir/adapter/exec_worker.h"
#include "sabir/base/json.h"
#include "sabir/base/text.h"
#include "sabir/process/spawn.h"
#include "sabir/schema/shell.h"

namespace sabir::adapter {
namespace {

struct Text {
  std::string path;
  std::string source;
};

struct Wrong {
  std::string message;
  int line = 0;
};

// `bash: line 3: syntax error near …` of a text on standard input.
Wrong wrong_of(const std::string& errors) {
  Wrong wrong;
  for (const auto line : split_lines(errors)) {
    const std::size_t mark = line.find("line ");
    const std::size_t colon = mark == std::string_view::npos ? mark : line.find(':', mark);
    if (colon == std::string_view::npos) continue;
    const int number = std::atoi(std::string(line.substr(mark + 5, colon - mark - 5)).c_str());
    const auto message = trim(line.substr(colon + 1));
    if (number <= 0 || message.starts_with('`')) continue;
    // The first says where it is, except for what never ends: there the last line is the file's.
    if (wrong.line == 0) wrong = {std::string(message), number};
  }
  if (wrong.message.empty()) wrong.message = trim(errors).empty() ? "bash cannot read it" : std::string(trim(errors));
  return wrong;
}

// Has `interpreter -n` read a text; nothing where it is good.
std::optional<Wrong> check(const std::string& interpreter, const std::string& source) {
  process::SpawnSpec spec;
  // -p: no functions and no options from the environment. What extglob allows is no error.
  spec.argv = {interpreter, "-p", "-n", "-O", "extglob"};
  spec.environment = process::environment_with({{"LC_ALL", "C.UTF-8"}, {"BASH_ENV", ""}});
  spec.input = source.empty() ? "\n" : source;
  auto run = process::run(std::move(spec), std::chrono::seconds(10));
  if (!run) return Wrong{run.error().message, 0};
  if (run->timed_out) return Wrong{"bash took more than 10 s to read it", 0};
  if (run->status.code == 0 && run->status.signal == 0) return std::nullopt;
  return wrong_of(run->output);
}

// Those of `texts` that bash cannot read, by their index. Texts that are closed in themselves are read together, since
// starting bash costs more than reading does.
void check_all(const std::string& interpreter, const std::vector<Text>& texts, std::vector<std::optional<Wrong>>& wrong) {
  std::vector<std::size_t> together;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (schema::shell_text_is_closed(texts[i].source)) together.push_back(i);
    else wrong[i] = check(interpreter, texts[i].source);
  }
  while (!together.empty()) {
    std::string all;
    std::vector<int> ends;  // the last line of each
    int lines = 0;
    for (const auto i : together) {
      all += texts[i].source;
      if (!all.ends_with('\n')) all += '\n';
      lines = static_cast<int>(std::count(all.begin(), all.end(), '\n'));
      ends.push_back(lines);
      if (together.size() == 1) break;
    }
    const auto told = check(interpreter, all);
    if (!told) return;
    std::size_t at = 0;
    while (at + 1 < ends.size() && told->line > ends[at]) ++at;
    // Alone it says its own line; those before it were good.
    wrong[together[at]] = together.size() == 1 ? told : check(interpreter, texts[together[at]].source);
    together.erase(together.begin(), together.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

}  // namespace

int run_describe_shell(const std::string& interpreter) {
  const std::string input((std::istreambuf_iterator<char>(std::cin)), {});
  auto asked = parse_json(input);
  const auto* files = asked && asked->is_object() ? asked->get_object().if_contains("files") : nullptr;
  if (!files || !files->is_array()) {
    std::cerr << "sabir: describe-shell reads {\"version\": 1, \"files\": […]} (spec/describe.md)\n";
    return 2;
  }
  std::vector<Text> texts;
  for (const auto& one : files->get_array()) {
    const json::object none;
    const auto& file = one.is_object() ? one.get_object() : none;
    texts.push_back({std::string(string_or(file, "path")), std::string(string_or(file, "source"))});
  }
  std::vector<std::optional<Wrong>> wrong(texts.size());
  check_all(interpreter, texts, wrong);
  json::array answers;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (wrong[i]) {
      answers.push_back({{"path", texts[i].path}, {"error", {{"message", wrong[i]->message}, {"line", wrong[i]->line}, {"column", 0}}}});
    } else {
      answers.push_back(schema::describe_shell(texts[i].source, texts[i].path));
    }
  }
  std::cout << compact_json(json::object{{"version", 1}, {"files", std::move(answers)}}) << "\n";
  return std::cout.good() ? 0 : 1;
}

}  // namespace sabir::adapter
