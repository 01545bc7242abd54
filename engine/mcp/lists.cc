// Lists a page at a time, and completion of arguments.
#include <algorithm>

#include "sabir/base/text.h"
#include "sabir/mcp/server.h"

namespace sabir::mcp {
namespace {

constexpr std::size_t kMostValues = 100;  // of a completion, as the protocol has it

// Where a page ended: which list's entry it was. Opaque to clients, and nothing that they could do harm with.
std::string cursor(char kind, std::string_view key) { return base64_encode(std::string(1, kind) + std::string(key)); }

struct Place {
  char kind = 0;
  std::string key;
};
std::optional<Place> place_of(const std::string& cursor) {
  if (cursor.size() > 8192) return std::nullopt;
  auto text = base64_decode(cursor);
  if (!text || text->empty()) return std::nullopt;
  return Place{text->front(), text->substr(1)};
}

Refusal bad_cursor() { return {kInvalidParams, "'cursor' is not one that this list gave", {}}; }

// `"tools":[…],"nextCursor":"…"` of the entries after `after`.
template <class Entry, class Key, class Text>
std::string page_of(std::string_view name, const std::vector<Entry>& entries, char kind, const std::string& after, int most, Key key, Text text) {
  auto at = std::upper_bound(entries.begin(), entries.end(), after, [&](const std::string& wanted, const Entry& entry) { return wanted < key(entry); });
  std::string out = "\"" + std::string(name) + "\":[";
  for (int i = 0; i < most && at != entries.end(); ++i, ++at) {
    if (i > 0) out += ',';
    out += text(*at);
  }
  out += ']';
  if (at != entries.end()) out += ",\"nextCursor\":\"" + cursor(kind, key(*std::prev(at))) + "\"";
  return out;
}

bool begins(std::string_view text, std::string_view with) {
  return text.size() >= with.size() && std::equal(with.begin(), with.end(), text.begin(), [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); });
}

void answer_values(Work& work, std::vector<std::string> values, std::string_view begun) {
  std::erase_if(values, [&](const std::string& value) { return !begins(value, begun); });
  const std::size_t total = values.size();
  if (values.size() > kMostValues) values.resize(kMostValues);
  json::array list;
  for (auto& value : values) list.emplace_back(std::move(value));
  work.answer({{"completion", json::object{{"values", std::move(list)}, {"total", total}, {"hasMore", total > kMostValues}}}});
}

constexpr auto kName = [](const auto& entry) -> const std::string& { return entry.name; };
constexpr auto kUri = [](const auto& entry) -> const std::string& { return entry.uri; };
constexpr auto kListed = [](const auto& entry) -> const std::string& { return entry.listed; };

}  // namespace

void Server::list(const WorkPtr& work, const json::object& params) {
  std::string after;
  if (const auto* given = params.if_contains("cursor")) {
    if (!given->is_string()) return work->refuse(bad_cursor());
    after = given->get_string();
  }
  if (work->method_ == "resources/list") return list_resources(work, after);
  const char kind = work->method_ == "tools/list" ? 't' : work->method_ == "prompts/list" ? 'p' : 'u';
  if (!after.empty()) {
    const auto place = place_of(after);
    if (!place || place->kind != kind) return work->refuse(bad_cursor());
    after = place->key;
  }
  const auto catalogue = host_.catalogue();
  const int page = options_.page;
  if (kind == 't') {
    const bool stateless = is_stateless(work->revision_);
    return work->answer_members(page_of("tools", catalogue->tools, kind, after, page, kName, [&](const Tool& tool) -> const std::string& { return stateless ? tool.listed_stateless : tool.listed; }));
  }
  if (kind == 'p') return work->answer_members(page_of("prompts", catalogue->prompts, kind, after, page, kName, kListed));
  work->answer_members(page_of("resourceTemplates", catalogue->templates, kind, after, page, kUri, kListed));
}

// The catalogue's own first, then what the host finds.
void Server::list_resources(const WorkPtr& work, const std::string& given) {
  std::optional<Place> place = given.empty() ? Place{'r', {}} : place_of(given);
  if (!place || (place->kind != 'r' && place->kind != 'h')) return work->refuse(bad_cursor());
  std::string out;
  int room = options_.page;
  if (place->kind == 'r') {
    const auto catalogue = host_.catalogue();
    const auto& entries = catalogue->resources;
    auto at = std::upper_bound(entries.begin(), entries.end(), place->key, [](const std::string& wanted, const Resource& entry) { return wanted < entry.uri; });
    for (; room > 0 && at != entries.end(); ++at, --room) out += (out.empty() ? "" : ",") + at->listed;
    if (room == 0) {
      const auto next = at != entries.end() ? cursor('r', std::prev(at)->uri) : cursor('h', {});
      return work->answer_members("\"resources\":[" + out + "],\"nextCursor\":\"" + next + "\"");
    }
    place->key.clear();
  }
  begin(work);
  host_.more_resources(*work, place->key, room, [work, out = std::move(out)](Result<Host::More> more) mutable {
    if (!more) return work->refuse({more.error().code == ErrorCode::kInvalidArguments ? kInvalidParams : kInternalError, more.error().message, {}});
    for (const auto& resource : more->resources) out += (out.empty() ? "" : ",") + listed(resource);
    work->answer_members("\"resources\":[" + out + "]" + (more->next.empty() ? std::string() : ",\"nextCursor\":\"" + cursor('h', more->next) + "\""));
  });
}

void Server::complete(const WorkPtr& work, const json::object& params) {
  const auto* ref = params.if_contains("ref");
  const auto* argument = params.if_contains("argument");
  if (!ref || !ref->is_object() || !argument || !argument->is_object()) return work->refuse({kInvalidParams, "'ref' and 'argument' must be objects", {}});
  Completion asked;
  const auto type = string_or(ref->get_object(), "type");
  asked.is_prompt = type == "ref/prompt";
  if (!asked.is_prompt && type != "ref/resource") return work->refuse({kInvalidParams, "'ref' is a ref/prompt or a ref/resource", {}});
  asked.name = string_or(ref->get_object(), asked.is_prompt ? "name" : "uri");
  asked.argument = string_or(argument->get_object(), "name");
  asked.value = string_or(argument->get_object(), "value");
  if (const auto* context = params.if_contains("context"); context && context->is_object()) {
    if (const auto* known = context->get_object().if_contains("arguments"); known && known->is_object()) asked.arguments = known->get_object();
  }
  const auto catalogue = host_.catalogue();
  const std::vector<Argument>* arguments = nullptr;
  if (asked.is_prompt) {
    if (const auto* prompt = catalogue->prompt(asked.name)) arguments = &prompt->arguments;
  } else {
    for (const auto& one : catalogue->templates) {
      if (one.uri == asked.name) arguments = &one.arguments;
    }
    // A resource without variables has nothing to complete.
    if (!arguments && catalogue->resource(asked.name)) return answer_values(*work, {}, {});
  }
  if (!arguments) return work->refuse({kInvalidParams, "there is no " + std::string(asked.is_prompt ? "prompt" : "resource template") + " '" + asked.name + "'", {}});
  const auto found = std::find_if(arguments->begin(), arguments->end(), [&](const auto& one) { return one.name == asked.argument; });
  if (found == arguments->end()) return answer_values(*work, {}, {});
  auto choices = choices_of(found->schema);
  if (!choices.empty() || asked.is_prompt) return answer_values(*work, std::move(choices), asked.value);
  begin(work);
  host_.complete(*work, asked, [work, begun = asked.value](std::vector<std::string> values) { answer_values(*work, std::move(values), begun); });
}

}  // namespace sabir::mcp
