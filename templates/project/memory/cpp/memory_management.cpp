#include <sabir/sabir.hpp>
#include <string>

/// Keeps a result under a name, in place of the one that was there. Python and Ruby read it too.
/// @param result anything that JSON can hold
/// @param name what to ask for it by
/// @return the result's version: 1 for the first of that name, then 2, and so on
long store_result(nlohmann::json result, std::string name = "latest") { return sabir::memory::put("results/" + name, result); }

/// Gives back the result that was last stored under a name, or null if there is none.
/// @param name the name it was stored under
/// @effect read
nlohmann::json retrieve_result(std::string name = "latest") {
  return sabir::memory::get("results/" + name).value_or(nullptr);
}
