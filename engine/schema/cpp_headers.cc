#include "cpp_headers.h"

#include <filesystem>
#include <set>

namespace sabir::schema {
namespace {

constexpr std::size_t kMostHeaders = 64;
constexpr std::size_t kMostBytes = std::size_t{4} << 20U;
constexpr int kDeepest = 16;

class Loader {
 public:
  explicit Loader(const ReadOther& read_other) : read_other_(read_other) {}

  void of(const Node& body, const std::string& file, int depth) {
    for (const auto& node : body.children()) {
      if (node.is("preproc_ifdef") || node.is("preproc_if")) of(node, file, depth);
      if (!node.is("preproc_include")) continue;
      const Node path = node.child("path");
      const bool quoted = path.is("string_literal");
      if ((!quoted && !path.is("system_lib_string")) || path.text().size() < 3) continue;
      include(std::string(path.text().substr(1, path.text().size() - 2)), quoted ? file : "", depth);
    }
  }

  std::vector<CppHeader> take() { return std::move(out_); }

 private:
  void include(const std::string& name, const std::string& from, int depth) {
    const auto beside = (std::filesystem::path(from).parent_path() / name).lexically_normal().string();
    const auto at_root = std::filesystem::path(name).lexically_normal().string();
    for (const auto& path : {beside, at_root}) {
      if (path.starts_with("..") || path.starts_with('/')) continue;
      if (seen_.contains(path)) return;
      if (depth >= kDeepest || seen_.size() >= kMostHeaders) return;
      const auto text = read_other_(path);
      if (!text) continue;
      seen_.insert(path);
      bytes_ += text->size();
      if (bytes_ > kMostBytes) return;
      auto syntax = Syntax::parse("cpp", *text, path);
      if (!syntax) return;
      of((*syntax)->root(), path, depth + 1);
      out_.push_back({path, std::move(*syntax)});
      return;
    }
  }

  const ReadOther& read_other_;
  std::set<std::string> seen_;
  std::size_t bytes_ = 0;
  std::vector<CppHeader> out_;
};

}  // namespace

std::vector<CppHeader> cpp_headers(const Syntax& source, const std::string& file, const ReadOther& read_other) {
  if (!read_other) return {};
  Loader loader(read_other);
  loader.of(source.root(), file, 0);
  return loader.take();
}

}  // namespace sabir::schema
