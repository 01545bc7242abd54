#include <algorithm>

#include "sabir/base/text.h"
#include "sabir/models/model_store.h"

namespace sabir::models {
namespace {

// A name that is safe as a file's: no separators, no leading dot.
bool is_file_name(std::string_view name) {
  if (name.empty() || name.size() > 200 || name.front() == '.' || name.front() == '-') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

Result<Catalog> Catalog::from_json(const json::value& value, const std::string& shown) {
  const auto wrong = [&](const std::string& what) { return fail(Error(ErrorCode::kConfig, shown + ": " + what).at(shown)); };
  if (!value.is_object()) return wrong("not an object");
  const auto& object = value.get_object();
  if (const auto* format = object.if_contains("format"); format == nullptr || *format != json::value(1)) {
    return wrong("its format is not 1, the only one this engine reads");
  }
  Catalog catalog;
  catalog.default_name = string_or(object, "default");
  const auto* list = object.if_contains("models");
  if (list == nullptr || !list->is_array()) return wrong("no list of models");
  for (const auto& item : list->get_array()) {
    if (!item.is_object()) return wrong("a model is not an object");
    const auto& entry = item.get_object();
    CatalogModel model;
    model.name = string_or(entry, "name");
    const auto where = [&](const std::string& what) { return wrong("model '" + model.name + "': " + what); };
    if (!is_file_name(model.name) || model.name == "default") return where("bad name");
    model.summary = string_or(entry, "title");
    model.file = string_or(entry, "file");
    if (!is_file_name(model.file) || !model.file.ends_with(".gguf")) return where("`file` is not a plain .gguf file name");
    const auto* bytes = entry.if_contains("bytes");
    if (bytes == nullptr || !bytes->is_int64() || bytes->get_int64() <= 0) return where("`bytes` is not a size");
    model.bytes = static_cast<std::uint64_t>(bytes->get_int64());
    model.sha256 = string_or(entry, "sha256");
    if (!is_sha256(model.sha256)) return where("`sha256` is not 64 lower-case hexadecimal digits");
    model.licence = string_or(entry, "licence");
    if (model.licence.empty()) return where("it names no licence");
    model.licence_note = string_or(entry, "licence_url");
    if (const auto* context = entry.if_contains("context"); context != nullptr && context->is_int64()) {
      model.context = static_cast<int>(context->get_int64());
    }
    const auto* source = entry.if_contains("source");
    if (source == nullptr || !source->is_object()) return where("no source");
    const auto& from = source->get_object();
    if (string_or(from, "kind") != "pypi" || string_or(from, "assemble", "concat") != "concat") {
      return where("its source is of a kind that this engine does not know");
    }
    const auto* globs = from.if_contains("member_globs");
    const bool one_glob = globs != nullptr && globs->is_array() && globs->get_array().size() == 1 && globs->get_array().front().is_string();
    if (!one_glob) return where("`member_globs` is not one pattern");
    const auto* packages = from.if_contains("packages");
    if (packages == nullptr || !packages->is_array() || packages->get_array().empty()) return where("no packages");
    for (const auto& package : packages->get_array()) {
      const std::string_view pinned = package.is_string() ? std::string_view(package.get_string()) : std::string_view{};
      const std::size_t equals = pinned.find("==");
      CatalogPart part{std::string(pinned.substr(0, equals)), equals == std::string_view::npos ? "" : std::string(pinned.substr(equals + 2)),
                       std::string(globs->get_array().front().get_string())};
      if (!is_file_name(part.package) || !is_file_name(part.version)) return where("a package is not NAME==VERSION");
      model.parts.push_back(std::move(part));
    }
    catalog.models.push_back(std::move(model));
  }
  if (catalog.default_name.empty() && !catalog.models.empty()) catalog.default_name = catalog.models.front().name;
  return catalog;
}

Result<const CatalogModel*> Catalog::find(const std::string& name) const {
  const std::string& wanted = name == "default" ? default_name : name;
  std::vector<std::string> names;
  for (const auto& model : models) {
    if (model.name == wanted) return &model;
    names.push_back(model.name);
  }
  const std::string near = did_you_mean(wanted, names);
  return fail(ErrorCode::kNotFound, "the catalog has no model '" + wanted + "'",
              near.empty() ? "`sabir model list` shows what there is; a .gguf file of your own may be named by its path." : near);
}

}  // namespace sabir::models
