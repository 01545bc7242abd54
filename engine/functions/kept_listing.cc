#include "sabir/functions/kept_listing.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "sabir/base/file.h"
#include "sabir/base/text.h"

namespace sabir::functions {
namespace fs = std::filesystem;
namespace {

constexpr int kFormat = 1;
constexpr std::size_t kMostStamps = 20'000;
constexpr std::size_t kMostKept = std::size_t{64} << 20U;
constexpr std::size_t kMostYaml = std::size_t{1} << 20U;  // as read_yaml bounds it
constexpr const char* kEngine = "/proc/self/exe";

// The file; nothing for a name that no environment can have.
std::optional<fs::path> kept_file(const ListingPlace& place) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; };
  if (place.environment.empty() || place.environment.size() > 32 || !std::all_of(place.environment.begin(), place.environment.end(), plain)) return std::nullopt;
  return place.root / ".sabir" / "described" / (place.environment + ".listing");
}

// The languages' folders, whatever is in them but what interpreters keep there.
void add_language_folders(const fs::path& folder, Inputs& inputs) {
  std::error_code error;
  inputs.add(folder, fs::exists(folder, error));
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    inputs.places.insert(it->path());
    std::error_code ignored;
    if (!fs::is_directory(it->path(), ignored)) continue;
    inputs.contents.insert(it->path());
    for (fs::recursive_directory_iterator in(it->path(), ignored), last; !ignored && in != last && inputs.contents.size() <= kMostStamps; in.increment(ignored)) {
      const auto name = in->path().filename();
      if (in->is_symlink()) inputs.places.insert(in->path());
      if (name == "__pycache__") {
        in.disable_recursion_pending();
      } else if (std::error_code none; fs::exists(in->path(), none)) {
        inputs.contents.insert(in->path());
      }
    }
  }
}

// The variables that a YAML file names, as ${NAME} or as part of a path.
void add_variables(const fs::path& file, std::set<std::string>& names) {
  const auto text = read_file(file, kMostYaml);
  if (!text) return;
  const auto in_name = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  for (std::size_t at = text->find('$'); at != std::string::npos; at = text->find('$', at + 1)) {
    const std::size_t begin = at + 1 < text->size() && (*text)[at + 1] == '{' ? at + 2 : at + 1;
    std::size_t end = begin;
    while (end < text->size() && in_name((*text)[end])) ++end;
    if (end > begin) names.insert(text->substr(begin, end - begin));
  }
}

std::set<std::string> variables_of(const Inputs& inputs) {
  std::set<std::string> names{"HOME"};
  for (const auto& path : inputs.contents) {
    const std::string name = path.filename().string();
    if (name == "language.yml" || (name.ends_with(".yml") && (name.starts_with("sabir.") || name.starts_with("mcp.")))) add_variables(path, names);
  }
  return names;
}

// Their values are not kept: one may be a secret.
std::string fingerprint_of_variables(const json::array& names) {
  std::string all;
  for (const auto& name : names) {
    if (!name.is_string()) return "";
    const char* const value = std::getenv(std::string(name.get_string()).c_str());
    all += std::string(name.get_string()) + (value ? std::string("=") + value : "") + '\0';
  }
  return fingerprint(all);
}

bool all_hold(const json::object& head, const char* kind, Stamp (*stamp)(const fs::path&)) {
  const auto* stamps = head.if_contains(kind);
  if (!stamps || !stamps->is_object() || stamps->get_object().size() > kMostStamps) return false;
  return std::all_of(stamps->get_object().begin(), stamps->get_object().end(), [&](const auto& one) {
    return one.value().is_string() && !one.value().get_string().empty() && std::string_view(one.value().get_string()) == stamp(std::string(one.key())).text;
  });
}

}  // namespace

