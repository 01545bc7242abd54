#include "readers.h"
namespace sabir::schema {
Description describe_ruby(const Syntax&) { return {}; }
}  // namespace sabir::schema
