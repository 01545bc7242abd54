// McpSettings: what sabir.yml's `mcp` says of how the project looks to clients of the Model Context Protocol.
//
// Threads: plain values; immutable in a Project.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace sabir::project {

// A function that gives a resource's contents; its arguments are the variables of the URI.
struct McpResource {
  std::string uri;          // with {variables}
  std::string function;     // its address
  std::string title;
  std::string description;
  std::string media_type;   // "" = as what it gives looks
};

struct McpSettings {
  std::string title;                            // "" = the project's name
  std::string instructions;                     // what a client may tell its model
  bool asks = true;                             // a person is asked before an irreversible call; false: the client does that itself
  std::vector<std::string> memory = {"default"};  // namespaces whose items are listed
  std::vector<std::pair<std::string, std::string>> prompts;  // name and the address of the function that gives its messages
  std::vector<McpResource> resources;
  std::map<std::string, std::map<std::string, std::string>> headers;  // by address: parameter and the HTTP header that repeats it
};

}  // namespace sabir::project
