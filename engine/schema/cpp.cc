#include "readers.h"
namespace sabir::schema {
Description describe_cpp(const Syntax&) { return {}; }
}  // namespace sabir::schema
