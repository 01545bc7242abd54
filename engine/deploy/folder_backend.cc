#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "digest.h"
#include "sabir/base/file.h"
#include "sabir/base/ids.h"
#include "sabir/deploy/backend.h"
#include "sabir/process/spawn.h"

namespace sabir::deploy {
namespace {
namespace fs = std::filesystem;

constexpr std::size_t kMostObject = std::size_t{64} << 20U;

Error io_error(const fs::path& path, int number) {
  return Error(number == ENOSPC || number == EDQUOT ? ErrorCode::kStorageFull : ErrorCode::kIo, path.string() + ": " + std::strerror(number));
}

Result<void> sync(const fs::path& path, int flags) {
  const process::Fd fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return fail(io_error(path, errno));
  return {};
}

class FolderBackend : public Backend {
 public:
  explicit FolderBackend(fs::path folder) : folder_(std::move(folder)) {}

  std::string where() const override { return folder_.string(); }

  Result<Object> get(const std::string& name) override {
    auto bytes = read_file(folder_ / name, kMostObject);
    if (!bytes) return fail(std::move(bytes.error()));
    std::string version = sha256(*bytes);
    return Object{std::move(*bytes), std::move(version)};
  }

  Result<std::string> put(const std::string& name, std::string_view bytes, const std::optional<std::string>& expected) override {
    auto held = hold();
    if (!held) return fail(std::move(held.error()));
    if (auto ok = expect(name, expected); !ok) return fail(std::move(ok.error()));
    const fs::path path = folder_ / name;
    if (auto ok = make_parent(path); !ok) return fail(std::move(ok.error()));
    // The bytes last before the name does, and then that.
    const fs::path part = path.parent_path() / ("." + new_id() + ".tmp");
    if (auto ok = write_file(part, bytes, 0600); !ok) return fail(std::move(ok.error()));
    if (auto ok = sync(part, O_RDONLY); !ok) return fail(std::move(ok.error()));
    if (std::error_code ec; fs::rename(part, path, ec), ec) return fail(io_error(path, ec.value()));
    if (auto ok = sync(path.parent_path(), O_RDONLY | O_DIRECTORY); !ok) return fail(std::move(ok.error()));
    return sha256(bytes);
  }

  Result<void> remove(const std::string& name, const std::optional<std::string>& expected) override {
    auto held = hold();
    if (!held) return fail(std::move(held.error()));
    std::error_code ec;
    if (!fs::exists(folder_ / name, ec)) return {};
    if (auto ok = expect(name, expected); !ok) return ok;
    fs::remove(folder_ / name, ec);
    if (ec) return fail(io_error(folder_ / name, ec.value()));
    return sync((folder_ / name).parent_path(), O_RDONLY | O_DIRECTORY);
  }

  Result<std::vector<std::string>> list(const std::string& prefix) override {
    std::vector<std::string> out;
    const auto slash = prefix.rfind('/');
    const fs::path start = slash == std::string::npos ? folder_ : folder_ / prefix.substr(0, slash);
    std::error_code ec;
    for (fs::recursive_directory_iterator it(start, ec), end; !ec && it != end; it.increment(ec)) {
      if (!it->is_regular_file(ec)) continue;
      const auto name = it->path().lexically_relative(folder_).generic_string();
      // What write_file() has begun is named with a dot.
      if (name.starts_with(prefix) && !it->path().filename().string().starts_with('.') && name.find(".tmp") == std::string::npos) out.push_back(name);
    }
    std::sort(out.begin(), out.end());
    return out;
  }

  Result<void> put_file(const std::string& name, const fs::path& from, int mode) override {
    std::error_code ec;
    const fs::path to = folder_ / name;
    if (fs::exists(to, ec)) return {};
    if (auto ok = make_parent(to); !ok) return ok;
    const fs::path part = to.parent_path() / ("." + new_id() + ".tmp");
    fs::copy_file(from, part, ec);
    if (ec) return fail(io_error(from, ec.value()));
    if (::chmod(part.c_str(), static_cast<mode_t>(mode)) != 0) return fail(io_error(part, errno));
    if (auto ok = sync(part, O_RDONLY); !ok) return ok;
    fs::rename(part, to, ec);
    if (ec) return fail(io_error(to, ec.value()));
    return sync(to.parent_path(), O_RDONLY | O_DIRECTORY);
  }

  Result<void> get_file(const std::string& name, const fs::path& to) override {
    std::error_code ec;
    if (!fs::exists(folder_ / name, ec)) return fail(ErrorCode::kNotFound, (folder_ / name).string() + " is not there");
    fs::copy_file(folder_ / name, to, fs::copy_options::overwrite_existing, ec);
    if (ec) return fail(io_error(to, ec.value()));
    return {};
  }

 private:
  // Processes that write take turns: comparing and writing are one step.
  Result<process::Fd> hold() {
    std::error_code ec;
    fs::create_directories(folder_, ec);
    if (ec) return fail(io_error(folder_, ec.value()));
    ::chmod(folder_.c_str(), 0700);
    process::Fd fd(::open((folder_ / ".turn").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd) return fail(io_error(folder_, errno));
    for (int i = 0; i < 200; ++i) {
      if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
      ::usleep(50'000);
    }
    return fail(ErrorCode::kTimeout, folder_.string() + ": somebody has been writing there for ten seconds");
  }

  Result<void> expect(const std::string& name, const std::optional<std::string>& expected) {
    if (!expected) return {};
    auto there = get(name);
    if (!there && there.error().code != ErrorCode::kNotFound) return fail(std::move(there.error()));
    if ((there ? there->version : "") == *expected) return {};
    return fail(ErrorCode::kConflict, (folder_ / name).string() + ": somebody else has written there");
  }

  static Result<void> make_parent(const fs::path& path) {
    std::error_code ec;
    fs::create_directories(path.parent_path(), ec);
    if (ec) return fail(io_error(path.parent_path(), ec.value()));
    return {};
  }

  fs::path folder_;
};

}  // namespace

std::unique_ptr<Backend> folder_backend(fs::path folder) { return std::make_unique<FolderBackend>(std::move(folder)); }

}  // namespace sabir::deploy
