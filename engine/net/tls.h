// TLS of the HTTP server over OpenSSL's library, which is opened with dlopen when a certificate is configured and not before.
//
// Threads: the loop's; Tls::open from any.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "sabir/base/error.h"

namespace sabir::net {

class TlsSession {
 public:
  static constexpr long kClosed = 0;   // the peer has ended it, or it broke
  static constexpr long kWaitRead = -1;
  static constexpr long kWaitWrite = -2;

  virtual ~TlsSession() = default;
  // Bytes, or one of the above. The handshake goes along.
  virtual long read(char* to, std::size_t most) = 0;
  virtual long write(const char* from, std::size_t size) = 0;
  virtual void close() = 0;  // says goodbye, as far as it goes without waiting
};

class Tls {
 public:
  // Errors: kUnavailable, kIo (files that cannot be read, or do not fit each other).
  static Result<std::unique_ptr<Tls>> open(const std::string& certificate, const std::string& key);
  virtual ~Tls() = default;
  virtual std::unique_ptr<TlsSession> session(int fd) = 0;  // null: out of memory
};

}  // namespace sabir::net
