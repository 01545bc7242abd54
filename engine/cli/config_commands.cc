// sabir config show | schema | reference.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "command.h"
#include "config_schemas.h"
#include "sabir/base/text.h"
#include "sabir/project/configuration.h"
#include "sabir/project/secret_settings.h"
#include "sabir/secrets/secrets.h"

namespace sabir::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string file;
  bool explain = false;
  bool write = false;
};

constexpr const char* kMasked = "[masked]";

Result<const project::ConfigFile*> file_of(const std::string& name) {
  if (const auto* file = project::find_config_file(name)) return file;
  std::vector<std::string> names;
  for (const auto& file : project::config_files()) names.push_back(file.path);
  std::string hint = did_you_mean(name, names);
  return fail(ErrorCode::kUsage, "there is no configuration file '" + name + "'", hint.empty() ? "There are " + join(names, ", ") + "." : hint);
}

// What is known to be a secret's value is not shown, whatever the key is called.
class Mask {
 public:
  Mask(const fs::path& root, const std::string& environment) {
    if (auto settings = project::read_secret_settings(root, environment)) {
      secrets_.emplace(root, std::move(*settings));
      secrets_->install_redactor();
    }
  }
  // Values of the environment are known by the names that files have for them.
  void learn(const project::Configuration& configuration) {
    if (!secrets_ || secrets_->may_wait()) return;
    for (const auto& named : project::secrets_named(configuration)) [[maybe_unused]] const auto known = secrets_->resolve(named.name);
  }
  json::value shown(const project::Effective& one) const { return one.is_secret ? json::value(kMasked) : clean(one.value); }
  json::value clean(const json::value& value) const {
    if (!secrets_) return value;
    if (value.is_string()) return json::value(secrets_->redactor()->redact(std::string_view(value.get_string())));
    json::value out = value;
    if (out.is_array()) {
      for (auto& item : out.get_array()) item = clean(item);
    } else if (out.is_object()) {
      for (auto& member : out.get_object()) member.value() = clean(member.value());
    }
    return out;
  }

 private:
  std::optional<secrets::Secrets> secrets_;
};

std::string origin(const project::Effective& one) {
  if (one.source == "default") return "default";
  std::string out = one.file + ":" + std::to_string(one.line) + ":" + std::to_string(one.column);
  if (!one.variables.empty()) out += ", environment variable " + join(one.variables, ", ");
  return out;
}

std::string plain(const json::value& value) {
  if (value.is_string()) {
    const std::string text(value.get_string());
    return !text.empty() && text.find('\n') == std::string::npos ? text : compact_json(value);
  }
  return compact_json(value);
}

// The effective values under their pointers, the masked ones as such: a default has no place in it.
void put(json::value& whole, const project::Effective& one, json::value shown) {
  boost::system::error_code ec;
  if (auto* at = whole.find_pointer(one.pointer, ec); at != nullptr && !ec) *at = std::move(shown);
}

