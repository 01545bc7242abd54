#include "sabir/base/ids.h"

#include <sys/random.h>

#include <array>
#include <chrono>
#include <cstdint>

namespace sabir {

std::string new_id() {
  static constexpr char kAlphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  std::uint64_t ms = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                                    std::chrono::system_clock::now().time_since_epoch())
                                                    .count());
  std::array<unsigned char, 16> random{};
  std::size_t have = 0;
  while (have < random.size()) {
    const auto n = ::getrandom(random.data() + have, random.size() - have, 0);
    if (n > 0) have += static_cast<std::size_t>(n);
  }
  std::string id(26, '0');
  for (int i = 9; i >= 0; --i) {
    id[static_cast<std::size_t>(i)] = kAlphabet[ms & 31U];
    ms >>= 5U;
  }
  for (std::size_t i = 0; i < 16; ++i) id[10 + i] = kAlphabet[random[i] & 31U];
  return id;
}

}  // namespace sabir
