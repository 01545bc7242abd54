#include <string>

/// The text.
/// @effect read
std::string echo(std::string text) { return text; }
