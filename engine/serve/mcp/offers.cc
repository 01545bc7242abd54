#include "offers.h"

#include <algorithm>

#include "sabir/base/log.h"
#include "sabir/base/text.h"
#include "sabir/completions/renderer.h"

namespace sabir::serve {
namespace {

// A first sentence that is short enough to be a title.
std::string title_of(const std::string& summary) {
  std::string line(trim(std::string_view(summary).substr(0, summary.find('\n'))));
  if (const auto end = line.find(". "); end != std::string::npos) line.resize(end);
  while (line.ends_with('.')) line.pop_back();
  return line.size() <= 80 ? line : std::string();
}

mcp::Tool tool_of(const functions::Function& function, const project::McpSettings& settings) {
  const auto& schema = function.schema;
  mcp::Tool tool;
  tool.name = function.tool_name;
  tool.address = function.language + "/" + function.address;
  tool.title = title_of(schema.summary);
  tool.description = !schema.doc.empty() ? schema.doc : "Calls the function " + function.address + ".";
  tool.input_schema = schema.input_schema;
  tool.output_schema = schema.output_schema;
  if (!schema.return_doc.empty() && !tool.output_schema.empty() && !tool.output_schema.contains("description")) tool.output_schema["description"] = schema.return_doc;
  tool.is_read_only = schema.effect == schema::Effect::kRead;
  tool.is_irreversible = schema.effect == schema::Effect::kIrreversible;
  tool.is_idempotent = schema.idempotent;
  auto headers = settings.headers.find(function.address);
  if (headers == settings.headers.end()) headers = settings.headers.find(tool.address);
  if (headers == settings.headers.end()) return tool;
  auto* properties = tool.input_schema.if_contains("properties");
  for (const auto& [parameter, header] : headers->second) {
    auto* property = properties && properties->is_object() ? properties->get_object().if_contains(to_snake_case(parameter)) : nullptr;
    if (property && property->is_object()) property->get_object()["x-mcp-header"] = header;
  }
  return tool;
}

std::vector<mcp::Argument> arguments_of(const json::object& schema) {
  std::vector<mcp::Argument> out;
  const auto* properties = schema.if_contains("properties");
  const auto* required = schema.if_contains("required");
  if (!properties || !properties->is_object()) return out;
  for (const auto& member : properties->get_object()) {
    mcp::Argument argument;
    argument.name = member.key();
    if (member.value().is_object()) argument.schema = member.value().get_object();
    argument.description = string_or(argument.schema, "description");
    argument.is_required = required && required->is_array() && std::find(required->get_array().begin(), required->get_array().end(), json::value(member.key())) != required->get_array().end();
    out.push_back(std::move(argument));
  }
  return out;
}

mcp::Prompt prompt_of(const completions::Renderer& renderer, const project::Project& project, const completions::PromptInfo& info) {
  mcp::Prompt prompt;
  prompt.name = info.name;
  const auto front = completions::read_front_matter(project.root, info.name);
  const json::object none;
  const auto& settings = front ? *front : none;
  prompt.description = string_or(settings, "description");
  if (prompt.description.empty()) prompt.description = "The prompt " + info.name + " of " + project.name + ".";
  const json::value whole(settings);
  json::error_code ec;
  const auto* schema = whole.find_pointer("/input/schema", ec);
  const auto* defaults = whole.find_pointer("/input/defaults", ec);
  if (schema && schema->is_object()) {
    prompt.arguments = arguments_of(schema->get_object());
  } else if (auto names = renderer.variables(info.name)) {
    for (auto& name : *names) prompt.arguments.push_back({std::move(name), "", true, {}});
  }
  for (auto& argument : prompt.arguments) {
    if (defaults && defaults->is_object() && defaults->get_object().contains(argument.name)) argument.is_required = false;
  }
  return prompt;
}

template <class Entry>
bool same_lists(const std::vector<Entry>& a, const std::vector<Entry>& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](const Entry& x, const Entry& y) { return x.listed == y.listed; });
}

}  // namespace

