// RequestReader: the bytes of one HTTP/1.1 request to a ServerRequest, over Beast's parser, without I/O.
//
// Stricter than Beast where servers and proxies have been known to differ, so that no request hides in another: lengths that are
// given twice, any transfer coding but "chunked", folded headers and a missing or repeated Host are refused.
//
// Threads: one at a time.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "sabir/net/http_exchange.h"

namespace sabir::net {

class RequestReader : private boost::beast::http::basic_parser<true> {
 public:
  struct Refused {
    int status = 400;
    std::string why;
  };

  RequestReader(std::size_t most_head_bytes, std::size_t most_body_bytes);

  // Takes what it can of `bytes` and says how much; the rest is to be given again, with more behind it.
  std::size_t put(std::string_view bytes);

  bool head_done() const { return head_done_; }
  bool done() const { return done_; }
  const std::optional<Refused>& refused() const { return refused_; }
  bool keep_alive() const { return basic_parser::keep_alive(); }  // REQUIRES: head_done()
  bool expects_continue() const { return expects_continue_; }
  std::size_t body_bytes() const { return request_.body.size(); }
  ServerRequest take() { return std::move(request_); }            // REQUIRES: done()
  const ServerRequest& request() const { return request_; }

 private:
  using Code = boost::beast::error_code;
  using View = boost::beast::string_view;
  void on_request_impl(boost::beast::http::verb, View method, View target, int version, Code& code) override;
  void on_response_impl(int, View, int, Code&) override {}
  void on_field_impl(boost::beast::http::field name, View text, View value, Code& code) override;
  void on_header_impl(Code& code) override;
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, Code& code) override;
  std::size_t on_body_impl(View body, Code& code) override;
  void on_chunk_header_impl(std::uint64_t, View, Code& code) override { code = {}; }
  std::size_t on_chunk_body_impl(std::uint64_t, View body, Code& code) override;
  void on_finish_impl(Code& code) override;

  bool is_folded(View name, View value) const;
  void refuse(int status, std::string why, Code& code);
  void refuse(const Code& code);

  ServerRequest request_;
  std::string_view given_;            // what put() works on
  std::size_t most_head_;
  std::size_t head_bytes_ = 0;
  int hosts_ = 0;
  bool has_length_ = false;
  bool has_coding_ = false;
  bool expects_continue_ = false;
  bool head_done_ = false;
  bool done_ = false;
  std::optional<Refused> refused_;
};

}  // namespace sabir::net
