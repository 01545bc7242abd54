// The XML that AWS answers with: elements and their text. Attributes, namespaces and entities of a document's own are left out.
//
// Threads: plain values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"

namespace sabir::aws {

struct Element {
  std::string name;  // without its prefix
  std::string text;  // its own, with white space taken off at both ends where it has children
  std::vector<Element> children;

  // The first child of that name; null = there is none.
  const Element* child(std::string_view named) const;
  // The text of the child; "" = there is none.
  std::string_view said(std::string_view named) const;
  // The text of the first element of that name anywhere in it, itself included; "" = there is none.
  std::string_view find(std::string_view named) const;
  // The members of the list that a child is: <Named><member>…</member></Named>.
  const std::vector<Element>& list(std::string_view named) const;
};

// The document's root. At most 64 elements inside each other and 200,000 in all. Errors: kProtocol.
Result<Element> parse_xml(std::string_view text);

}  // namespace sabir::aws
