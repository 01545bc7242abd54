#include "sabir/schema/function_schema.h"

namespace sabir::schema {

std::string_view effect_name(Effect effect) {
  switch (effect) {
    case Effect::kRead: return "read";
    case Effect::kWrite: return "write";
    case Effect::kIrreversible: return "irreversible";
  }
  return "write";
}

Result<Description> describe(std::string_view grammar, std::string_view, const std::string& file) {
  return fail(Error(ErrorCode::kUnavailable, "no reader for the grammar '" + std::string(grammar) + "'").at(file));
}

}  // namespace sabir::schema
