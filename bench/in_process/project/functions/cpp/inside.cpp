#include <cstdint>
#include <string>

/// The text.
/// @effect read
std::string echo(std::string text) { return text; }

/// The value, so many times.
/// @effect read
double scaled(double value, std::int64_t times) { return value * static_cast<double>(times); }
