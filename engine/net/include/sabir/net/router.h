// Router: which handler answers a method and a path.
//
// Patterns are paths whose segments may be "{name}", which stands for one segment, or, at the end, "{name...}", which stands for
// one or more. Plain segments go before names, and those before "{name...}"; among equals the first added wins.
//
// Threads: plain value; not changed while a server uses it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sabir/net/http_exchange.h"

namespace sabir::net {

// Called on the loop; must not block. It may answer later, from any thread.
using HttpHandler = std::function<void(std::shared_ptr<Exchange>)>;

class Router {
 public:
  // GET serves HEAD too, unless HEAD is added by itself.
  void add(std::string_view method, std::string_view pattern, HttpHandler handler);
  // What no route answers; absent: 404, or 405 with Allow.
  void otherwise(HttpHandler handler) { otherwise_ = std::move(handler); }

  struct Match {
    const HttpHandler* handler = nullptr;            // null: nothing answers
    std::vector<std::pair<std::string, std::string>> captures;
    std::string allowed;                             // "GET, POST": what the path knows, where the method is another
    bool malformed = false;                          // the path has a broken escape
  };
  Match find(std::string_view method, std::string_view path) const;
  const HttpHandler& fallback() const { return otherwise_; }

 private:
  struct Route {
    std::string method;
    std::vector<std::string> segments;
    HttpHandler handler;
  };
  std::unordered_map<std::string, std::vector<Route>> plain_;  // by path, of patterns without names
  std::vector<Route> named_;                                   // most specific first
  HttpHandler otherwise_;
};

}  // namespace sabir::net
