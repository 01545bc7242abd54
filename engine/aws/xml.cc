#include "sabir/aws/xml.h"

#include "sabir/base/json.h"
#include "sabir/bridge/bridge.h"

namespace sabir::aws {
namespace {

// {"n": name, "t": text, "c": [children]}, as deep as the bridge lets it be.
Element element_of(const json::object& object) {
  Element out{std::string(string_or(object, "n")), std::string(string_or(object, "t")), {}};
  if (const auto* children = object.if_contains("c"); children && children->is_array()) {
    out.children.reserve(children->get_array().size());
    for (const auto& one : children->get_array()) {
      if (one.is_object()) out.children.push_back(element_of(one.get_object()));
    }
  }
  return out;
}

}  // namespace

const Element* Element::child(std::string_view named) const {
  for (const auto& one : children) {
    if (one.name == named) return &one;
  }
  return nullptr;
}

std::string_view Element::said(std::string_view named) const {
  const auto* one = child(named);
  return one ? std::string_view(one->text) : std::string_view();
}

std::string_view Element::find(std::string_view named) const {
  if (name == named) return text;
  for (const auto& one : children) {
    if (const auto found = one.find(named); !found.empty()) return found;
  }
  return {};
}

const std::vector<Element>& Element::list(std::string_view named) const {
  static const std::vector<Element> none;
  const auto* one = child(named);
  return one ? one->children : none;
}

Result<Element> parse_xml(std::string_view text) {
  sb_buf out{};
  const int code = sb_xml_read({text.data(), text.size()}, &out);
  const std::string read(out.data == nullptr ? "" : out.data, out.size);
  sb_free(out);
  auto value = parse_json(read);
  if (!value || !value->is_object()) return fail(ErrorCode::kProtocol, "the answer is XML that cannot be read");
  if (code != 0) return fail(ErrorCode::kProtocol, "the answer is no XML: " + std::string(string_or(value->get_object(), "message")));
  return element_of(value->get_object());
}

}  // namespace sabir::aws
