#include "shape.h"

#include <cmath>

#include "sabir/base/text.h"

namespace sabir::evals {

std::string kind_of(const json::value& value) {
  if (value.is_null()) return "nothing";
  if (value.is_bool()) return value.get_bool() ? "true" : "false";
  if (value.is_number()) return "the number " + compact_json(value);
  if (value.is_array()) return "a list";
  if (value.is_object()) return "a mapping";
  std::string text(value.get_string());
  return text.size() > 40 ? "a text" : "the text '" + text + "'";
}

namespace {
std::string shown(double x) { return compact_json(x == std::trunc(x) && std::abs(x) < 1e15 ? json::value(static_cast<std::int64_t>(x)) : json::value(x)); }
}  // namespace

std::string below(const std::string& pointer, std::string_view key) {
  std::string out = pointer + "/";
  for (const char c : key) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

std::pair<int, int> Shape::at(const std::string& pointer) const { return line > 0 ? std::pair(line, 0) : project::position_of(positions, pointer); }

Error Shape::wrong(const std::string& pointer, std::string message, std::string hint) const {
  const auto [row, column] = at(pointer);
  return Error(ErrorCode::kConfig, std::move(message), std::move(hint)).at(file, row, column);
}

Result<void> Shape::only(const json::object& object, const std::vector<std::string>& known, const std::string& pointer) const {
  if (line == 0) return project::refuse_unknown_keys(object, known, file, positions, pointer);
  for (const auto& member : object) {
    const std::string key(member.key());
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    return fail(wrong(pointer, "unknown key '" + key + "'", did_you_mean(key, known)));
  }
  return {};
}

Result<std::optional<std::string>> Shape::text(const json::object& object, const char* key, const std::string& pointer) const {
  const auto* value = object.if_contains(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) return fail(wrong(below(pointer, key), std::string(key) + " must be a text, not " + kind_of(*value), "Put it between quotes."));
  return std::string(value->get_string());
}

Result<std::optional<double>> Shape::number(const json::object& object, const char* key, const std::string& pointer, double least, double most) const {
  const auto* value = object.if_contains(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) return fail(wrong(below(pointer, key), std::string(key) + " must be a number, not " + kind_of(*value)));
  const auto x = value->to_number<double>();
  if (!(x >= least && x <= most)) return fail(wrong(below(pointer, key), std::string(key) + " must lie between " + shown(least) + " and " + shown(most) + ", and is " + compact_json(*value)));
  return x;
}

Result<std::optional<std::int64_t>> Shape::whole(const json::object& object, const char* key, const std::string& pointer, std::int64_t least, std::int64_t most) const {
  const auto* value = object.if_contains(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_int64()) return fail(wrong(below(pointer, key), std::string(key) + " must be a whole number, not " + kind_of(*value)));
  if (value->get_int64() < least || value->get_int64() > most) {
    return fail(wrong(below(pointer, key), std::string(key) + " must lie between " + std::to_string(least) + " and " + std::to_string(most) + ", and is " + compact_json(*value)));
  }
  return value->get_int64();
}

Result<std::optional<std::int64_t>> Shape::duration_ms(const json::object& object, const char* key, const std::string& pointer) const {
  const auto* value = object.if_contains(key);
  if (value == nullptr) return std::nullopt;
  std::string words;
  if (value->is_string()) words = value->get_string();
  else if (value->is_number()) words = compact_json(*value);
  const auto ms = project::parse_duration_ms(words);
  if (!ms) return fail(wrong(below(pointer, key), std::string(key) + " must be a time, such as 500ms, 5s or 2m, not " + kind_of(*value)));
  return *ms;
}

Result<std::optional<json::object>> Shape::mapping(const json::object& object, const char* key, const std::string& pointer) const {
  const auto* value = object.if_contains(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) return fail(wrong(below(pointer, key), std::string(key) + " must be a mapping, not " + kind_of(*value)));
  return value->get_object();
}

Result<std::vector<std::string>> Shape::texts(const json::object& object, const char* key, const std::string& pointer) const {
  std::vector<std::string> out;
  const auto* value = object.if_contains(key);
  if (value == nullptr) return out;
  const auto add = [&](const json::value& one, const std::string& place) -> Result<void> {
    if (one.is_string()) out.emplace_back(one.get_string());
    else if (one.is_number()) out.push_back(compact_json(one));
    else return fail(wrong(place, std::string(key) + " must be a text or a list of texts, not " + kind_of(one)));
    return {};
  };
  if (!value->is_array()) {
    if (auto ok = add(*value, below(pointer, key)); !ok) return fail(std::move(ok.error()));
    return out;
  }
  for (std::size_t i = 0; i < value->get_array().size(); ++i) {
    if (auto ok = add(value->get_array()[i], below(below(pointer, key), std::to_string(i))); !ok) return fail(std::move(ok.error()));
  }
  return out;
}

}  // namespace sabir::evals
