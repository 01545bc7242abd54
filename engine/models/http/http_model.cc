#include "http/http_model.h"

#include <algorithm>

#include "failure.h"
#include "http/embeddings.h"
#include "sabir/base/log.h"
#include "sabir/base/text.h"
#include "sabir/net/pauses.h"
#include "sabir/trace/span.h"

namespace sabir::models {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kMostAnswerBytes = std::size_t{64} << 20U;
constexpr const char* kTooLarge = "Ask for a shorter answer (max_tokens), and look whether base_url is really a model's server.";

bool loopback(const std::string& host) {
  return host.starts_with("127.") || host.starts_with("localhost:") || host.starts_with("[::1]");
}

std::string seconds(milliseconds span) {
  std::string text = std::to_string(static_cast<double>(span.count()) / 1000.0);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text + " s";
}

// A server that lacks one feature of the API is asked again at once without it, which is part of the same try.
enum class Without { kNothing, kStream, kStreamOptions };

class HttpModel final : public Model {
 public:
  HttpModel(Endpoint endpoint, std::unique_ptr<Dialect> dialect, std::shared_ptr<net::HttpClient> client,
            std::shared_ptr<const secrets::Secrets> secrets)
      : endpoint_(std::move(endpoint)),
        dialect_(std::move(dialect)),
        client_(std::move(client)),
        secrets_(std::move(secrets)),
        host_(net::host_and_port(endpoint_.base_url)) {}

  std::string description() const override { return endpoint_.model + " (" + dialect_->provider() + ", " + host_ + ")"; }

  Result<Reply> complete(const Request& request, const OnEvent& on_event) override {
    auto key = find_key();
    if (!key) return fail(std::move(key.error()));
    const auto deadline = Clock::now() + request.timeout;
    while (true) {
      // The first token's time can be seen in a stream only.
      const bool stream = endpoint_.stream && !no_stream_ && (on_event || endpoint_.first_token_timeout.count() > 0);
      const bool stream_options = !no_stream_options_;
      Without without = Without::kNothing;
      auto reply = once(request, stream, stream_options, *key, deadline, on_event, without);
      if (without == Without::kStreamOptions && stream_options) {
        no_stream_options_ = true;
        continue;
      }
      if (without == Without::kStream && stream) {
        no_stream_ = true;
        continue;
      }
      if (!reply) return fail(cleaned(std::move(reply.error())));
      reply->provider = dialect_->provider();
      if (reply->model.empty()) reply->model = endpoint_.model;
      return reply;
    }
  }

  Result<Embeddings> embed(const EmbedRequest& request) override {
    if (!dialect_->embeds()) return Model::embed(request);
    auto key = find_key();
    if (!key) return fail(std::move(key.error()));
    auto body = embeddings_body(request, endpoint_);
    if (!body) return fail(std::move(body.error()));
    auto made = post("/embeddings", *body, *key, false);
    if (!made) return fail(std::move(made.error()));
    net::HttpRequest& http = *made;
    http.total_timeout = std::max(milliseconds(1), request.timeout);
    http.cancelled = request.cancelled;
    std::string collected;
    auto response = client_->send(http, [&](const net::HttpResponse&, std::string_view piece) {
      collected += piece;
      return true;
    });
    if (!response) return fail(cleaned(std::move(response.error())));
    Without without = Without::kNothing;
    if (response->status < 200 || response->status >= 300) return fail(cleaned(refused(*response, false, without)));
    auto value = parse_json(collected);
    auto out = value && value->is_object() ? read_embeddings(value->get_object(), request.texts.size())
                                           : Result<Embeddings>(fail(ErrorCode::kModel, "the answer is not JSON: " + excerpt(trim(collected)), dialect_->when_not_this_api()));
    if (!out) {
      out.error().message = host_ + ": " + out.error().message;
      return fail(cleaned(std::move(out.error())));
    }
    out->provider = dialect_->provider();
    if (out->model.empty()) out->model = endpoint_.model;
    out->hold = exhausted_until(*response).value_or(milliseconds(0));
    return out;
  }

