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
    model.summary = string_or(entry, "summary");
    model.file = string_or(entry, "file");
    if (!is_file_name(model.file) || !model.file.ends_with(".gguf")) return where("`file` is not a plain .gguf file name");
    const auto* bytes = entry.if_contains("bytes");
    if (bytes == nullptr || !bytes->is_int64() || bytes->get_int64() <= 0) return where("`bytes` is not a size");
    model.bytes = static_cast<std::uint64_t>(bytes->get_int64());
    model.sha256 = string_or(entry, "sha256");
    if (!is_sha256(model.sha256)) return where("`sha256` is not 64 lower-case hexadecimal digits");
    model.licence = string_or(entry, "licence");
    if (model.licence.empty()) return where("it names no licence");
    model.licence_note = string_or(entry, "licence_note");
    if (const auto* context = entry.if_contains("context"); context != nullptr && context->is_int64()) {
      model.context = static_cast<int>(context->get_int64());
    }
    const auto* parts = entry.if_contains("parts");
    if (parts == nullptr || !parts->is_array() || parts->get_array().empty()) return where("no parts");
    for (const auto& part : parts->get_array()) {
      if (!part.is_object()) return where("a part is not an object");
      CatalogPart read{std::string(string_or(part.get_object(), "package")), std::string(string_or(part.get_object(), "version")),
                       std::string(string_or(part.get_object(), "member"))};
      if (!is_file_name(read.package) || !is_file_name(read.version) || read.member.empty()) return where("a part lacks package, version or member");
      model.parts.push_back(std::move(read));
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
