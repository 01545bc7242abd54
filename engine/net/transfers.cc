#include "transfers.h"

#include <unistd.h>

#include <boost/asio/execution_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "loop_context.h"

namespace sabir::net {

namespace asio = boost::asio;
using asio::posix::stream_descriptor;
using Clock = std::chrono::steady_clock;

namespace {
constexpr std::chrono::milliseconds kTick{50};   // after which a fiber looks whether it still wants its exchange
constexpr std::size_t kMostIdle = 64;
constexpr long kMostConnections = 256;           // that are kept open
}  // namespace

// One multi handle for each loop, which lives as long as the loop's context: connections are kept and shared by all clients.
class Transfers : public asio::execution_context::service {
 public:
  static inline asio::execution_context::id id;

  explicit Transfers(asio::execution_context& context)
      : asio::execution_context::service(context), context_(static_cast<asio::io_context&>(context)), timer_(context_), ticker_(context_) {
    multi_ = curl_.multi_init();
    if (multi_ == nullptr) return;
    curl_.multi_setopt(multi_, CURLMOPT_MAXCONNECTS, kMostConnections);
    curl_.multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &Transfers::on_socket);
    curl_.multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_.multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &Transfers::on_timer);
    curl_.multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  }
  static Transfers& of(Loop& loop) { return asio::use_service<Transfers>(context_of(loop)); }

  CURL* take() {
    if (multi_ == nullptr) return nullptr;
    if (idle_.empty()) return curl_.easy_init();
    CURL* const easy = idle_.back();
    idle_.pop_back();
    return easy;
  }
  void give_back(CURL* easy) {
    if (idle_.size() >= kMostIdle) return curl_.easy_cleanup(easy);
    curl_.easy_reset(easy);
    idle_.push_back(easy);
  }

  void begin(Transfer& transfer) {
    curl_.easy_setopt(transfer.easy_, CURLOPT_PRIVATE, &transfer);
    curl_.easy_setopt(transfer.easy_, CURLOPT_CLOSESOCKETFUNCTION, &Transfers::on_close);
    curl_.easy_setopt(transfer.easy_, CURLOPT_CLOSESOCKETDATA, this);
    under_way_.insert(&transfer);
    acting_ = true;  // what it sets a timer for is done below
    const auto added = curl_.multi_add_handle(multi_, transfer.easy_);
    acting_ = false;
    if (added != CURLM_OK) {
      transfer.ended_ = CURLE_FAILED_INIT;
      return;
    }
    used_ = true;
    if (!ticking_) tick();
    act(CURL_SOCKET_TIMEOUT, 0);
  }
  void go_on(Transfer& transfer) {
    curl_.easy_pause(transfer.easy_, CURLPAUSE_CONT);
    act(CURL_SOCKET_TIMEOUT, 0);
  }
  void end(Transfer& transfer) {
    under_way_.erase(&transfer);
    curl_.multi_remove_handle(multi_, transfer.easy_);
  }

 private:
  // A socket of libcurl's. It is watched from the first time that libcurl wants it to be until libcurl closes it.
  struct Watched {
    explicit Watched(asio::io_context& context, curl_socket_t fd) : descriptor(context, fd) {}
    stream_descriptor descriptor;
    int wanted = CURL_POLL_NONE;
    bool reads = false;   // a wait for that is under way
    bool writes = false;
  };

  void shutdown() override {
    timer_.cancel();
    ticker_.cancel();
    for (CURL* easy : idle_) curl_.easy_cleanup(easy);
    idle_.clear();
    if (multi_ != nullptr) curl_.multi_cleanup(std::exchange(multi_, nullptr));
    for (auto& [fd, watched] : sockets_) watched->descriptor.release();
    sockets_.clear();
  }

  static int on_socket(CURL* /*easy*/, curl_socket_t fd, int what, void* user, void* /*socket_data*/) {
    static_cast<Transfers*>(user)->want(fd, what == CURL_POLL_REMOVE ? CURL_POLL_NONE : what);
    return 0;
  }
  static int on_timer(CURLM* /*multi*/, long timeout_ms, void* user) {
    static_cast<Transfers*>(user)->wake_after(timeout_ms);
    return 0;
  }
  static int on_close(void* user, curl_socket_t fd) {
    auto& self = *static_cast<Transfers*>(user);
    if (const auto found = self.sockets_.find(fd); found != self.sockets_.end()) {
      found->second->descriptor.release();
      self.sockets_.erase(found);
    }
    return ::close(fd);
  }

  void want(curl_socket_t fd, int what) {
    auto& watched = sockets_[fd];
    if (!watched) {
      if (what == CURL_POLL_NONE) {
        sockets_.erase(fd);
        return;
      }
      watched = std::make_shared<Watched>(context_, fd);
    }
    watched->wanted = what;
    watch(fd, watched);
  }

  void watch(curl_socket_t fd, const std::shared_ptr<Watched>& watched) {
    if ((watched->wanted & CURL_POLL_IN) != 0 && !watched->reads) {
      watched->reads = true;
      watched->descriptor.async_wait(stream_descriptor::wait_read, [this, fd, watched](const boost::system::error_code& ec) {
        watched->reads = false;
        if (!ec) ready(fd, watched, CURL_POLL_IN, CURL_CSELECT_IN);
      });
    }
    if ((watched->wanted & CURL_POLL_OUT) != 0 && !watched->writes) {
      watched->writes = true;
      watched->descriptor.async_wait(stream_descriptor::wait_write, [this, fd, watched](const boost::system::error_code& ec) {
        watched->writes = false;
        if (!ec) ready(fd, watched, CURL_POLL_OUT, CURL_CSELECT_OUT);
      });
    }
  }

  void ready(curl_socket_t fd, const std::shared_ptr<Watched>& watched, int poll, int action) {
    // libcurl may have lost interest, or the number may be another socket's by now.
    const auto found = sockets_.find(fd);
    if (found == sockets_.end() || found->second != watched) return;
    if ((watched->wanted & poll) != 0) act(fd, action);
    const auto after = sockets_.find(fd);
    if (after != sockets_.end() && after->second == watched) watch(fd, watched);
  }

  // libcurl calls it within its own functions, which must not be called again there.
  void wake_after(long timeout_ms) {
    due_ = timeout_ms < 0 ? Clock::time_point::max() : Clock::now() + std::chrono::milliseconds(timeout_ms);
    if (timeout_ms == 0 && acting_) again_ = true;
    else arm();
  }
  // The tick sees to what has time; a timer that is early looks again. So most of libcurl's many changes cost no system call.
  void arm() {
    if (due_ >= armed_ || (ticking_ && due_ >= next_tick_)) return;
    armed_ = due_;
    timer_.expires_at(due_);
    timer_.async_wait([this](const boost::system::error_code& ec) {
      if (ec) return;
      armed_ = Clock::time_point::max();
      if (due_ <= Clock::now()) act(CURL_SOCKET_TIMEOUT, 0);
      else arm();
    });
  }

  void act(curl_socket_t fd, int action) {
    if (multi_ == nullptr) return;
    int running = 0;
    acting_ = true;
    again_ = false;
    if (fd == CURL_SOCKET_TIMEOUT) due_ = Clock::time_point::max();
    curl_.multi_socket_action(multi_, fd, action, &running);
    for (int turn = 0; again_ && turn < 16; ++turn) {
      again_ = false;
      curl_.multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    acting_ = false;
    if (std::exchange(again_, false)) wake_after(1);
    int left = 0;
    while (const CURLMsg* message = curl_.multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      char* told = nullptr;
      const CURLcode outcome = message->data.result;
      curl_.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &told);
      auto& transfer = *reinterpret_cast<Transfer*>(told);
      transfer.ended_ = outcome;
      transfer.fiber_->wake();
    }
  }

  // One tick more than there are transfers, so that one after the other does not set it anew.
  void tick() {
    ticking_ = !under_way_.empty() || std::exchange(used_, false);
    if (!ticking_) return;
    next_tick_ = Clock::now() + kTick;
    ticker_.expires_at(next_tick_);
    ticker_.async_wait([this](const boost::system::error_code& ec) {
      if (ec) return;
      if (due_ <= Clock::now()) act(CURL_SOCKET_TIMEOUT, 0);
      for (auto* one : under_way_) one->fiber_->wake();
      tick();
      arm();
    });
  }

  const Curl& curl_ = curl_library();
  asio::io_context& context_;
  CURLM* multi_ = nullptr;
  asio::steady_timer timer_;
  asio::steady_timer ticker_;
  Clock::time_point due_ = Clock::time_point::max();    // libcurl's next time-out
  Clock::time_point armed_ = Clock::time_point::max();  // when timer_ goes off
  Clock::time_point next_tick_{};
  std::unordered_map<curl_socket_t, std::shared_ptr<Watched>> sockets_;
  std::unordered_set<Transfer*> under_way_;
  std::vector<CURL*> idle_;
  bool acting_ = false;
  bool again_ = false;
  bool ticking_ = false;
  bool used_ = false;   // since the last tick
};

Transfer::Transfer(CURL* easy) : all_(Transfers::of(Fiber::current()->loop())), easy_(easy), fiber_(Fiber::current()) {
  fiber_->loop().hold();
  all_.begin(*this);
}
Transfer::~Transfer() {
  all_.end(*this);
  fiber_->loop().release();
}
void Transfer::wait() {
  if (!ended_) fiber_->wait();
}

void Transfer::go_on() { all_.go_on(*this); }

CURL* take_handle(Loop& loop) { return Transfers::of(loop).take(); }
void give_back_handle(Loop& loop, CURL* easy) { Transfers::of(loop).give_back(easy); }

}  // namespace sabir::net