std::optional<Listing> kept_listing(const ListingPlace& place) {
  const auto file = kept_file(place);
  if (!file) return std::nullopt;
  auto text = read_file(*file, kMostKept);
  if (!text) return std::nullopt;
  // Three lines: what the rest has to be, what it was made from, the listing.
  const std::size_t first = text->find('\n');
  const std::size_t second = first == std::string::npos ? first : text->find('\n', first + 1);
  if (second == std::string::npos || text->substr(0, first) != "sabir-listing " + std::to_string(kFormat) + " " + fingerprint_of_content(std::string_view(*text).substr(first + 1))) {
    return std::nullopt;
  }
  auto value = parse_json(std::string_view(*text).substr(first + 1, second - first - 1));
  if (!value || !value->is_object()) return std::nullopt;
  const auto& head = value->get_object();
  const auto* user = head.if_contains("user");
  const auto* variables = head.if_contains("variables");
  const auto* warnings = head.if_contains("warnings");
  if (string_or(head, "version") != SABIR_VERSION || string_or(head, "root") != place.root.string() || string_or(head, "resources") != place.resources.string() ||
      string_or(head, "environment") != place.environment || !user || *user != static_cast<std::int64_t>(::geteuid()) || !variables || !variables->is_array() ||
      string_or(head, "values") != fingerprint_of_variables(variables->get_array()) || !warnings || !warnings->is_array() ||
      !all_hold(head, "contents", stamp_of_content) || !all_hold(head, "places", stamp_of_place)) {
    return std::nullopt;
  }
  Listing out;
  for (const auto& warning : warnings->get_array()) {
    if (warning.is_string()) out.warnings.emplace_back(warning.get_string());
  }
  text->erase(0, second + 1);
  out.json = std::move(*text);
  return out;
}

void keep_listing(const ListingPlace& place, const project::Project& project, const Registry& registry, const Listing& listing,
                  std::chrono::system_clock::time_point begun) {
  const auto file = kept_file(place);
  if (!file || !registry.is_settled()) return;
  Inputs inputs = registry.inputs();
  add_language_folders(place.resources / "languages", inputs);
  add_language_folders(place.root / "languages", inputs);
  inputs.contents.insert(kEngine);
  std::error_code error;
  for (const auto& grants : {place.root / "config" / "grants.yml", place.root / "config" / ("grants." + place.environment + ".yml")}) inputs.add(grants, fs::exists(grants, error));
  if (inputs.contents.size() + inputs.missing.size() > kMostStamps || inputs.places.size() > kMostStamps) return;

  json::object contents;
  json::object places;
  for (const auto& path : inputs.contents) {
    const Stamp stamp = stamp_of_content(path);
    if (stamp.text == "-" || !is_settled(stamp, begun)) return;
    contents[path.string()] = stamp.text;
  }
  for (const auto& path : inputs.missing) {
    const Stamp stamp = stamp_of_content(path);
    if (stamp.text != "-" || inputs.contents.contains(path)) return;
    contents[path.string()] = stamp.text;
  }
  for (const auto& path : inputs.places) {
    const Stamp stamp = stamp_of_place(path);
    if (!is_settled(stamp, begun)) return;
    places[path.string()] = stamp.text;
  }
  json::array variables;
  for (const auto& name : variables_of(inputs)) variables.push_back(json::value(name));
  json::array warnings;
  for (const auto& warning : project.warnings) warnings.push_back(json::value(warning));
  const std::string values = fingerprint_of_variables(variables);
  json::object head{{"version", SABIR_VERSION}, {"root", place.root.string()}, {"resources", place.resources.string()}, {"environment", place.environment},
                    {"user", static_cast<std::int64_t>(::geteuid())}, {"variables", std::move(variables)}, {"values", values},
                    {"warnings", std::move(warnings)}, {"contents", std::move(contents)}, {"places", std::move(places)}};
  const std::string rest = compact_json(head) + "\n" + listing.json;
  if (rest.size() + 100 > kMostKept) return;
  fs::create_directories(file->parent_path(), error);
  (void)write_file(*file, "sabir-listing " + std::to_string(kFormat) + " " + fingerprint_of_content(rest) + "\n" + rest);
}

}  // namespace sabir::functions
