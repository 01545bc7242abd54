// Where calls of models and functions meet what is recorded or replayed.
#include "engine_state.h"
#include "sabir/base/inputs.h"
#include "sabir/base/log.h"
#include "sabir/base/text.h"
#include "sabir/project/configuration.h"
#include "sabir/protocol/raw_json.h"
#include "sabir/recordings/recorded_model.h"

namespace sabir::runtime {
namespace {

namespace fs = std::filesystem;
using protocol::Payload;

// The recorded value as the worker sent it: long texts and bytes beside the JSON.
Result<Payload> payload_of(const recordings::Entry& entry) {
  std::string text = entry.value;
  std::vector<protocol::Blob> bytes;
  for (const auto& pointer : entry.bytes) {
    const std::string_view at = protocol::raw_at(text, pointer);
    if (!at.starts_with('"')) return fail(ErrorCode::kConfig, "the recorded value of " + entry.address + " has no bytes at '" + pointer + "'", "Record it anew.");
    auto data = base64_decode(protocol::unquote(at));
    if (!data) return fail(std::move(data.error()));
    bytes.push_back({pointer, true, std::move(*data)});
    text.replace(static_cast<std::size_t>(at.data() - text.data()), at.size(), "null");
  }
  Payload payload = protocol::deflate(std::move(text));
  for (auto& blob : bytes) payload.blobs.push_back(std::move(blob));
  return payload;
}

std::string chosen_model() {
  const char* name = std::getenv("SABIR_MODEL");
  return name ? name : "";
}

}  // namespace

void Engine::State::learn_secrets() {
  const std::lock_guard learn(learning);
  std::shared_ptr<const functions::Registry> functions_now;
  {
    const std::lock_guard lock(registry_mutex);
    functions_now = registry;
  }
  // Read here and not by load_models(): a call that asks no model opens no accounts of theirs.
  const auto* const models_file = project::find_config_file("config/openai_config.yml");
  const std::vector<fs::path> files{project->root / models_file->path, project->root / models_file->overlay(project->environment)};
  std::string stamps;
  for (const auto& file : files) stamps += stamp_of_content(file).text + "\n";
  if (functions_now != learned_registry || stamps != learned_models) {
    secret_names = grants.names();
    for (const auto& server : project->mcp_servers) {
      const auto names = project::secrets_of(server);
      secret_names.insert(secret_names.end(), names.begin(), names.end());
    }
    for (const auto& function : functions_now->functions()) secret_names.insert(secret_names.end(), function.schema.secrets.begin(), function.schema.secrets.end());
    if (const auto config = project::read_configuration(project->root, *models_file, project->environment)) {
      for (auto& named : project::secrets_named(*config)) secret_names.push_back(std::move(named.name));
    }
    learned_models = std::move(stamps);
    learned_registry = std::move(functions_now);
  }
  // Those of the file too that nothing names.
  secrets->install_redactor();
  for (const auto& name : secret_names) {
    // A secret that has no value needs no care.
    [[maybe_unused]] const auto known = secrets->resolve(name);
  }
}

std::shared_ptr<const secrets::Redactor> Engine::redactor() {
  state_->learn_secrets();
  return state_->secrets->redactor();
}

void Engine::use_recording(const std::string& name) {
  if (state_->recordings) state_->recordings->use(name);
}

std::vector<recordings::Entry> Engine::recorded() { return state_->recordings ? state_->recordings->so_far() : std::vector<recordings::Entry>(); }

std::vector<recordings::Miss> Engine::missed() { return state_->recordings ? state_->recordings->missed() : std::vector<recordings::Miss>(); }

std::optional<double> Engine::cost_usd(const std::string& model, const models::Usage& usage) {
  auto all = state_->load_models();
  return all ? (*all)->cost_usd(model, usage) : std::nullopt;
}

Result<void> Engine::State::open_recordings() {
  if (options.recording.mode == recordings::Mode::kOff) return {};
  recordings = std::make_unique<recordings::Recordings>(options.recording, project->root, chosen_model(), secrets->redactor(), [this] { flush_soon(); },
                                                        [this](const std::string& model, const models::Usage& usage) -> std::optional<double> {
                                                          auto all = load_models();
                                                          return all ? (*all)->cost_usd(model, usage) : std::nullopt;
                                                        });
  // A file that is named must be there, and be one; in a folder that is seen once a name is known.
  if (options.recording.mode != recordings::Mode::kReplay || recordings::is_folder(options.recording.path)) return {};
  auto player = recordings->player();
  if (!player) return fail(std::move(player.error()));
  return {};
}

Result<std::shared_ptr<models::Model>> Engine::State::model(const std::string& asked, bool chosen_wins, const std::string& caller, std::uint64_t parent) {
  auto all = load_models();
  if (!all) return fail(std::move(all.error()));
  std::string chosen = chosen_model();
  std::shared_ptr<recordings::Player> player;
  if (recordings) {
    auto opened = recordings->player();
    if (!opened) return fail(std::move(opened.error()));
    player = std::move(*opened);
    // What was chosen then, whatever is chosen now.
    if (player) chosen = player->recording().override_alias;
  }
  std::string alias = chosen_wins && !chosen.empty() ? std::string() : asked;
  if (player && alias.empty()) alias = chosen.empty() ? (*all)->default_alias() : chosen;
  auto recorder = recordings ? recordings->recorder() : nullptr;
  if (!player && !recorder) {
    auto live = (*all)->get(alias);
    if (!live) return live;
    return counted(traced(std::move(*live), alias, false), alias.empty() ? (*all)->default_alias() : alias);
  }
  auto info = (*all)->info(alias);
  if (!info) return fail(std::move(info.error()));
  recordings::Asked how{info->alias, info->model, info->parameters, caller, parent};
  if (player) return traced(recordings::make_replaying_model(std::move(how), std::move(player), recordings->prompts()), alias, true);
  auto inner = (*all)->get(alias);
  if (!inner) return inner;
  return counted(traced(recordings::make_recording_model(std::move(*inner), std::move(how), std::move(recorder), recordings->prompts()), alias, false), info->alias);
}

std::uint64_t Engine::State::begin_entry(std::uint64_t parent) {
  const auto recorder = recordings ? recordings->recorder() : nullptr;
  return recorder ? recorder->begin(parent) : 0;
}

functions::Functions::CallId Engine::State::call(functions::CallRequest request, workers::CallEvents events) {
  if (recordings) {
    // A call of a function that is not there is refused as ever.
    if (const auto function = registry->find(request.address)) {
      const std::string address = (*function)->language + "/" + (*function)->address;
      if (replay_call(address, request, events)) return 0;
      record_call(address, schema::effect_name((*function)->schema.effect), request, events);
    }
  }
  return functions->call(std::move(request), std::move(events));
}

functions::Functions::CallId Engine::State::call_respond(const functions::Assistant& assistant, functions::CallRequest request, workers::CallEvents events) {
  if (recordings) {
    const std::string address = assistant.language + "/" + request.address;
    if (replay_call(address, request, events)) return 0;
    record_call(address, schema::effect_name(schema::Effect::kWrite), request, events);
  }
  return functions->call_source(assistant.source, "respond", "\"positional\":[\"message\"]", assistant.respond_context_parameter, std::move(request),
                                std::move(events));
}

bool Engine::State::replay_call(const std::string& address, const functions::CallRequest& request, workers::CallEvents& events) {
  if (!recordings->replays_functions()) return false;
  auto player = recordings->player();
  if (player && !*player) return false;
  const auto answer = [&](Result<Payload> outcome) {
    note_replayed(request, outcome);
    loop.post([done = std::move(events.done), shared = std::make_shared<Result<Payload>>(std::move(outcome))] { done(std::move(*shared)); });
    return true;
  };
  if (!player) return answer(fail(std::move(player.error())));
  auto arguments = protocol::inflate(request.arguments);
  if (!arguments) return answer(fail(std::move(arguments.error())));
  auto entry = (*player)->function(address, static_cast<bool>(events.chunk), *arguments);
  if (!entry) return answer(fail(std::move(entry.error())));
  for (const auto& chunk : (*entry)->chunks) {
    loop.post([take = events.chunk, chunk] {
      if (take) take(protocol::deflate(chunk));
    });
  }
  if ((*entry)->error) return answer(fail(error_from_json(*(*entry)->error)));
  return answer(payload_of(**entry));
}

void Engine::State::record_call(const std::string& address, std::string_view effect, functions::CallRequest& request, workers::CallEvents& events) {
  const auto recorder = recordings->recorder();
  if (!recorder) return;
  auto arguments = protocol::inflate(request.arguments);
  if (!arguments) return;
  if (request.entry == 0) request.entry = recorder->begin(request.parent);
  auto entry = std::make_shared<recordings::Entry>();
  entry->kind = recordings::Kind::kFunction;
  entry->address = address;
  entry->effect = effect;
  entry->caller = request.caller;
  entry->arguments = std::move(*arguments);
  entry->stream = static_cast<bool>(events.chunk);
  if (events.chunk) {
    events.chunk = [entry, chunk = std::move(events.chunk)](Payload value) {
      if (auto text = protocol::inflate(value)) entry->chunks.push_back(std::move(*text));
      chunk(std::move(value));
    };
  }
  events.done = [recorder, entry, id = request.entry, done = std::move(events.done)](Result<Payload> outcome) {
    bool keep = false;
    if (outcome) {
      auto text = protocol::inflate(*outcome);
      keep = text.has_value();
      if (text) entry->value = std::move(*text);
      for (const auto& blob : outcome->blobs) {
        if (blob.bytes) entry->bytes.push_back(blob.at);
      }
    } else if (recordings::is_answer(outcome.error())) {
      entry->error = to_json(outcome.error());
      keep = true;
    }
    if (keep) recorder->finish(id, std::move(*entry));
    done(std::move(outcome));
  };
}

void Engine::State::flush_soon() {
  if (stopping || flushing.exchange(true)) return;
  const bool taken = jobs->submit([this] {
    flushing = false;
    recordings->flush(false);
  });
  if (!taken) flushing = false;
}

}  // namespace sabir::runtime
