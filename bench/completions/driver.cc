// Renders one prompt as the engine does, again and again, for bench/completions.py, which Jinja2 takes turns with.
//
//   bench_completions ROOT NAME < rounds
//
// Reads lines from standard input and answers each with the microseconds of processor time that one took:
//   render N VARIABLES   N renderings, from the JSON text of the variables to the rendered bytes
//   parse N              N readings of the template and the part that it includes, as after an edit
//   text VARIABLES       the rendered text, as a JSON string
#include <time.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <sstream>

#include "sabir/base/json.h"
#include "sabir/bridge/bridge.h"
#include "sabir/completions/renderer.h"

namespace {

using namespace sabir;

[[noreturn]] void die(const std::string& why) {
  std::cerr << "bench_completions: " << why << "\n";
  std::_Exit(2);
}

double processor_us() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

completions::Rendered rendered(const completions::Renderer& renderer, const std::string& name, const std::string& variables) {
  auto result = renderer.render_json(name, variables);
  if (!result) die(to_text(result.error()));
  return std::move(*result);
}

// Texts by name, each as new: nothing that was parsed before serves again.
struct Texts {
  std::filesystem::path folder;
  std::map<std::string, std::string> by_name;
  std::uint64_t version = 0;

  static int load(void* self, sb_str name, sb_str* text, std::uint64_t* version) {
    auto* texts = static_cast<Texts*>(self);
    const std::string asked(name.data, name.size);
    auto& known = texts->by_name[asked];
    if (known.empty()) {
      std::ifstream file(texts->folder / asked, std::ios::binary);
      known.assign(std::istreambuf_iterator<char>(file), {});
    }
    *text = {known.data(), known.size()};
    *version = ++texts->version;
    return 1;
  }
};

double parse(Texts& texts, const std::vector<std::string>& names, int count) {
  sb_templates* const templates = sb_templates_keeping(1'000'000, {nullptr, 0});
  const sb_reading reading{&Texts::load, nullptr, &texts, {nullptr, 0}, nullptr, {nullptr, 0}};
  for (const auto& name : names) {
    sb_str ignored{};
    std::uint64_t version = 0;
    Texts::load(&texts, {name.data(), name.size()}, &ignored, &version);
  }
  const double begin = processor_us();
  for (int i = 0; i < count; ++i) {
    for (const auto& name : names) {
      sb_buf out{nullptr, 0};
      if (sb_templates_parse_kept(templates, &reading, {name.data(), name.size()}, &out) != 0) die(std::string(out.data, out.size));
      sb_free(out);
    }
  }
  const double took = processor_us() - begin;
  sb_templates_free(templates);
  return took / count;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) die("usage: bench_completions ROOT NAME FILES…");
  const std::filesystem::path root = argv[1];
  const std::string name = argv[2];
  const std::vector<std::string> files(argv + 3, argv + argc);
  const completions::Renderer renderer(root);
  Texts texts{root / "completions", {}, 0};
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string what;
    int count = 1;
    words >> what;
    if (what != "text") words >> count;
    std::string variables;
    std::getline(words >> std::ws, variables);
    if (what == "render") {
      const double begin = processor_us();
      for (int i = 0; i < count; ++i) {
        if (rendered(renderer, name, variables).text.empty()) die("nothing was rendered");
      }
      std::cout << (processor_us() - begin) / count << std::endl;
    } else if (what == "parse") {
      std::cout << parse(texts, files, count) << std::endl;
    } else if (what == "text") {
      std::cout << json::serialize(json::value(rendered(renderer, name, variables).text)) << std::endl;
    } else {
      die("what is '" + what + "'?");
    }
  }
}
