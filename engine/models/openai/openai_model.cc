#include "openai/openai_model.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <random>
#include <thread>

#include "openai/codec.h"
#include "sabir/base/log.h"
#include "sabir/base/text.h"

namespace sabir::models {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// A server that asks for more patience than this is not waited for.
constexpr milliseconds kMostPause{30'000};
constexpr std::size_t kMostAnswerBytes = std::size_t{64} << 20U;

// Retry-After in seconds or as a date (RFC 9110 §10.2.3), or retry-after-ms; nullopt without one.
std::optional<milliseconds> retry_after(const net::HttpResponse& response) {
  const auto number = [](std::string_view text) -> std::optional<double> {
    const std::string owned(trim(text));
    char* end = nullptr;
    const double value = std::strtod(owned.c_str(), &end);
    if (owned.empty() || end != owned.c_str() + owned.size() || !std::isfinite(value) || value < 0) return std::nullopt;
    return std::min(value, 1e9);
  };
  if (const auto ms = number(response.header("retry-after-ms"))) return milliseconds(static_cast<std::int64_t>(*ms));
  const std::string_view text = response.header("retry-after");
  if (text.empty()) return std::nullopt;
  if (const auto seconds = number(text)) return milliseconds(static_cast<std::int64_t>(*seconds * 1000));
  std::tm when{};
  if (::strptime(std::string(text).c_str(), "%a, %d %b %Y %H:%M:%S GMT", &when) == nullptr) return std::nullopt;
  return milliseconds(std::max<std::int64_t>(0, (::timegm(&when) - std::time(nullptr)) * 1000));
}

bool worth_a_retry(int status, std::string_view provider_code) {
  if (status == 429) return provider_code != "insufficient_quota";
  return status == 408 || status == 409 || status >= 500;
}

bool loopback(const std::string& host) {
  return host.starts_with("127.") || host.starts_with("localhost:") || host.starts_with("[::1]");
}

// What one try came to.
struct Try {
  Result<Reply> reply = fail(ErrorCode::kInternal, "no try was made");
  bool retry = false;
  std::optional<milliseconds> pause;  // asked for by the server
  bool without_stream = false;        // try again at once, without streaming
  bool without_options = false;       // try again at once, without stream_options
};

class OpenAiModel final : public Model {
 public:
  OpenAiModel(OpenAiOptions options, std::shared_ptr<net::HttpClient> client, std::shared_ptr<const secrets::Secrets> secrets)
      : options_(std::move(options)),
        client_(std::move(client)),
        secrets_(std::move(secrets)),
        host_(net::host_and_port(options_.base_url)) {}

  std::string description() const override { return options_.model + " (openai, " + host_ + ")"; }

  Result<Reply> complete(const Request& request, const OnEvent& on_event) override {
    std::string key;
    if (!options_.key.empty()) {
      auto value = secrets_ ? secrets_->resolve(options_.key)
                            : Result<std::string>(fail(ErrorCode::kSecretMissing, "the secret '" + options_.key + "' is not set"));
      if (!value) {
        value.error().message = "model '" + options_.alias + "': " + value.error().message;
        return fail(std::move(value.error()));
      }
      key = std::string(trim(*value));
      if (options_.base_url.starts_with("http://") && !loopback(host_)) {
        log(LogLevel::kWarning, "model '" + options_.alias + "': its key travels unencrypted to " + host_ + "; use https");
      }
    }
    const milliseconds whole_time = options_.timeout.count() > 0 ? std::min(options_.timeout, request.timeout) : request.timeout;
    const auto deadline = Clock::now() + whole_time;
    bool stream = options_.stream && static_cast<bool>(on_event);
    bool stream_options = true;
    for (int attempt = 0;; ++attempt) {
      bool emitted = false;
      const OnEvent counted = [&](const Event& event) {
        emitted = true;
        if (on_event) on_event(event);
      };
      Try outcome = once(request, stream, stream_options, key, deadline, counted);
      if (outcome.reply) {
        outcome.reply->provider = "openai";
        if (outcome.reply->model.empty()) outcome.reply->model = options_.model;
        return std::move(outcome.reply);
      }
      if (outcome.without_options && stream_options) {
        stream_options = false;
        --attempt;
        continue;
      }
      if (outcome.without_stream && stream) {
        stream = false;
        --attempt;
        continue;
      }
      Error& error = outcome.reply.error();
      if (!outcome.retry || emitted || attempt >= options_.retries) {
        if (attempt > 0 && outcome.retry) error.message += " (after " + std::to_string(attempt + 1) + " tries)";
        return fail(cleaned(std::move(error)));
      }
      milliseconds pause = outcome.pause.value_or(jittered(options_.first_pause * (1 << attempt)));
      const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
      if (pause > kMostPause || pause >= left) {
        if (outcome.pause) {
          error.hint = "The server asks to wait " + std::to_string((pause.count() + 999) / 1000) + " s; try again then.";
        }
        return fail(cleaned(std::move(error)));
      }
      log(LogLevel::kInfo, "model '" + options_.alias + "': " + error.message + "; next try in " + std::to_string(pause.count()) + " ms");
      const auto until = Clock::now() + pause;
      while (Clock::now() < until) {
        if (request.cancelled && request.cancelled->load(std::memory_order_relaxed)) {
          return fail(ErrorCode::kCancelled, "the request to " + host_ + " was cancelled");
        }
        std::this_thread::sleep_for(std::min<Clock::duration>(until - Clock::now(), milliseconds(50)));
      }
    }
  }

 private:
  Try once(const Request& request, bool stream, bool stream_options, const std::string& key, Clock::time_point deadline,
           const OnEvent& on_event) {
    Try outcome;
    const auto codec = make_codec(options_.api);
    auto body = codec->body(request, options_, stream);
    if (!body) {
      outcome.reply = fail(std::move(body.error()));
      return outcome;
    }
    if (!stream_options) body->erase("stream_options");

    net::HttpRequest http;
    http.method = "POST";
    http.url = options_.base_url + codec->path();
    http.headers = {{"Content-Type", "application/json"}, {"Accept", stream ? "text/event-stream" : "application/json"}};
    if (!key.empty()) http.headers.emplace_back("Authorization", "Bearer " + key);
    if (!options_.organization.empty()) http.headers.emplace_back("OpenAI-Organization", options_.organization);
    if (!options_.project.empty()) http.headers.emplace_back("OpenAI-Project", options_.project);
    for (const auto& header : options_.headers) http.headers.push_back(header);
    http.body = json::serialize(*body);
    http.connect_timeout = options_.connect_timeout;
    // A model may think for long before its first word and between two; only the whole is bounded.
    http.first_byte_timeout = milliseconds(0);
    http.idle_timeout = milliseconds(0);
    http.total_timeout = std::max(milliseconds(1), std::chrono::duration_cast<milliseconds>(deadline - Clock::now()));
    http.most_body_bytes = kMostAnswerBytes;
    http.cancelled = request.cancelled;

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
      outcome.retry = response.error().code == ErrorCode::kModelUnreachable;
      outcome.reply = fail(std::move(response.error()));
      return outcome;
    }
    if (response->status < 200 || response->status >= 300) {
      refused(*response, stream, outcome);
      return outcome;
    }
    if (!streamed && !broken) {
      const std::string_view text = trim(collected);
      if (text.starts_with("data:") || text.starts_with("event:")) {
        // A stream under another content type.
        auto events = parser.feed(collected);
        if (!events) {
          broken = std::move(events.error());
        } else {
          take(*events);
        }
        streamed = true;
      } else if (auto value = parse_json(text); value && value->is_object()) {
        outcome.reply = codec->whole(value->get_object());
        if (outcome.reply && on_event && stream && !outcome.reply->content.empty()) {
          on_event(Event{.content = outcome.reply->content});
        }
      } else {
        outcome.reply = fail(ErrorCode::kModel, "the answer is not JSON: " + std::string(text.substr(0, 200)),
                             "Check that base_url is an OpenAI-compatible server; most end in /v1.");
      }
    }
    if (streamed && !broken) {
      if (auto last = parser.finish()) take({*last});
      if (!broken) {
        outcome.reply = codec->end();
        outcome.retry = !outcome.reply && outcome.reply.error().code == ErrorCode::kModelUnreachable;
      }
    }
    if (broken) {
      const auto type = broken->data.find("server_error");
      outcome.retry = type != std::string::npos;
      outcome.reply = fail(std::move(*broken));
    }
    if (!outcome.reply) outcome.reply.error().message = host_ + ": " + outcome.reply.error().message;
    return outcome;
  }

  // Turns an answer of another status than 2xx into an error, and says what else could be tried.
  void refused(const net::HttpResponse& response, bool stream, Try& outcome) const {
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
      error.message = std::string(trim(response.body).substr(0, 300));
    }
    json::object data;
    if (auto known = parse_json(error.data); known && known->is_object()) data = known->get_object();
    data["status"] = status;
    if (const auto id = response.header("x-request-id"); !id.empty()) data["request_id"] = id;
    error.data = json::serialize(data);
    if (stream && status == 400) {
      const bool about_options = param == "stream_options" || error.message.find("stream_options") != std::string::npos;
      outcome.without_options = about_options;
      outcome.without_stream = !about_options && param == "stream";
    }
    error.message = host_ + " answered " + std::to_string(status) + ": " + error.message;
    switch (status) {
      case 401:
        error.hint = options_.key.empty()
                         ? "The server wants a key: name its secret as `key:` of model '" + options_.alias + "' in config/openai_config.yml."
                         : "The key is not accepted. It is the secret '" + options_.key + "': the environment variable " +
                               secrets::variable_name(options_.key) + ", else config/secrets.json.";
        break;
      case 403:
        error.hint = "The key may not use this; look at its permissions, its project and the model's availability.";
        break;
      case 404:
        error.hint = "Check model ('" + options_.model + "'), base_url and api (" +
                     (options_.api == OpenAiApi::kChat ? "chat" : "responses") + ") of '" + options_.alias +
                     "'; servers without the Responses API take api: chat.";
        break;
      case 429:
        error.hint = code == "insufficient_quota" ? "The account has no quota left: see its billing page."
                                                  : "Too many requests: wait, or send fewer at once.";
        break;
      default:
        if (status >= 300 && status < 400) {
          error.hint = "The server redirects, which is not followed for API calls; set base_url to the address it names: " +
                       std::string(response.header("location").substr(0, 200));
        } else if (status >= 500) {
          error.hint = "The server has a fault or is overloaded; try again later.";
        }
    }
    outcome.retry = worth_a_retry(status, code);
    outcome.pause = retry_after(response);
    outcome.reply = fail(std::move(error));
  }

  Error cleaned(Error error) const {
    if (!secrets_) return error;
    const auto& redactor = *secrets_->redactor();
    error.message = redactor.redact(error.message);
    error.hint = redactor.redact(error.hint);
    error.data = redactor.redact(error.data);
    return error;
  }

  // Half to all of `pause`, so that many callers do not come back together.
  static milliseconds jittered(milliseconds pause) {
    thread_local std::minstd_rand random{std::random_device{}()};
    return milliseconds(pause.count() / 2 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(pause.count() / 2 + 1)));
  }

  OpenAiOptions options_;
  std::shared_ptr<net::HttpClient> client_;
  std::shared_ptr<const secrets::Secrets> secrets_;
  std::string host_;
};

}  // namespace

std::shared_ptr<Model> make_openai_model(OpenAiOptions options, std::shared_ptr<net::HttpClient> client,
                                         std::shared_ptr<const secrets::Secrets> secrets) {
  return std::make_shared<OpenAiModel>(std::move(options), std::move(client), std::move(secrets));
}

}  // namespace sabir::models
