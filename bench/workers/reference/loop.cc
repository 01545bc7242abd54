// The best loop one would write by hand in C++ with the worker's JSON library: decode, call, encode, one write per read.
// It knows two functions, takes no blobs and checks nothing.
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>

namespace {

using Json = nlohmann::json;

int add(int a, int b) { return a + b; }

const std::unordered_map<std::string, std::function<Json(const Json&)>> kFunctions = {
    {"echo", [](const Json& arguments) { return Json(arguments["text"].get<std::string>()); }},
    {"add", [](const Json& arguments) { return Json(add(arguments["a"].get<int>(), arguments["b"].get<int>())); }}};

}  // namespace

int main() {
  const int fd = std::atoi(std::getenv("SABIR_FD"));
  std::string buffer(65536, '\0');
  std::size_t end = 0;
  std::string out;
  while (true) {
    const auto count = ::read(fd, buffer.data() + end, buffer.size() - end);
    if (count <= 0) return 0;
    end += static_cast<std::size_t>(count);
    std::size_t start = 0;
    out.clear();
    while (const void* found = std::memchr(buffer.data() + start, '\n', end - start)) {
      const auto body = static_cast<std::size_t>(static_cast<const char*>(found) - buffer.data()) + 1;
      const auto stop = body + static_cast<std::size_t>(std::atol(buffer.data() + start));
      if (stop > end) break;
      const auto message = Json::parse(buffer.data() + body, buffer.data() + stop);
      start = stop;
      Json result = Json::object();
      if (message["method"] == "call") {
        const auto& params = message["params"];
        result["value"] = kFunctions.at(params["function"].get_ref<const std::string&>())(params["arguments"]);
      }
      const auto text = Json{{"jsonrpc", "2.0"}, {"id", message["id"]}, {"result", std::move(result)}}.dump();
      out += std::to_string(text.size());
      out += '\n';
      out += text;
    }
    if (!out.empty() && ::write(fd, out.data(), out.size()) < 0) return 1;
    std::memmove(buffer.data(), buffer.data() + start, end - start);
    end -= start;
  }
}
