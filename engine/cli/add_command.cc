// sabir add: one more function, assistant, memory module or prompt with its test, from the language's own templates.
#include <algorithm>

#include "command.h"
#include "resources.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/bridge/bridge.h"
#include "sabir/project/project.h"

namespace sabir::cli {
namespace {
namespace fs = std::filesystem;

constexpr std::size_t kLongestName = 100;
constexpr std::uint64_t kFuel = 1'000'000;

struct Asked {
  std::string kind;
  std::string name;
  std::string language;
};

// "order_total" as "orderTotal" or "OrderTotal".
std::string camel(std::string_view snake, bool upper) {
  std::string out;
  for (const char c : snake) {
    if (c == '_') {
      upper = true;
    } else {
      out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
      upper = false;
    }
  }
  return out;
}

Result<void> check_name(const std::string& name) {
  const bool first = !name.empty() && ((name.front() >= 'a' && name.front() <= 'z') || (name.front() >= 'A' && name.front() <= 'Z'));
  const bool rest = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  if (first && rest && name.size() <= kLongestName) return {};
  return fail(ErrorCode::kUsage, "'" + name.substr(0, 40) + "' cannot be a module's name",
              "Begin with a letter, go on with letters, digits and '_': for instance order_total.");
}

Result<std::string> rendered(const std::string& text, const std::string& what, const std::string& variables) {
  sb_templates* const templates = sb_templates_new([](void*, sb_str, sb_str*) { return 0; }, nullptr, kFuel);
  sb_buf out{};
  const int code = sb_templates_render_text(templates, {what.data(), what.size()}, {text.data(), text.size()}, {variables.data(), variables.size()}, &out);
  std::string result(out.data, out.size);
  sb_free(out);
  sb_templates_free(templates);
  if (code == 0) return result;
  auto error = parse_json(result);
  return fail(ErrorCode::kConfig, "the template " + what + ": " + (error && error->is_object() ? std::string(string_or(error->get_object(), "message")) : result));
}

struct Source {
  std::string target;  // a template of the path in the kind's folder
  fs::path file;
};

// What to write: (path from the project's root, text). A prompt is of no language; what a language has for it is its test.
Result<std::vector<std::pair<std::string, std::string>>> files_for(const project::Project& project, const project::Language& language, const Asked& asked,
                                                                  const fs::path& resources) {
  const bool is_prompt = asked.kind == "prompt";
  std::vector<Source> sources;
  if (is_prompt) {
    sources.push_back({"{{ module }}.prompt", resources / "templates/prompt/prompt.prompt.j2"});
    sources.push_back({"tests/snapshots/{{ module }}.txt", resources / "templates/prompt/snapshot.txt.j2"});
  }
  const auto templates = language.templates.find(asked.kind);
  if (templates != language.templates.end()) {
    for (const auto& [target, source] : templates->second) sources.push_back({target, language.resources / "templates" / source});
  } else if (is_prompt) {
    sources.pop_back();  // nothing reads it
  } else {
    return fail(ErrorCode::kUnavailable, "the language " + language.name + " has no template for " + (asked.kind == "assistant" ? "an " : "a ") + asked.kind,
                "Write " + (asked.kind == "function" ? std::string("functions") : asked.kind == "assistant" ? std::string("assistants") : asked.kind) + "/" +
                    language.name + "/" + asked.name + language.extensions.front() + " by hand.");
  }
  std::string dashless = asked.name;
  std::replace(dashless.begin(), dashless.end(), '-', '_');
  const std::string snake = to_snake_case(dashless);
  const std::string variables = json::serialize(json::object{{"name", asked.name}, {"module", snake}, {"snake", snake}, {"camel", camel(snake, false)},
                                                             {"pascal", camel(snake, true)}, {"language", language.name}, {"project", project.name}});
  const std::string folder = is_prompt ? "completions/" : (asked.kind == "memory" ? "memory" : asked.kind + "s") + "/" + language.name + "/";
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [target, source] : sources) {
    auto path = rendered(target, "of a file name", variables);
    if (!path) return fail(std::move(path.error()));
    if (path->empty() || path->front() == '/' || path->find("..") != std::string::npos) {
      return fail(ErrorCode::kConfig, "languages/" + language.name + "/language.yml: the template's path '" + *path + "' leaves its folder");
    }
    auto text = read_file(source);
    if (!text) return fail(std::move(text.error()));
    auto body = rendered(*text, source.filename().string(), variables);
    if (!body) return fail(std::move(body.error()));
    if (!body->empty() && body->back() != '\n') *body += '\n';
    out.emplace_back(folder + *path, std::move(*body));
  }
  return out;
}

// The project's first that has templates for it; where none has, its first.
std::string first_language(const project::Project& project, const std::vector<project::Language>& languages, const std::string& kind) {
  for (const auto& name : project.preference) {
    const auto found = std::find_if(languages.begin(), languages.end(), [&](const auto& language) { return language.name == name; });
    if (found != languages.end() && found->templates.contains(kind)) return name;
  }
  return project.preference.empty() ? "python" : project.preference.front();
}

void add(Globals& globals, const Asked& asked) {
  if (auto named = check_name(asked.name); !named) return fail_with(globals, named.error());
  auto folder = resources();
  if (!folder) return fail_with(globals, folder.error());
  auto root = project::find_root(globals.session.directory.empty() ? fs::current_path() : globals.session.directory);
  if (!root) return fail_with(globals, root.error());
  auto languages = project::load_languages(*folder / "languages", *root);
  if (!languages) return fail_with(globals, languages.error());
  auto project = project::load(*root, globals.session.environment, *languages);
  if (!project) return fail_with(globals, project.error());
  std::string name = asked.language;
  if (name.empty()) name = first_language(*project, *languages, asked.kind);
  const auto language = std::find_if(languages->begin(), languages->end(), [&](const auto& l) { return l.name == name; });
  if (language == languages->end()) {
    std::vector<std::string> names;
    for (const auto& one : *languages) names.push_back(one.name);
    const std::string near = did_you_mean(name, names);
    return fail_with(globals, Error(ErrorCode::kUsage, "there is no language '" + name + "'", (near.empty() ? "" : near + " ") + "There are " + join(names, ", ") + "."));
  }
  auto files = files_for(*project, *language, asked, *folder);
  if (!files) return fail_with(globals, files.error());
  std::error_code ec;
  for (const auto& [relative, text] : *files) {
    if (!fs::exists(fs::symlink_status(*root / relative, ec))) continue;
    return fail_with(globals, Error(ErrorCode::kExists, relative + " is there already, and nothing was written", "Choose another name, or edit that file."));
  }
  json::array written;
  for (const auto& [relative, text] : *files) {
    fs::create_directories((*root / relative).parent_path(), ec);
    if (auto done = write_file(*root / relative, text); !done) return fail_with(globals, done.error());
    written.push_back(json::value(relative));
  }
  if (globals.json) return print_json({{"language", language->name}, {"files", written}});
  for (const auto& file : written) print("wrote  " + std::string(file.get_string()));
  const std::string module = to_snake_case(asked.name);
  print("\nNext:\n  " + std::string(asked.kind == "assistant" ? "sabir chat " : asked.kind == "prompt" ? "sabir prompt render " : "sabir functions ") + module +
        (asked.kind == "prompt" ? " question=\"Where is it?\"" : "") + "\n  sabir test");
}

}  // namespace

void add_adding_command(Command& app, Globals& globals) {
  auto* const adding = app.add_subcommand("add", "Write one more function, assistant, memory module or prompt, with its test.");
  auto asked = std::make_shared<Asked>();
  add_common(*adding, globals);
  adding->add_option("KIND", asked->kind, "function, assistant, memory or prompt").required();
  adding->add_option("NAME", asked->name, "the module's name: order_total").required();
  adding->add_option("-l,--language", asked->language, "in which language (a prompt: its test); by default the project's first");
  adding->callback([&globals, asked] {
    if (asked->kind != "function" && asked->kind != "assistant" && asked->kind != "memory" && asked->kind != "prompt") {
      return fail_with(globals, Error(ErrorCode::kUsage, "'" + asked->kind + "' is nothing that can be added", "Say function, assistant, memory or prompt."));
    }
    add(globals, *asked);
  });
}

}  // namespace sabir::cli
