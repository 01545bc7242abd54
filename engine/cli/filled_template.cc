#include "filled_template.h"

#include <algorithm>
#include <map>

#include "sabir/base/text.h"

namespace sabir::cli {
namespace {
constexpr std::uint64_t kFuel = 1'000'000;
}

FilledTemplates::FilledTemplates(json::object context) : context_(json::serialize(context)) {
  handle_.reset(sb_templates_new([](void*, sb_str, sb_str*) { return 0; }, nullptr, kFuel));
}

Result<std::string> FilledTemplates::render(const std::string& name, const std::string& text) {
  sb_buf out{};
  const int status = sb_templates_render_text(handle_.get(), {name.data(), name.size()}, {text.data(), text.size()}, {context_.data(), context_.size()}, &out);
  std::string result(out.data == nullptr ? "" : out.data, out.size);
  sb_free(out);
  if (status != 0) return fail(Error(ErrorCode::kTemplate, "the project template does not render: " + result, "The engine's own files are damaged; install it again.").at(name));
  if (!result.empty() && result.back() != '\n') result += '\n';
  return result;
}

const std::vector<std::string>& ci_steps() {
  static const std::vector<std::string> steps{"sabir setup", "sabir check", "sabir secrets scan", "sabir test --affected --junit .sabir/junit.xml"};
  return steps;
}

void fill_for_ci(json::object& context, const std::vector<std::string>& languages, const std::string& folder, const std::string& file) {
  // Ubuntu's packages, beyond what GitHub's runners have.
  static const std::map<std::string, std::string> packages{{"cpp", "g++ cmake libgtest-dev libgmock-dev"}, {"ruby", "ruby ruby-rspec"}, {"java", "junit5"}, {"shell", "bats"}, {"php", "phpunit"}};
  std::vector<std::string> needed;
  for (const auto& [language, names] : packages) {
    if (std::find(languages.begin(), languages.end(), language) != languages.end()) needed.push_back(names);
  }
  context["packages"] = join(needed, " ");
  context["folder"] = folder;
  context["prefix"] = folder.empty() ? "" : folder + "/";
  context["file"] = file;
  context["steps"] = json::array(ci_steps().begin(), ci_steps().end());
}

}  // namespace sabir::cli
