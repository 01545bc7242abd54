// sabir model list | pull | rm | find.
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
  if (globals.json) print_json({{"folder", (*store)->folder().string()}, {"models", out}});
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
  add("list", "Models that this engine knows, and which are here.")->callback([&globals] { list(globals); });

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