std::string_view part_type(std::string_view file) { return file.ends_with(".md") ? "text/markdown" : "text/plain"; }

std::shared_ptr<const mcp::Catalogue> catalogue_of(const project::Project& project, const functions::Registry& registry) {
  auto out = std::make_shared<mcp::Catalogue>();
  const auto& settings = project.mcp;
  const auto may = [&](const std::string& name) { return project.exposure.reaches(project::Door::kMcp, name); };
  const auto may_call = [&](const functions::Function& function) { return project.exposure.reaches_function(project::Door::kMcp, function.language, function.address); };
  std::set<const functions::Function*> elsewhere;  // seen as a prompt or a resource, and no tool besides
  const auto function_at = [&](const std::string& address) -> const functions::Function* {
    const auto found = registry.find(address);
    if (!found) return nullptr;
    elsewhere.insert(*found);
    return *found;
  };
  for (const auto& [name, address] : settings.prompts) {
    const auto* function = function_at(address);
    if (!function || function->disabled || !may("prompts/" + name)) continue;
    mcp::Prompt prompt;
    prompt.name = name;
    prompt.title = title_of(function->schema.summary);
    prompt.description = function->schema.doc;
    prompt.arguments = arguments_of(function->schema.input_schema);
    prompt.address = function->language + "/" + function->address;
    out->prompts.push_back(std::move(prompt));
  }
  for (const auto& given : settings.resources) {
    const auto* function = function_at(given.function);
    if (!function || function->disabled || !may_call(*function)) continue;
    const auto variables = mcp::variables_of(given.uri);
    if (!variables) continue;
    const std::string description = given.description.empty() ? function->schema.doc : given.description;
    const std::string title = given.title.empty() ? title_of(function->schema.summary) : given.title;
    const std::string address = function->language + "/" + function->address;
    if (variables->empty()) {
      mcp::Resource resource;
      resource.uri = given.uri;
      resource.name = function->schema.canonical;
      resource.title = title;
      resource.description = description;
      resource.media_type = given.media_type;
      resource.address = address;
      resource.is_bytes = mcp::bytes_in(function->schema.output_schema) == mcp::Bytes::kValue;
      out->resources.push_back(std::move(resource));
    } else {
      mcp::ResourceTemplate one;
      one.uri = given.uri;
      one.name = function->schema.canonical;
      one.title = title;
      one.description = description;
      one.media_type = given.media_type;
      one.address = address;
      one.is_bytes = mcp::bytes_in(function->schema.output_schema) == mcp::Bytes::kValue;
      for (auto& argument : arguments_of(function->schema.input_schema)) {
        if (std::find(variables->begin(), variables->end(), argument.name) != variables->end()) one.arguments.push_back(std::move(argument));
      }
      out->templates.push_back(std::move(one));
    }
  }
  for (const auto& function : registry.functions()) {
    if (function.tool_name.empty() || function.disabled || elsewhere.contains(&function) || !may_call(function)) continue;
    out->tools.push_back(tool_of(function, settings));
  }
  const completions::Renderer renderer(project.root);
  if (const auto prompts = renderer.list()) {
    for (const auto& info : *prompts) {
      if (!may("prompts/" + info.name)) continue;
      if (!info.is_part) {
        out->prompts.push_back(prompt_of(renderer, project, info));
        continue;
      }
      mcp::Resource part;
      constexpr std::string_view kFolder = "completions/prompt_parts/";
      const std::string file = info.file.starts_with(kFolder) ? info.file.substr(kFolder.size()) : info.file;
      for (const auto& step : std::filesystem::path(file)) part.uri += (part.uri.empty() ? std::string(kPartUris) : "/") + mcp::percent_encoded(step.string());
      part.name = file;
      part.description = "A part that prompts of " + project.name + " share.";
      part.media_type = part_type(file);
      std::error_code ec;
      if (const auto size = std::filesystem::file_size(project.root / info.file, ec); !ec) part.size = size;
      out->resources.push_back(std::move(part));
    }
  }
  if (may("memory")) {
    mcp::ResourceTemplate memory;
    memory.uri = kMemoryTemplate;
    memory.name = "memory";
    memory.title = "Memory";
    memory.description = "One item of the project's memory, of whoever asks.";
    mcp::Argument name_space{"namespace", "Where items are kept apart.", true, {}};
    json::array names;
    for (const auto& name : settings.memory) names.emplace_back(name);
    if (!names.empty()) name_space.schema["examples"] = std::move(names);
    memory.arguments = {std::move(name_space), {"key", "The item's key.", true, {}}};
    out->templates.push_back(std::move(memory));
  }
  out->finish();
  return out;
}

