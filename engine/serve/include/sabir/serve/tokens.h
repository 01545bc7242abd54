// Tokens: who may call, by secrets of which only digests are kept, in <project>/.sabir/<environment>/tokens.json (mode 0600).
//
// Threads: any. Processes: the file is replaced whole; a running server sees a change within a second.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/project/serving.h"

namespace sabir::serve {

struct Token {
  std::string id;           // eight letters and digits, part of the token itself
  std::string name;
  std::string digest;       // SHA-256 of the whole token, hexadecimal
  std::vector<std::string> scopes;
  std::string user;
  std::string tenant;
  std::int64_t created_ms = 0;
  std::int64_t expires_ms = 0;  // 0 = never
  project::Rate rate;           // in place of serve.limits.rate; count 0 = as that says
  int at_once = 0;              // likewise
};
json::object to_json(const Token& token);  // without the digest

class Tokens {
 public:
  explicit Tokens(std::filesystem::path state_dir);

  // Errors of all: kConfig (a file that is none of ours, or that others may read), kStoreNewer, kIo.
  Result<std::vector<Token>> list() const;
  // Gives the token, which is not to be had again. `token` needs name and scopes. Errors: kExists (the name is taken), kInvalidArguments.
  Result<std::string> add(Token token);
  // By id or name. Errors: kNotFound.
  Result<Token> revoke(const std::string& which);

  // The token that `text` is; nothing where it is none, or has expired. Takes the same time whichever part of it is wrong.
  std::optional<Token> find(std::string_view text);
  bool any();               // whether there are tokens at all
  Result<void> reload();

 private:
  void look();              // reads the file again if it changed, at most once a second; under the mutex
  std::filesystem::path file_;
  std::mutex mutex_;
  std::vector<Token> known_;
  std::string stamp_;
  std::int64_t looked_ms_ = 0;
};

// Lower-case hexadecimal.
std::string sha256(std::string_view bytes);

}  // namespace sabir::serve