 private:
  Result<std::string> find_key() const {
    if (endpoint_.key.empty()) return std::string();
    auto value = secrets_ ? secrets_->resolve(endpoint_.key)
                          : Result<std::string>(fail(ErrorCode::kSecretMissing, "the secret '" + endpoint_.key + "' is not set"));
    if (!value) {
      value.error().message = "model '" + endpoint_.alias + "': " + value.error().message;
      return fail(std::move(value.error()));
    }
    if (endpoint_.base_url.starts_with("http://") && !loopback(host_)) {
      log(LogLevel::kWarning, "model '" + endpoint_.alias + "': its key travels unencrypted to " + host_ + "; use https");
    }
    return std::string(trim(*value));
  }

  Result<net::HttpRequest> post(const std::string& path, const json::object& body, const std::string& key, bool stream) const {
    net::HttpRequest http;
    http.method = "POST";
    http.url = endpoint_.base_url + path;
    http.headers = dialect_->headers(key);
    http.headers.emplace_back("Content-Type", "application/json");
    http.headers.emplace_back("Accept", stream ? "text/event-stream" : "application/json");
    for (const auto& [name, value] : endpoint_.headers) {
      if (secrets::find_reference(value) == std::string::npos) {
        http.headers.emplace_back(name, value);
        continue;
      }
      auto filled = secrets_ ? secrets_->fill_in(value) : Result<std::string>(fail(ErrorCode::kSecretMissing, "secrets cannot be read here"));
      if (!filled) {
        filled.error().message = "model '" + endpoint_.alias + "': header " + name + ": " + filled.error().message;
        return fail(std::move(filled.error()));
      }
      http.headers.emplace_back(name, std::move(*filled));
    }
    if (const auto context = trace::current()) http.headers.emplace_back("traceparent", trace::traceparent(context));
    if (auto* const span = trace::current_span()) {
      const std::size_t colon = host_.rfind(':');
      span->set("server.address", host_.substr(0, colon));
      span->set("server.port", std::int64_t{std::atoll(host_.substr(colon + 1).c_str())});
    }
    http.body = json::serialize(body);
    http.connect_timeout = endpoint_.connect_timeout;
    // A model may think for long before its first word and between two: what is not asked for is not bounded.
    http.first_byte_timeout = milliseconds(0);
    http.idle_timeout = stream ? endpoint_.idle_timeout : milliseconds(0);
    http.most_body_bytes = kMostAnswerBytes;
    return http;
  }