namespace {

// Settings that lead nowhere are said once, where whoever wrote them looks.
void warn_of_missing(const project::Project& project, const functions::Registry& registry) {
  const auto look = [&](const std::string& key, const std::string& address) {
    if (const auto found = registry.find(address); !found) log(LogLevel::kWarning, "sabir.yml: mcp." + key + ": " + to_text(found.error()));
  };
  for (const auto& [name, address] : project.mcp.prompts) look("prompts." + name, address);
  for (const auto& resource : project.mcp.resources) {
    look("resources." + resource.uri, resource.function);
    if (!mcp::variables_of(resource.uri)) log(LogLevel::kWarning, "sabir.yml: mcp.resources: '" + resource.uri + "' has braces that are no variable");
  }
  for (const auto& [address, parameters] : project.mcp.headers) look("headers." + address, address);
}

}  // namespace

Offers::Offers(runtime::Engine& engine) : engine_(engine), project_(engine.current_project()), catalogue_(catalogue_of(*project_, *engine.registry())) {
  warn_of_missing(*project_, *engine.registry());
  engine_.on_saved([this, alive = alive_](const std::set<std::string>& paths) {
    if (*alive) saved(paths);
  });
  engine_.on_reloaded([this, alive = alive_](const runtime::ReloadReport&) {
    if (*alive) refresh();
  });
}

Offers::~Offers() { *alive_ = false; }

void Offers::saved(const std::set<std::string>& paths) {
  Changes changes;
  bool prompts = paths.empty();
  for (const auto& path : paths) {
    constexpr std::string_view kFolder = "completions/";
    constexpr std::string_view kParts = "completions/prompt_parts/";
    if (!path.starts_with(kFolder)) continue;
    prompts = true;
    if (!path.starts_with(kParts)) continue;
    std::string uri;
    for (const auto& step : std::filesystem::path(path.substr(kParts.size()))) uri += (uri.empty() ? std::string(kPartUris) : "/") + mcp::percent_encoded(step.string());
    changes.resources.push_back(std::move(uri));
  }
  tell(changes);
  // What functions became is read once they are served.
  if (prompts) refresh();
}

void Offers::refresh() {
  if (reading_) {
    again_ = true;
    return;
  }
  reading_ = true;
  auto project = engine_.current_project();
  auto registry = engine_.registry();
  const bool taken = jobs_.submit([this, alive = alive_, project, registry] {
    auto catalogue = catalogue_of(*project, *registry);
    engine_.loop().post([this, alive, project, catalogue = std::move(catalogue)]() mutable {
      if (!*alive) return;
      reading_ = false;
      Changes changes;
      if (!same_lists(catalogue_->tools, catalogue->tools)) changes.lists.push_back(mcp::ListKind::kTools);
      if (!same_lists(catalogue_->prompts, catalogue->prompts)) changes.lists.push_back(mcp::ListKind::kPrompts);
      if (!same_lists(catalogue_->resources, catalogue->resources) || !same_lists(catalogue_->templates, catalogue->templates)) changes.lists.push_back(mcp::ListKind::kResources);
      catalogue_ = std::move(catalogue);
      project_ = project;
      tell(changes);
      if (std::exchange(again_, false)) refresh();
    });
  });
  if (!taken) reading_ = false;
}

void Offers::tell(const Changes& changes) {
  if (changes.lists.empty() && changes.resources.empty()) return;
  const auto listeners = listeners_;  // one may go while it is told
  for (const auto& [key, listener] : listeners) listener(changes);
}

}  // namespace sabir::serve
