// sabir model list | pull | rm | find | use | cache.
#include <pwd.h>
#include <unistd.h>

#include <ctime>

#include "command.h"
#include "resources.h"
#include "sabir/models/discovery.h"
#include "sabir/models/model_store.h"
#include "sabir/net/http_client.h"

namespace sabir::cli {
namespace {

Result<std::shared_ptr<const models::ModelStore>> open_store() {
  auto folder = resources();
  if (!folder) return fail(std::move(folder.error()));
  return models::ModelStore::open({*folder / "models", {}, {}});
}

std::string megabytes(std::uint64_t bytes) { return std::to_string((bytes + 500'000) / 1'000'000) + " MB"; }

std::string time_text(std::int64_t at_ms) {
  const std::time_t seconds = at_ms / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

// One alias of config/openai_config.yml as JSON, and on the terminal.
json::object shown(const Globals& globals, const models::ModelInfo& info) {
  json::object out{{"alias", info.alias}, {"provider", info.provider}, {"description", info.description}, {"default", info.is_default}};
  json::array fallbacks;
  for (const auto& name : info.fallbacks) fallbacks.push_back(json::value(name));
  out["fallbacks"] = std::move(fallbacks);
  std::string line = styled(info.alias, "1") + (info.is_default ? " (default)" : "") + "  " + info.description;
  if (info.switched) {
    out["switched"] = json::object{{"from", info.switched->from}, {"to", info.switched->to}, {"who", info.switched->who}, {"at", time_text(info.switched->at_ms)}};
    line += styled("  switched from " + info.switched->from + " by " + info.switched->who + " at " + time_text(info.switched->at_ms), "2");
  }
  if (!globals.json) print(line);
  return out;
}

void list(Globals& globals) {
  auto store = open_store();
  if (!store) return fail_with(globals, store.error());
  auto entries = (*store)->list();
  if (!entries) return fail_with(globals, entries.error());
  json::array out;
  for (const auto& entry : *entries) {
    out.push_back({{"name", entry.model.name}, {"installed", entry.installed}, {"default", entry.is_default}, {"bytes", entry.model.bytes},
                   {"sha256", entry.model.sha256}, {"licence", entry.model.licence}, {"summary", entry.model.summary}});
    if (globals.json) continue;
    print((entry.installed ? styled("here    ", "32") : entry.partial_bytes > 0 ? styled("partly  ", "2") : styled("absent  ", "2")) +
          styled(entry.model.name, "1") + (entry.is_default ? " (default)" : "") + "  " + megabytes(entry.model.bytes) + "  " +
          entry.model.licence + styled("  " + entry.model.summary, "2"));
  }
  json::array aliases;
  // Outside of a project there are none, and what is wrong with a project's configuration is told, not in the way.
  if (auto engine = open_engine(globals.session)) {
    if (auto configured = (*engine)->models()) {
      if (!globals.json) print("");
      for (const auto& info : *configured) aliases.push_back(shown(globals, info));
    } else if (configured.error().code != ErrorCode::kNotFound) {
      note("sabir: " + to_text(configured.error()));
    }
  } else if (engine.error().code != ErrorCode::kNoProject) {
    note("sabir: " + to_text(engine.error()));
  }
  if (globals.json) print_json({{"folder", (*store)->folder().string()}, {"models", out}, {"aliases", aliases}});
}

std::string this_user() {
  const passwd* entry = ::getpwuid(::getuid());
  return entry != nullptr ? entry->pw_name : std::to_string(::getuid());
}

void use(Globals& globals, const std::string& alias, const std::string& model, bool reset) {
  if (reset != model.empty()) {
    return fail_with(globals, Error(ErrorCode::kUsage, reset ? "--reset takes no model" : "which model is '" + alias + "' to stand for?",
                                    "sabir model use ALIAS MODEL, or sabir model use ALIAS --reset"));
  }
  auto engine = open_engine(globals.session);
  if (!engine) return fail_with(globals, engine.error());
  const std::string who = globals.session.context.user.empty() ? this_user() : globals.session.context.user;
  auto change = (*engine)->use_model(alias, model, who);
  if (!change) return fail_with(globals, change.error());
  std::string now = model;
  if (reset) {
    if (auto configured = (*engine)->models()) {
      for (const auto& info : *configured) {
        if (info.alias == alias) now = info.model;
      }
    }
  }
  if (globals.json) return print_json({{"alias", alias}, {"from", change->from}, {"to", now}, {"who", who}, {"reset", reset}});
  print(styled(alias, "1") + " stands for " + now + " now" + (reset ? ", as config/openai_config.yml says" : "") + "; it was " + change->from + ".");
}

void cache(Globals& globals, bool clear) {
  auto engine = open_engine(globals.session);
  if (!engine) return fail_with(globals, engine.error());
  auto& answers = (*engine)->answers();
  if (clear) {
    auto gone = answers.clear();
    if (!gone) return fail_with(globals, gone.error());
    if (globals.json) return print_json({{"removed", *gone}});
    return print("removed " + std::to_string(*gone) + (*gone == 1 ? " answer" : " answers"));
  }
  auto size = answers.size();
  if (!size) return fail_with(globals, size.error());
  const auto& limits = models::AnswerCache::kLimits;
  if (globals.json) return print_json({{"answers", size->answers}, {"bytes", size->bytes}, {"most_answers", limits.answers}, {"most_bytes", limits.bytes}});
  print(std::to_string(size->answers) + (size->answers == 1 ? " answer, " : " answers, ") + std::to_string((size->bytes + 1023) / 1024) + " KiB; at most " +
        std::to_string(limits.answers) + " and " + std::to_string(limits.bytes / 1024) + " KiB");
}

void pull(Globals& globals, const std::string& name) {
  auto store = open_store();
  if (!store) return fail_with(globals, store.error());
  auto path = (*store)->pull(name, [](const std::string& line) { note(line); });
  if (!path) return fail_with(globals, path.error());
  auto catalog = (*store)->catalog();
  if (globals.json) return print_json({{"name", name}, {"path", path->string()}});
  if (catalog) {
    if (auto model = catalog->find(name)) {
      print((*model)->name + " is here: " + megabytes((*model)->bytes) + ", licence " + (*model)->licence +
            ((*model)->licence_note.empty() ? std::string() : " (" + (*model)->licence_note + ")"));
      return;
    }
  }
  print(path->string());
}

}  // namespace

void add_model_commands(Command& app, Globals& globals) {
  auto* const model = app.add_subcommand("model", "Models that run on this machine.");
  model->require_subcommand();
  auto name = std::make_shared<std::string>("default");
  const auto add = [&](const char* word, const char* what) {
    auto* const command = model->add_subcommand(word, what);
    command->add_flag("--json", globals.json, "print JSON alone on standard output");
    return command;
  };
  auto* const listing = model->add_subcommand("list", "Models that this engine knows, and which are here; the project's aliases.");
  add_common(*listing, globals);
  listing->callback([&globals] { list(globals); });

  auto* const using_ = model->add_subcommand("use", "Let an alias stand for another model of its provider, at once and without a deployment.");
  add_common(*using_, globals);
  auto alias = std::make_shared<std::string>();
  auto chosen = std::make_shared<std::string>();
  auto reset = std::make_shared<bool>(false);
  using_->add_option("ALIAS", *alias, "of config/openai_config.yml").required();
  using_->add_option("MODEL", *chosen, "the name that its provider knows");
  using_->add_flag("--reset", *reset, "as the configuration says");
  using_->callback([&globals, alias, chosen, reset] { use(globals, *alias, *chosen, *reset); });

  auto* const caching = model->add_subcommand("cache", "Answers that are kept to be given again: how many, or none any more.");
  add_common(*caching, globals);
  auto clear = std::make_shared<bool>(false);
  caching->add_flag("--clear", *clear, "remove them all");
  caching->callback([&globals, clear] { cache(globals, *clear); });

  auto* const pulling = add("pull", "Bring a model's weights and what runs them; checked by SHA-256.");
  pulling->add_option("NAME", *name, "as `sabir model list` names it (default: the default)");
  pulling->callback([&globals, name] { pull(globals, *name); });

  auto* const removing = add("rm", "Remove a model's weights.");
  auto gone = std::make_shared<std::string>();
  removing->add_option("NAME", *gone, "as `sabir model list` names it").required();
  removing->callback([&globals, gone] {
    auto store = open_store();
    if (!store) return fail_with(globals, store.error());
    auto removed = (*store)->remove(*gone);
    if (!removed) return fail_with(globals, removed.error());
    if (globals.json) return print_json({{"name", *gone}, {"removed", *removed}});
    print(*removed ? "removed " + *gone : "there was nothing to remove");
  });

  add("find", "Look for model servers that already run here: Ollama, llama.cpp, LM Studio, vLLM.")->callback([&globals] {
    net::HttpClient client;
    const auto servers = models::find_local_servers(client);
    json::array out;
    for (const auto& server : servers) {
      json::array names;
      for (const auto& one : server.models) names.push_back(json::value(one));
      out.push_back({{"product", server.product}, {"base_url", server.base_url}, {"models", names}});
      if (globals.json) continue;
      print(styled(server.product, "1") + "  " + server.base_url);
      for (const auto& one : server.models) print("  " + one);
    }
    if (globals.json) return print_json({{"servers", out}});
    if (servers.empty()) note("None answers on the usual ports. Start one, or run `sabir model pull` for a model of Sabir's own.");
  });
}

}  // namespace sabir::cli
