// Answers requests of templates (bridge/src/templates/request.rs), a line of JSON each, until standard input ends. What
// tests/jinja2/facade asks; the rendering is a prompt's own.
#include <iostream>
#include <string>

#include "sabir/bridge/bridge.h"

int main() {
  std::ios::sync_with_stdio(false);
  std::string request;
  while (std::getline(std::cin, request)) {
    sb_buf answer{nullptr, 0};
    sb_templates_answer({request.data(), request.size()}, &answer);
    std::cout.write(answer.data, static_cast<std::streamsize>(answer.size));
    std::cout << "\n" << std::flush;
    sb_free(answer);
  }
  return 0;
}
