#include "tls.h"

#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <climits>

namespace sabir::net {
namespace {

// OpenSSL's functions, as far as they are used, under their own names.
struct OpenSsl {
  decltype(&::TLS_server_method) server_method = nullptr;
  decltype(&::SSL_CTX_new) ctx_new = nullptr;
  decltype(&::SSL_CTX_free) ctx_free = nullptr;
  decltype(&::SSL_CTX_ctrl) ctx_ctrl = nullptr;
  decltype(&::SSL_CTX_set_options) ctx_set_options = nullptr;
  decltype(&::SSL_CTX_use_certificate_chain_file) ctx_use_chain = nullptr;
  decltype(&::SSL_CTX_use_PrivateKey_file) ctx_use_key = nullptr;
  decltype(&::SSL_CTX_check_private_key) ctx_check_key = nullptr;
  decltype(&::SSL_CTX_set_alpn_select_cb) ctx_set_alpn = nullptr;
  decltype(&::SSL_new) make = nullptr;
  decltype(&::SSL_free) free = nullptr;
  decltype(&::SSL_set_fd) set_fd = nullptr;
  decltype(&::SSL_set_accept_state) set_accept = nullptr;
  decltype(&::SSL_read) read = nullptr;
  decltype(&::SSL_write) write = nullptr;
  decltype(&::SSL_shutdown) shutdown = nullptr;
  decltype(&::SSL_get_error) get_error = nullptr;
  decltype(&::ERR_clear_error) clear_error = nullptr;
  decltype(&::ERR_get_error) last_error = nullptr;
  decltype(&::ERR_error_string_n) error_text = nullptr;
  std::string problem;  // why it cannot be used; "" = it can
};

OpenSsl open_library() {
  OpenSsl ssl;
  void* library = ::dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    ssl.problem = "libssl.so.3 is not installed";
    return ssl;
  }
  const auto find = [&](auto& function, const char* name) {
    // dlsym looks in what libssl itself loads too: libcrypto, where the ERR_ functions are.
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
    if (function == nullptr) ssl.problem = std::string("libssl has no ") + name;
  };
  find(ssl.server_method, "TLS_server_method");
  find(ssl.ctx_new, "SSL_CTX_new");
  find(ssl.ctx_free, "SSL_CTX_free");
  find(ssl.ctx_ctrl, "SSL_CTX_ctrl");
  find(ssl.ctx_set_options, "SSL_CTX_set_options");
  find(ssl.ctx_use_chain, "SSL_CTX_use_certificate_chain_file");
  find(ssl.ctx_use_key, "SSL_CTX_use_PrivateKey_file");
  find(ssl.ctx_check_key, "SSL_CTX_check_private_key");
  find(ssl.ctx_set_alpn, "SSL_CTX_set_alpn_select_cb");
  find(ssl.make, "SSL_new");
  find(ssl.free, "SSL_free");
  find(ssl.set_fd, "SSL_set_fd");
  find(ssl.set_accept, "SSL_set_accept_state");
  find(ssl.read, "SSL_read");
  find(ssl.write, "SSL_write");
  find(ssl.shutdown, "SSL_shutdown");
  find(ssl.get_error, "SSL_get_error");
  find(ssl.clear_error, "ERR_clear_error");
  find(ssl.last_error, "ERR_get_error");
  find(ssl.error_text, "ERR_error_string_n");
  return ssl;
}

const OpenSsl& openssl() {
  static const OpenSsl ssl = open_library();
  return ssl;
}

class Session : public TlsSession {
 public:
  explicit Session(SSL* ssl) : ssl_(ssl) {}
  ~Session() override { openssl().free(ssl_); }
  long read(char* to, std::size_t most) override {
    openssl().clear_error();
    return outcome(openssl().read(ssl_, to, static_cast<int>(std::min<std::size_t>(most, INT_MAX))));
  }
  long write(const char* from, std::size_t size) override {
    openssl().clear_error();
    return outcome(openssl().write(ssl_, from, static_cast<int>(std::min<std::size_t>(size, INT_MAX))));
  }
  void close() override {
    openssl().clear_error();
    if (!broken_) openssl().shutdown(ssl_);
  }

 private:
  long outcome(int result) {
    if (result > 0) return result;
    switch (openssl().get_error(ssl_, result)) {
      case SSL_ERROR_WANT_READ: return kWaitRead;
      case SSL_ERROR_WANT_WRITE: return kWaitWrite;
      case SSL_ERROR_ZERO_RETURN: return kClosed;
      default: broken_ = true; return kClosed;
    }
  }
  SSL* ssl_;
  bool broken_ = false;
};

// HTTP/1.1 is all that is spoken; a client that offers nothing is taken at its word.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered, unsigned size, void*) {
  static constexpr std::string_view kName = "http/1.1";
  for (unsigned i = 0; i < size && i + 1U + offered[i] <= size; i += 1U + offered[i]) {
    if (std::string_view(reinterpret_cast<const char*>(offered) + i + 1, offered[i]) == kName) {
      *out = offered + i + 1;
      *out_size = static_cast<unsigned char>(kName.size());
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_NOACK;
}

class Context : public Tls {
 public:
  explicit Context(SSL_CTX* context) : context_(context) {}
  ~Context() override { openssl().ctx_free(context_); }
  std::unique_ptr<TlsSession> session(int fd) override {
    SSL* ssl = openssl().make(context_);
    if (ssl == nullptr) return nullptr;
    auto session = std::make_unique<Session>(ssl);
    if (openssl().set_fd(ssl, fd) != 1) return nullptr;
    openssl().set_accept(ssl);
    return session;
  }

 private:
  SSL_CTX* context_;
};

std::string reason() {
  char text[256] = "no reason given";
  if (const auto code = openssl().last_error(); code != 0) openssl().error_text(code, text, sizeof text);
  return text;
}

}  // namespace

Result<std::unique_ptr<Tls>> Tls::open(const std::string& certificate, const std::string& key) {
  const auto& ssl = openssl();
  if (!ssl.problem.empty()) return fail(ErrorCode::kUnavailable, "TLS cannot be served: " + ssl.problem, "Install it: apt-get install libssl3");
  ssl.clear_error();
  SSL_CTX* raw = ssl.ctx_new(ssl.server_method());
  if (raw == nullptr) return fail(ErrorCode::kInternal, "OpenSSL gives no context: " + reason());
  auto context = std::make_unique<Context>(raw);
  ssl.ctx_ctrl(raw, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, nullptr);
  ssl.ctx_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  ssl.ctx_ctrl(raw, SSL_CTRL_MODE, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS, nullptr);
  ssl.ctx_set_alpn(raw, &choose_protocol, nullptr);
  if (ssl.ctx_use_chain(raw, certificate.c_str()) != 1) {
    return fail(ErrorCode::kIo, "the certificate " + certificate + " cannot be used: " + reason(), "It is a PEM file: the server's certificate first, then its chain.");
  }
  if (ssl.ctx_use_key(raw, key.c_str(), SSL_FILETYPE_PEM) != 1 || ssl.ctx_check_key(raw) != 1) {
    return fail(ErrorCode::kIo, "the key " + key + " cannot be used: " + reason(), "It is a PEM file with the private key of the certificate.");
  }
  return context;
}

}  // namespace sabir::net
