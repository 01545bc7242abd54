// When two JSON values are the same: integers exactly, other numbers within a tolerance, texts byte for byte without any
// normalisation, lists in order, members of objects in any order. 6 and 6.0 are one number.
//
// Threads: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/json.h"

namespace sabir::evals {

// The JSON Pointer of the first place where they differ, "" for the values themselves; nothing where they are the same.
// `tolerance` is relative to the larger of the two numbers, absolute below 1; it does not hold between integers.
std::optional<std::string> first_difference(const json::value& one, const json::value& other, double tolerance);

// parse_json with each number the nearest one that there is: Boost.JSON's own reading may miss it by a digit of the last place.
Result<json::value> exact_value(std::string_view text);
// The numbers of a JSON text as they are written, in their order. REQUIRES: `text` is valid JSON.
std::vector<std::string_view> numbers_of(std::string_view text);

}  // namespace sabir::evals