  Result<Reply> once(const Request& request, bool stream, bool stream_options, const std::string& key, Clock::time_point deadline,
                     const OnEvent& on_event, Without& without) {
    const auto codec = dialect_->codec();
    auto body = codec->body(request, endpoint_, stream);
    if (!body) return fail(std::move(body.error()));
    if (!stream_options) body->erase("stream_options");
    auto made = post(codec->path(), *body, key, stream);
    if (!made) return fail(std::move(made.error()));
    net::HttpRequest& http = *made;
    http.total_timeout = std::max(milliseconds(1), std::chrono::duration_cast<milliseconds>(deadline - Clock::now()));
    http.cancelled = request.cancelled;
    const auto sent = Clock::now();
    const milliseconds first = endpoint_.first_token_timeout;
    if (stream && first.count() > 0) {
      http.watch = [&]() -> std::optional<Error> {
        if (codec->begun() || Clock::now() - sent < first) return std::nullopt;
        return Error(ErrorCode::kTimeout, host_ + " has not begun to answer within " + seconds(first) + " (first_token_timeout)",
                     "Raise first_token_timeout of model '" + endpoint_.alias + "', or look whether the server is overloaded or still loads its model.");
      };
    }

    net::SseParser parser;
    std::string collected;            // a whole answer, or what claims to be one
    std::optional<Error> broken;
    const auto take = [&](const std::vector<net::SseEvent>& events) {
      for (const auto& event : events) {
        if (auto taken = codec->take(event, on_event); !taken) {
          broken = std::move(taken.error());
          return false;
        }
      }
      return true;
    };
    bool streamed = false;
    auto response = client_->send(http, [&](const net::HttpResponse& head, std::string_view piece) {
      if (head.header("content-type").find("text/event-stream") == std::string_view::npos) {
        collected += piece;
        return true;
      }
      streamed = true;
      auto events = parser.feed(piece);
      if (!events) {
        broken = std::move(events.error());
        return false;
      }
      return take(*events);
    });
    if (!response) {
      Error error = std::move(response.error());
      if (error.code == ErrorCode::kLimit) error.hint = kTooLarge;
      add_partial(error, streamed ? codec->text() : std::string_view(collected), codec->reasoning());
      return fail(std::move(error));
    }
    if (response->status < 200 || response->status >= 300) return fail(refused(*response, stream, without));
    auto reply = read(*codec, parser, collected, streamed, broken, take);
    if (reply) {
      if (!streamed && on_event && !reply->reasoning.empty()) on_event(Event{.content = {}, .reasoning = reply->reasoning});
      if (!streamed && on_event && !reply->content.empty()) on_event(Event{.content = reply->content});
      reply->hold = exhausted_until(*response).value_or(milliseconds(0));
      return reply;
    }
    Error error = std::move(reply.error());
    error.message = host_ + ": " + error.message;
    if (error.code == ErrorCode::kLimit) error.hint = kTooLarge;
    if (error.hint.empty()) error.hint = hint(Failure::of(error), *response);
    if (error.hint.empty()) error.hint = "Try again; if it stays so, look at the server's log and at proxies in between.";
    add_partial(error, streamed ? codec->text() : std::string_view(), codec->reasoning());
    return fail(std::move(error));
  }

  // The reply of a 2xx answer that has arrived.
  template <class Take>
  Result<Reply> read(Codec& codec, net::SseParser& parser, const std::string& collected, bool& streamed, std::optional<Error>& broken,
                     const Take& take) const {
    if (!streamed && !broken) {
      const std::string_view text = trim(collected);
      if (text.starts_with("data:") || text.starts_with("event:")) {
        // A stream under another content type.
        streamed = true;
        if (auto events = parser.feed(collected)) {
          take(*events);
        } else {
          broken = std::move(events.error());
        }
      } else if (auto value = parse_json(text); value && value->is_object()) {
        return codec.whole(value->get_object());
      } else {
        // A connection that ends within the headers looks like this too.
        if (text.empty()) return fail(ErrorCode::kModelUnreachable, "the answer is empty", "Try again. " + dialect_->when_not_this_api());
        Error error(ErrorCode::kModel, "the answer is not JSON: " + excerpt(text), dialect_->when_not_this_api());
        add_partial(error, text);
        return fail(std::move(error));
      }
    }
    if (!broken) {
      if (auto last = parser.finish()) take(std::vector<net::SseEvent>{*last});
    }
    if (broken) return fail(std::move(*broken));
    return codec.end();
  }

