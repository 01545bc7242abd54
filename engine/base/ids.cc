#include "sabir/base/ids.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>

namespace sabir {

namespace {

// The kernel's, as many at once as it gives without an interruption.
std::array<unsigned char, 16> sixteen_random_bytes() {
  struct Bytes {
    std::array<unsigned char, 256> bytes{};
    std::size_t used = sizeof bytes;
  };
  thread_local Bytes have;
  if (have.used == have.bytes.size()) {
    for (std::size_t filled = 0; filled < have.bytes.size();) {
      const auto n = ::getrandom(have.bytes.data() + filled, have.bytes.size() - filled, 0);
      if (n > 0) filled += static_cast<std::size_t>(n);
    }
    have.used = 0;
  }
  std::array<unsigned char, 16> out{};
  const auto from = have.bytes.begin() + static_cast<std::ptrdiff_t>(have.used);
  std::copy(from, from + 16, out.begin());
  std::fill(from, from + 16, static_cast<unsigned char>(0));
  have.used += 16;
  return out;
}

}  // namespace

std::string new_id() {
  static constexpr char kAlphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  std::uint64_t ms = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                                    std::chrono::system_clock::now().time_since_epoch())
                                                    .count());
  const auto random = sixteen_random_bytes();
  std::string id(26, '0');
  for (int i = 9; i >= 0; --i) {
    id[static_cast<std::size_t>(i)] = kAlphabet[ms & 31U];
    ms >>= 5U;
  }
  for (std::size_t i = 0; i < 16; ++i) id[10 + i] = kAlphabet[random[i] & 31U];
  return id;
}

}  // namespace sabir
