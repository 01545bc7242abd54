// HttpModel: one model behind an HTTP server. One try: it sends, streams and says what an error means; policy/ decides what
// is done next, and a Dialect knows the provider's API.
//
// Threads: complete() from any thread, any number at once.
#pragma once

#include <memory>
#include <string>

#include "http/codec.h"
#include "http/endpoint.h"
#include "sabir/models/model.h"
#include "sabir/net/http_client.h"
#include "sabir/secrets/secrets.h"

namespace sabir::models {

// What differs between the providers, beside the codec.
class Dialect {
 public:
  virtual ~Dialect() = default;
  virtual std::string provider() const = 0;  // "openai"
  virtual std::unique_ptr<Codec> codec() const = 0;
  // Of every request. `key` may be "".
  virtual net::HttpHeaders headers(const std::string& key) const = 0;
  // What to look at when the server does not know the path or the model.
  virtual std::string when_not_found(const Endpoint& endpoint) const = 0;
  virtual std::string when_not_this_api() const = 0;
  virtual bool embeds() const { return false; }  // has OpenAI's /embeddings
};

// `secrets` may be null when endpoint.key is empty and no header names one.
std::shared_ptr<Model> make_http_model(Endpoint endpoint, std::unique_ptr<Dialect> dialect, std::shared_ptr<net::HttpClient> client,
                                       std::shared_ptr<const secrets::Secrets> secrets);

}  // namespace sabir::models