void show(Globals& globals, const Options& options) {
  auto root = project::find_root(globals.session.directory.empty() ? fs::current_path() : fs::path(globals.session.directory));
  if (!root) return fail_with(globals, root.error());
  std::vector<const project::ConfigFile*> files;
  if (options.file.empty()) {
    for (const auto& file : project::config_files()) files.push_back(&file);
  } else {
    auto file = file_of(options.file);
    if (!file) return fail_with(globals, file.error());
    files.push_back(*file);
  }
  Mask mask(*root, globals.session.environment);
  json::object all{{"environment", globals.session.environment}};
  json::array listed;
  std::vector<Error> problems;
  bool first = true;
  for (const auto* file : files) {
    auto read = project::read_configuration(*root, *file, globals.session.environment);
    if (!read) {
      problems.push_back(std::move(read.error()));
      continue;
    }
    problems.insert(problems.end(), read->problems.begin(), read->problems.end());
    mask.learn(*read);
    // A file that is not there says nothing; asked for by name, its defaults are told.
    if (!read->exists() && options.file.empty()) continue;
    const auto values = project::effective_values(*read);
    json::array names;
    for (const auto& name : read->files) names.emplace_back(name);
    json::object one{{"file", file->path}, {"files", std::move(names)}};
    if (options.explain) {
      json::array rows;
      for (const auto& value : values) {
        json::object row{{"key", value.key}, {"value", mask.shown(value)}, {"source", value.source}};
        if (!value.file.empty()) {
          row["file"] = value.file;
          row["line"] = value.line;
          row["column"] = value.column;
        }
        if (!value.variables.empty()) {
          json::array variables;
          for (const auto& name : value.variables) variables.emplace_back(name);
          row["variables"] = std::move(variables);
        }
        if (value.is_secret) row["masked"] = true;
        if (!value.meaning.empty()) row["meaning"] = value.meaning;
        rows.push_back(std::move(row));
      }
      one["values"] = std::move(rows);
    } else {
      json::value whole = mask.clean(json::value(read->value));
      for (const auto& value : values) {
        if (value.is_secret) put(whole, value, kMasked);
      }
      one["configuration"] = std::move(whole);
    }
    listed.push_back(std::move(one));
    if (globals.json) continue;
    if (!first) print("");
    first = false;
    std::vector<std::string> present = read->files;
    print(styled(present.empty() ? file->path + " (not there)" : join(present, ", "), "1"));
    std::size_t width = 0;
    for (const auto& value : values) {
      if (options.explain || value.source != "default") width = std::max(width, std::min<std::size_t>(value.key.size(), 48));
    }
    for (const auto& value : values) {
      if (!options.explain && value.source == "default") continue;
      std::string text = plain(mask.shown(value));
      // A default that is no value stands in parentheses.
      if (!options.explain) {
        print("  " + padded(value.key, width, false) + "  " + text);
        continue;
      }
      print("  " + padded(value.key, width, false) + "  " + text + "  " + styled(origin(value), "2"));
    }
  }
  if (globals.json && problems.empty()) {
    all["files"] = std::move(listed);
    print_json(all);
  }
  if (problems.empty()) return;
  if (globals.json) return fail_with(globals, problems.front());
  for (const auto& problem : problems) fail_with(globals, problem);
}

void schema(Globals& globals, const Options& options) {
  if (options.write) {
    auto root = project::find_root(globals.session.directory.empty() ? fs::current_path() : fs::path(globals.session.directory));
    if (!root) return fail_with(globals, root.error());
    auto written = write_config_schemas(*root);
    if (!written) return fail_with(globals, written.error());
    json::array names;
    for (const auto& file : project::config_files()) names.emplace_back(schema_path(file));
    if (globals.json) return print_json(json::object{{"written", std::move(names)}});
    for (const auto& name : names) print(std::string_view(name.as_string()));
    return;
  }
  if (options.file.empty()) return fail_with(globals, Error(ErrorCode::kUsage, "which file's schema?", "For instance: sabir config schema openai_config, or --write for all of them."));
  auto file = file_of(options.file);
  if (!file) return fail_with(globals, file.error());
  print(pretty_json(project::json_schema(**file)));
}

}  // namespace

void add_config_commands(Command& app, Globals& globals) {
  auto* const config = app.add_subcommand("config", "The project's configuration files: which values hold, and what keys there are.");
  config->require_subcommand();
  auto options = std::make_shared<Options>();
  auto* const showing = config->add_subcommand("show", "Print the values that hold in an environment; --explain says where each comes from.");
  showing->add_option("file", options->file, "sabir.yml, openai_config, … (default: all that are there)");
  showing->add_flag("--explain", options->explain, "with each value's file, line and column, its variable of the environment, or that it is a default; defaults too");
  add_common(*showing, globals);
  showing->callback([&globals, options] { show(globals, *options); });
  auto* const schemas = config->add_subcommand("schema", "Print a file's JSON Schema, for editors.");
  schemas->add_option("file", options->file, "sabir.yml, openai_config, …");
  schemas->add_flag("--write", options->write, "write those of all files to .sabir/schemas, where the files' first lines look for them");
  add_common(*schemas, globals);
  schemas->callback([&globals, options] { schema(globals, *options); });
  auto* const reference = config->add_subcommand("reference", "Print the reference of all keys, as docs/config.md has it.");
  add_common(*reference, globals);
  reference->callback([&globals] {
    if (globals.json) {
      json::object all;
      for (const auto& file : project::config_files()) all[file.path] = project::json_schema(file);
      return print_json(all);
    }
    std::string page = project::reference_page();
    page.pop_back();
    print(page);
  });
}

}  // namespace sabir::cli
