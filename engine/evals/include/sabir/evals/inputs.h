// Inputs of functions from their JSON Schemas: the ground that several schemas have in common, values on it by a seed, edges first,
// and the smallest value that still shows a failure.
//
// Threads: plain values; a Generator belongs to one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::evals {

// A schema without $ref and $defs, and with every allOf folded in. Definitions that contain themselves end after a few levels.
json::object inlined(const json::object& schema);

// The schema of what fits all of them: {"not": {}} where nothing does. What cannot be put together is left to a validator: the
// values may fit fewer than they should, never more kinds than any of them names.
json::object common_ground(const std::vector<json::object>& schemas);
bool is_impossible(const json::object& schema);

// Values for one schema. The same seed gives the same values on every machine. A value fits the schema in all but patterns with
// look-around, `not`, if/then and the like: whoever needs to be sure validates.
class Generator {
 public:
  // REQUIRES: `schema` has no $ref: inlined() or common_ground().
  Generator(json::object schema, std::uint64_t seed) : schema_(std::move(schema)), state_(seed) {}

  // The edges of the schema: empty, zero, negative, huge, limits and one beside them, Unicode that languages treat differently, nothing
  // where that is allowed. At most `most`.
  std::vector<json::value> edges(std::size_t most = 200);
  json::value random();

 private:
  json::value plain(const json::object& schema, int depth);
  std::vector<json::value> edges_of(const json::object& schema, int depth);
  std::vector<json::value> object_edges(const json::object& schema, int depth);
  std::vector<json::value> array_edges(const json::object& schema, int depth);
  json::value random_of(const json::object& schema, int depth);
  json::value random_number(const json::object& schema, bool whole);
  json::value random_text(const json::object& schema);
  std::uint64_t next();
  std::size_t below(std::size_t bound);  // 0 for 0

  json::object schema_;
  std::uint64_t state_;
};

// A text that a regular expression of JSON Schema matches; nothing where it has what is not known here, such as look-around.
// `next` gives random numbers.
std::optional<std::string> text_of_pattern(std::string_view pattern, const std::function<std::uint64_t()>& next);

// The smallest value found from `failing` on by removing, halving and zeroing, of which `still_fails` says yes; it is asked `most` times
// at the most. Each step is smaller by size_of(), so that it ends.
json::value shrink(json::value failing, const std::function<bool(const json::value&)>& still_fails, std::size_t most);
double size_of(const json::value& value);

// The arguments of calls of `name` that a doc comment shows, such as `slugify("Été")` or `mean(values=[1, 2])`, by the names of
// `parameters` in their order. What is not made of literals is left out; at most 20.
std::vector<json::object> parse_doc_examples(std::string_view doc, const std::vector<std::string>& names, const std::vector<std::string>& parameters);

}  // namespace sabir::evals