  // An answer of another status than 2xx as an error, and what the server could be asked without.
  Error refused(const net::HttpResponse& response, bool stream, Without& without) const {
    const int status = response.status;
    Error error(ErrorCode::kModel, "no particulars");
    std::string code;
    std::string param;
    if (auto value = parse_json(response.body); value && value->is_object()) {
      const auto& object = value->get_object();
      if (const auto* inner = object.if_contains("error"); inner != nullptr && !inner->is_null()) {
        error = provider_error(*inner);
        if (inner->is_object()) {
          code = string_or(inner->get_object(), "code");
          param = string_or(inner->get_object(), "param");
        }
      } else if (const auto text = string_or(object, "detail"); !text.empty()) {
        error.message = text;
      } else if (const auto other = string_or(object, "message"); !other.empty()) {
        error.message = other;
      }
    } else if (!trim(response.body).empty() && !trim(response.body).starts_with("<")) {
      error.message = excerpt(trim(response.body));
    }
    if (stream && status == 400) {
      if (param == "stream_options" || error.message.find("stream_options") != std::string::npos) {
        without = Without::kStreamOptions;
      } else if (param == "stream") {
        without = Without::kStream;
      }
    }
    Failure failure = Failure::of(error);
    failure.status = status;
    if (tells_of_overflow(error.message, code)) failure.reason = Reason::kContextOverflow;
    if (failure.reason == Reason::kOther) {
      if (status == 429) {
        failure.reason = Reason::kRateLimited;
      } else if (status == 408 || status == 409 || status >= 500) {
        failure.reason = Reason::kServerFault;
      }
    }
    if (failure.reason == Reason::kRateLimited || failure.reason == Reason::kServerFault) failure.pause = asked_pause(response);
    add_failure(error, failure);
    for (const char* name : {"x-request-id", "request-id"}) {
      if (const auto id = response.header(name); !id.empty()) add_data(error, "request_id", json::value(id));
    }
    error.message = host_ + " answered " + std::to_string(status) + ": " + error.message;
    error.hint = hint(failure, response);
    return error;
  }

  std::string hint(const Failure& failure, const net::HttpResponse& response) const {
    const int status = failure.status;
    switch (failure.reason) {
      case Reason::kContextOverflow:
        return "Shorten the conversation, or name a model with a larger context under `fallbacks:` of model '" + endpoint_.alias + "'.";
      case Reason::kQuota: return "The account has no quota left: see its billing page.";
      case Reason::kRateLimited: return "Too many requests: wait, or send fewer at once (`limits:` of model '" + endpoint_.alias + "').";
      case Reason::kServerFault: return "The server has a fault or is overloaded; try again later.";
      default: break;
    }
    if (status == 401) {
      return endpoint_.key.empty()
                 ? "The server wants a key: name its secret as `key:` of model '" + endpoint_.alias + "' in config/openai_config.yml."
                 : "The key is not accepted. It is the secret '" + endpoint_.key + "': the environment variable " +
                       secrets::variable_name(endpoint_.key) + ", else config/secrets.json.";
    }
    if (status == 403) return "The key may not use this; look at its permissions, its project and the model's availability.";
    if (status == 404) return dialect_->when_not_found(endpoint_);
    if (status >= 300 && status < 400) {
      return "The server redirects, which is not followed for API calls; set base_url to the address it names: " +
             std::string(response.header("location").substr(0, 200));
    }
    return {};
  }

  Error cleaned(Error error) const {
    if (!secrets_) return error;
    const auto& redactor = *secrets_->redactor();
    error.message = redactor.redact(error.message);
    error.hint = redactor.redact(error.hint);
    error.data = redactor.redact(error.data);
    return error;
  }

  const Endpoint endpoint_;
  const std::unique_ptr<Dialect> dialect_;
  const std::shared_ptr<net::HttpClient> client_;
  const std::shared_ptr<const secrets::Secrets> secrets_;
  const std::string host_;
  std::atomic<bool> no_stream_ = false;          // the server has refused it
  std::atomic<bool> no_stream_options_ = false;  // likewise
};

}  // namespace

std::shared_ptr<Model> make_http_model(Endpoint endpoint, std::unique_ptr<Dialect> dialect, std::shared_ptr<net::HttpClient> client,
                                       std::shared_ptr<const secrets::Secrets> secrets) {
  return std::make_shared<HttpModel>(std::move(endpoint), std::move(dialect), std::move(client), std::move(secrets));
}

}  // namespace sabir::models
