// Transfers: exchanges of libcurl on the loop's own thread, for fibers: no thread waits for any of them. While one is under way the loop
// is held (Loop::hold): after short waits it looks for the answer before it sleeps.
//
// Threads: the loop's.
#pragma once

#include <optional>

#include "curl_library.h"
#include "sabir/net/fiber.h"

namespace sabir::net {

class Transfers;

// One exchange of the current fiber. The handle has to be set up, but for CURLOPT_PRIVATE and the socket functions, and outlives it.
class Transfer {
 public:
  explicit Transfer(CURL* easy);
  ~Transfer();  // what is under way then breaks off
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // How it ended, once it has.
  std::optional<CURLcode> ended() const { return ended_; }
  // Until it has ended, for 50 ms or so, or until somebody wakes the fiber.
  void wait();
  // After CURL_WRITEFUNC_PAUSE.
  void go_on();

 private:
  friend class Transfers;
  Transfers& all_;
  CURL* const easy_;
  Fiber* const fiber_;
  std::optional<CURLcode> ended_;
};

// Easy handles of the loop's that were used and will be again.
CURL* take_handle(Loop& loop);
void give_back_handle(Loop& loop, CURL* easy);

}  // namespace sabir::net
