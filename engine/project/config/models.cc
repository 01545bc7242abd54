// config/openai_config.yml.
#include "files.h"

namespace sabir::project::config {
namespace {

std::vector<ConfigKey> policy() {
  return {
      {"fallbacks", texts(), "[]", "Aliases that are asked instead, in this order.", "[large, local]"},
      {"retries", integer(0, 10), "(3; 0 of models on this machine)", "Further tries.", "5"},
      {"patience", duration(), "30s", "A server that asks for a longer pause than this is not waited for.", "10s"},
      {"timeout", duration(), "(the caller's)", "How long one answer may take, all tries together.", "60s"},
      {"limits",
       map({
           {"requests_per_minute", integer(1, 10'000'000), "", "Requests in a minute.", "500"},
           {"tokens_per_minute", integer(1, 1'000'000'000'000), "", "Tokens in a minute.", "200000"},
           {"concurrency", integer(1, 10'000), "", "Requests at once.", "20"},
           {"queue", integer(0, 10'000), "64", "Calls that may wait.", "10"},
           {"wait", duration(), "30s", "How long a call may wait.", "5s"},
       }),
       "", "What this engine asks of it at most.", "{requests_per_minute: 500, concurrency: 20}"},
      {"circuit_breaker",
       either({boolean(), map({
                                      {"failures", integer(1, 1000), "5", "Failures in a row that open it.", "3"},
                                      {"window", duration(), "1m", "Within which they are counted.", "30s"},
                                      {"open", duration(), "30s", "How long it stays open.", "1m"},
                                  })}),
       "", "Stops asking a model that does not answer; `false` never does.", "{failures: 3, open: 1m}"},
      {"cache", map({{"ttl", text(), "", "How long an answer is given again, a year at most.", "7d", true}}), "", "Answers are kept and given again to the same question.", "{ttl: 1h}"},
      {"parameters", table("PARAMETER", any()), "{}", "What is sent with each request.", "{temperature: 0, max_tokens: 500}"},
  };
}

std::vector<ConfigKey> endpoint(const char* base_url, const char* key) {
  return plus(
      {
          {"model", text(), "", "The name that its server knows.", "gpt-5-mini", true},
          {"base_url", text(), base_url, "Where the API begins.", "http://127.0.0.1:11434/v1"},
          {"key", secret_name(), key, "The name of the secret that holds the key, never the key itself.", "openai_api_key"},
          {"headers", table("HEADER", secret_text()), "{}", "Further headers.", "{X-Team: shop}"},
          {"stream", boolean(), "true", "`false` for servers that cannot.", "false"},
          {"structured_output", choice({"native", "prompt"}), "native", "`prompt` for servers that cannot hold an answer to a schema.", "prompt"},
          {"connect_timeout", duration(), "10s", "Of name look-up, TCP and TLS.", "3s"},
          {"first_token_timeout", duration(), "", "From the request to the first text or call of a streamed answer.", "15s"},
          {"idle_timeout", duration(), "", "Of silence in the middle of a streamed answer.", "20s"},
      },
      policy());
}

ConfigType model() {
  return variant("provider",
                 {
                     {"openai", map(plus(endpoint("https://api.openai.com/v1", "(openai_api_key at OpenAI, else none)"),
                                         {
                                             {"api", choice({"responses", "chat"}), "(responses at OpenAI, else chat)", "Which of OpenAI's two interfaces is spoken.", "chat"},
                                             {"organization", text(), "", "Sent as OpenAI's header of this name.", "org-123"},
                                             {"project", text(), "", "Sent as OpenAI's header of this name.", "proj-123"},
                                         }))},
                     {"anthropic", map(plus(endpoint("https://api.anthropic.com/v1", "(anthropic_api_key at Anthropic, else none)"),
                                            {{"version", text(), "\"2023-06-01\"", "The header `anthropic-version`.", "\"2023-06-01\""}}))},
                     {"local", map(plus(
                                   {
                                       {"model", text(), "", "A name that `sabir model list` shows, `default`, or a .gguf file.", "default", true},
                                       {"context", integer(256, 1 << 20), "", "Tokens of prompt and answer together.", "8192"},
                                       {"threads", integer(1, 1024), "(all)", "Processor threads.", "4"},
                                       {"idle", duration(), "10m", "It is unloaded after this long without a question.", "1h"},
                                   },
                                   policy()))},
                     {"scripted", map(plus(
                                      {
                                          {"script", text(), "", "A JSON file with replies, from the project's root.", "tests/scripted_replies.json"},
                                          {"replies", any(), "", "The replies themselves.", "[{text: Hello}]"},
                                      },
                                      policy()))},
                 });
}

ConfigType budget() {
  return map({
      {"usd", number(0, 1e9), "", "US dollars.", "5"},
      {"tokens", integer(0, 1'000'000'000'000'000), "", "Tokens, of prompts and answers.", "200000"},
  });
}

}  // namespace

ConfigFile models_file() {
  return {
      "config/openai_config.yml", "The models that the project may ask, each under an alias.", "models.md",
      map({
          {"default", text(), "(the only one)", "The alias that answers where none is named.", "local"},
          {"models", table("ALIAS", either({model(), text()})), "", "A model by its alias: its settings, or the alias of another.", "{local: {provider: local, model: default}}", true},
          {"prices",
           table("MODEL", map({
                              {"input", number(0, 1e6), "", "Of a million tokens of the prompt.", "0.25", true},
                              {"output", number(0, 1e6), "", "Of a million tokens of the answer.", "2", true},
                              {"cached_input", number(0, 1e6), "(that of input)", "Of a million that came from the provider's cache.", "0.025"},
                              {"cache_write", number(0, 1e6), "(that of input)", "Of a million that went into it.", "0.3"},
                          })),
           "", "Prices in US dollars that the engine does not know, or knows otherwise.", "{my-model: {input: 0.25, output: 2}}"},
          {"budgets",
           map({
               {"day", budget(), "", "Of the whole project, in a day of UTC.", "{usd: 5}"},
               {"month", budget(), "", "Of the whole project, in a month.", "{usd: 60}"},
               {"run", budget(), "", "Of one run of an assistant.", "{tokens: 200000}"},
               {"user", budget(), "", "Of each user in one day.", "{usd: 0.5}"},
               {"user_month", budget(), "", "Of each user in one month.", "{usd: 5}"},
           }),
           "", "What models may cost; a call that would exceed it is not sent.", "{day: {usd: 5}}"},
      })};
}

}  // namespace sabir::project::config
