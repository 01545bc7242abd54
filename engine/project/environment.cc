// The keys of language.yml that are about a language's environment and about existing code.
#include "shape.h"

namespace sabir::project {
namespace {

// The mappings of the list under `key`, each read by `read` with its own pointer.
template <class Read>
Result<void> each_mapping(const json::object& object, const char* key, const std::vector<std::string>& known, const Shape& shape,
                          const Read& read) {
  const auto* list = object.if_contains(key);
  if (!list) return {};
  const std::string pointer = std::string("/") + key;
  if (!list->is_array()) return fail(shape.wrong(pointer, std::string(key) + " must be a list of mappings, not " + kind_of(*list)));
  for (std::size_t i = 0; i < list->get_array().size(); ++i) {
    const std::string at = pointer + "/" + std::to_string(i);
    const auto& value = list->get_array()[i];
    if (!value.is_object()) return fail(shape.wrong(at, "an entry of " + std::string(key) + " must be a mapping, not " + kind_of(value)));
    if (auto ok = refuse_unknown_keys(value.get_object(), known, shape.file, shape.positions, at); !ok) return ok;
    if (auto ok = read(value.get_object(), at); !ok) return ok;
  }
  return {};
}

// The text or list under `key`, which may be absent unless `required`.
Result<void> take(const json::object& object, const char* key, const std::string& at, const Shape& shape, std::string& target, bool required = false) {
  const auto* value = object.if_contains(key);
  if (!value) return required ? Result<void>(fail(shape.wrong(at, std::string("the key '") + key + "' is missing"))) : Result<void>();
  auto text = shape.text(*value, at + "/" + key);
  if (!text) return fail(std::move(text.error()));
  target = std::move(*text);
  return {};
}
Result<void> take(const json::object& object, const char* key, const std::string& at, const Shape& shape, std::vector<std::string>& target,
                  bool required = false) {
  const auto* value = object.if_contains(key);
  if (!value) return required ? Result<void>(fail(shape.wrong(at, std::string("the key '") + key + "' is missing"))) : Result<void>();
  auto texts = shape.texts(*value, at + "/" + key);
  if (!texts) return fail(std::move(texts.error()));
  target = std::move(*texts);
  return {};
}

Result<void> read_step(Language& language, const json::object& step, const std::string& at, const Shape& shape) {
  SetupStep read;
  if (auto ok = take(step, "files", at, shape, read.files, true); !ok) return ok;
  if (auto ok = take(step, "run", at, shape, read.run, true); !ok) return ok;
  if (read.files.empty() || read.run.empty()) return fail(shape.wrong(at, "'files' and 'run' must name something"));
  if (auto ok = take(step, "what", at, shape, read.what); !ok) return ok;
  if (auto ok = take(step, "choice", at, shape, read.choice); !ok) return ok;
  if (auto ok = take(step, "unless", at, shape, read.unless); !ok) return ok;
  if (auto ok = take(step, "makes", at, shape, read.makes); !ok) return ok;
  if (auto ok = take(step, "missing_hint", at, shape, read.missing_hint); !ok) return ok;
  if (const auto* variables = step.if_contains("environment")) {
    if (!variables->is_object()) return fail(shape.wrong(at + "/environment", "environment must be a mapping, not " + kind_of(*variables)));
    for (const auto& [name, value] : variables->get_object()) {
      auto text = shape.text(value, at + "/environment/" + std::string(name));
      if (!text) return fail(std::move(text.error()));
      read.environment[name] = std::move(*text);
    }
  }
  if (read.what.empty()) read.what = "installing what " + read.files.front() + " names";
  language.setup.push_back(std::move(read));
  return {};
}

Result<void> read_rule(Language& language, const json::object& rule, const std::string& at, const Shape& shape) {
  AdoptRule read;
  if (auto ok = take(rule, "what", at, shape, read.what, true); !ok) return ok;
  if (auto ok = take(rule, "files", at, shape, read.files, true); !ok) return ok;
  if (auto ok = take(rule, "content", at, shape, read.content); !ok) return ok;
  if (auto ok = take(rule, "also", at, shape, read.also); !ok) return ok;
  const auto* source = rule.if_contains("source");
  if (!source || !source->is_object()) return fail(shape.wrong(at, "a rule needs 'source', an entry of sabir.yml's sources"));
  read.source = source->get_object();
  language.adopt.push_back(std::move(read));
  return {};
}

}  // namespace

Result<void> read_environment(Language& language, const json::object& object, const Shape& shape) {
  auto ok = each_mapping(object, "setup", {"files", "run", "what", "choice", "unless", "makes", "missing_hint", "environment"}, shape,
                         [&](const json::object& step, const std::string& at) { return read_step(language, step, at, shape); });
  if (!ok) return ok;
  ok = each_mapping(object, "pins", {"file", "key"}, shape, [&](const json::object& pin, const std::string& at) -> Result<void> {
    Pin read;
    if (auto taken = take(pin, "file", at, shape, read.file, true); !taken) return taken;
    if (auto taken = take(pin, "key", at, shape, read.key); !taken) return taken;
    language.pins.push_back(std::move(read));
    return {};
  });
  if (!ok) return ok;
  ok = each_mapping(object, "managers", {"name", "folders", "program", "prefixes", "install"}, shape,
                    [&](const json::object& manager, const std::string& at) -> Result<void> {
                      VersionManager read;
                      if (auto taken = take(manager, "name", at, shape, read.name, true); !taken) return taken;
                      if (auto taken = take(manager, "folders", at, shape, read.folders, true); !taken) return taken;
                      if (auto taken = take(manager, "program", at, shape, read.program, true); !taken) return taken;
                      if (auto taken = take(manager, "prefixes", at, shape, read.prefixes); !taken) return taken;
                      if (auto taken = take(manager, "install", at, shape, read.install, true); !taken) return taken;
                      language.managers.push_back(std::move(read));
                      return {};
                    });
  if (!ok) return ok;
  ok = each_mapping(object, "adopt", {"what", "files", "content", "also", "source"}, shape,
                    [&](const json::object& rule, const std::string& at) { return read_rule(language, rule, at, shape); });
  if (!ok) return ok;
  if (const auto* boot = object.if_contains("boot")) {
    if (*boot == "load") {
      language.loads_boot = true;
    } else {
      auto argv = shape.texts(*boot, "/boot");
      if (!argv) return fail(shape.wrong("/boot", "boot must be `load` or the command of a boot process, not " + kind_of(*boot)));
      language.boot = std::move(*argv);
    }
  }
  if (const auto* module = object.if_contains("module")) {
    if (*module != "folder" && *module != "file") return fail(shape.wrong("/module", "module must be file or folder, not " + kind_of(*module)));
    language.module_is_folder = *module == "folder";
  }
  return {};
}

}  // namespace sabir::project
