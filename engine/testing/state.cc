#include "state.h"

#include <cstring>

#include "sabir/base/file.h"

namespace sabir::testing {
namespace {

constexpr std::string_view kMagic = "SABIRTST";
constexpr std::uint32_t kMostItems = 4'000'000;
constexpr std::size_t kMostBytes = std::size_t{512} << 20U;

// Numbers as they lie in this machine's memory: the file is of use here alone.
class Writer {
 public:
  template <typename Number>
  void number(Number value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(std::string_view value) {
    number(static_cast<std::uint32_t>(value.size()));
    out_.append(value);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_{kMagic};
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  template <typename Number>
  Number number() {
    Number value{};
    if (rest_.size() < sizeof value) {
      fine_ = false;
      return value;
    }
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }
  std::string_view text() {
    const auto size = number<std::uint32_t>();
    if (size > rest_.size()) fine_ = false;
    if (!fine_) return {};
    const auto value = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return value;
  }
  // How many of something that takes at least `least` bytes each may follow.
  std::uint32_t count(std::size_t least) {
    const auto value = number<std::uint32_t>();
    if (value > kMostItems || value > rest_.size() / least) fine_ = false;
    return fine_ ? value : 0;
  }
  bool fine() const { return fine_; }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  bool fine_ = true;
};

}  // namespace

Result<State> parse_state(std::string_view bytes) {
  const auto broken = [] { return fail(ErrorCode::kConfig, "the kept state of tests cannot be read", "Remove .sabir/tests; the tests are run once more."); };
  if (!bytes.starts_with(kMagic)) return broken();
  Reader in(bytes.substr(kMagic.size()));
  const auto format = in.number<std::uint32_t>();
  if (in.fine() && format > kStateFormat) {
    return fail(ErrorCode::kStoreNewer, "the kept state of tests has the format " + std::to_string(format) + ", which a newer version of Sabir wrote", "Remove .sabir/tests; the tests are run once more.");
  }
  if (format != kStateFormat) return broken();
  State state;
  std::vector<std::string> paths;
  const auto files = in.count(8 * 6 + 8 + 8);
  paths.reserve(files);
  state.files.reserve(files);
  for (std::uint32_t i = 0; i < files && in.fine(); ++i) {
    paths.emplace_back(in.text());
    KnownFile file;
    for (auto& number : file.stamp) number = in.number<std::int64_t>();
    file.content = in.number<std::uint64_t>();
    const auto refs = in.count(5);
    file.refs.reserve(refs);
    for (std::uint32_t k = 0; k < refs && in.fine(); ++k) {
      const auto kind = in.number<std::uint8_t>();
      if (kind == 0 || kind > kLastRefKind) return broken();
      file.refs.push_back({static_cast<RefKind>(kind), std::string(in.text())});
    }
    state.files.emplace(paths.back(), std::move(file));
  }
  const auto tests = in.count(64);
  for (std::uint32_t i = 0; i < tests && in.fine(); ++i) {
    const std::string path(in.text());
    KnownTest test;
    test.passed = in.number<std::uint8_t>() != 0;
    for (auto* closure : {&test.passing, &test.last}) {
      closure->low = in.number<std::uint64_t>();
      closure->high = in.number<std::uint64_t>();
    }
    test.seconds = in.number<double>();
    if (!(test.seconds >= 0 && test.seconds < 1e9)) test.seconds = 0;
    test.cases = in.number<std::uint32_t>();
    const auto failed = in.count(4);
    for (std::uint32_t k = 0; k < failed && in.fine(); ++k) test.failed.emplace_back(in.text());
    const auto depended = in.count(12);
    test.depended.reserve(depended);
    for (std::uint32_t k = 0; k < depended && in.fine(); ++k) {
      const auto index = in.number<std::uint32_t>();
      const auto content = in.number<std::uint64_t>();
      if (index >= paths.size()) return broken();
      test.depended.emplace_back(paths[index], content);
    }
    state.tests.emplace(path, std::move(test));
  }
  if (!in.fine() || !in.at_end()) return broken();
  return state;
}

std::string to_bytes(const State& state) {
  Writer out;
  out.number(kStateFormat);
  std::unordered_map<std::string_view, std::uint32_t> index;
  out.number(static_cast<std::uint32_t>(state.files.size()));
  for (const auto& [path, file] : state.files) {
    index.emplace(path, static_cast<std::uint32_t>(index.size()));
    out.text(path);
    for (const auto number : file.stamp) out.number(number);
    out.number(file.content);
    out.number(static_cast<std::uint32_t>(file.refs.size()));
    for (const auto& ref : file.refs) {
      out.number(static_cast<std::uint8_t>(ref.kind));
      out.text(ref.text);
    }
  }
  out.number(static_cast<std::uint32_t>(state.tests.size()));
  for (const auto& [path, test] : state.tests) {
    out.text(path);
    out.number(static_cast<std::uint8_t>(test.passed ? 1 : 0));
    for (const auto* closure : {&test.passing, &test.last}) {
      out.number(closure->low);
      out.number(closure->high);
    }
    out.number(test.seconds);
    out.number(test.cases);
    out.number(static_cast<std::uint32_t>(test.failed.size()));
    for (const auto& id : test.failed) out.text(id);
    std::vector<std::pair<std::uint32_t, std::uint64_t>> depended;
    for (const auto& [name, content] : test.depended) {
      // What is no longer there was removed, which the path alone tells.
      if (const auto at = index.find(name); at != index.end()) depended.emplace_back(at->second, content);
    }
    out.number(static_cast<std::uint32_t>(depended.size()));
    for (const auto& [at, content] : depended) {
      out.number(at);
      out.number(content);
    }
  }
  return out.take();
}

State load_state(const std::filesystem::path& file) {
  auto bytes = read_file(file, kMostBytes);
  if (!bytes) return {};
  auto state = parse_state(*bytes);
  return state ? std::move(*state) : State();
}

Result<void> save_state(const std::filesystem::path& file, const State& state) {
  std::error_code ignored;
  std::filesystem::create_directories(file.parent_path(), ignored);
  return write_file(file, to_bytes(state));
}

}  // namespace sabir::testing
