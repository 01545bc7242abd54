#include "request_reader.h"

#include <algorithm>
#include <boost/beast/http/error.hpp>

namespace sabir::net {
namespace {

namespace http = boost::beast::http;
constexpr std::size_t kMostMethod = 32;
constexpr std::size_t kLeastChunked = std::string_view("0\r\n\r\n").size();
constexpr std::size_t kReserved = std::size_t{256} << 10U;  // of a body whose bytes have not come yet

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return out;
}

// reg-name, IPv4 or [IPv6], with or without a port.
bool is_authority(std::string_view text) {
  if (text.empty() || text.size() > 300) return false;
  std::string_view rest;
  if (text.front() == '[') {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos || text.substr(1, end - 1).find_first_not_of("0123456789abcdef:.%") != std::string_view::npos) return false;
    rest = text.substr(end + 1);
  } else {
    const std::size_t end = std::min(text.find(':'), text.size());
    if (end == 0 || text.substr(0, end).find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-._~") != std::string_view::npos) return false;
    rest = text.substr(end);
  }
  return rest.empty() || (rest.front() == ':' && rest.size() <= 6 && rest.find_first_not_of("0123456789", 1) == std::string_view::npos);
}

}  // namespace

RequestReader::RequestReader(std::size_t most_head_bytes, std::size_t most_body_bytes) : most_head_(most_head_bytes) {
  header_limit(static_cast<std::uint32_t>(most_head_bytes));
  body_limit(most_body_bytes);
  eager(true);
}

std::size_t RequestReader::put(std::string_view bytes) {
  if (refused_ || done_) return 0;
  // No chunked body ends in fewer bytes, and Beast asserts that many once it has seen the last chunk's line.
  if (head_done_ && has_coding_ && bytes.size() < kLeastChunked && bytes.starts_with('0')) return 0;
  given_ = bytes;
  Code code;
  const std::size_t used = basic_parser::put({bytes.data(), bytes.size()}, code);
  given_ = {};
  if (code && code != http::error::need_more) {
    if (!refused_) refuse(code);
    return used;
  }
  if (!head_done_) {
    if (head_bytes_ + (bytes.size() - used) > most_head_) refuse(431, "the request's head is larger than " + std::to_string(most_head_) + " bytes", code);
  } else if (!done_ && bytes.size() - used > most_head_) {
    // A chunk's line, or trailers, without end.
    refuse(400, "a chunk's head or the trailers are larger than " + std::to_string(most_head_) + " bytes", code);
  }
  return used;
}

void RequestReader::refuse(int status, std::string why, Code& code) {
  refused_ = Refused{status, std::move(why)};
  code = http::error::bad_value;
}

void RequestReader::refuse(const Code& code) {
  if (code == http::error::header_limit) {
    refused_ = Refused{431, "the request's head is larger than " + std::to_string(most_head_) + " bytes"};
  } else if (code == http::error::body_limit) {
    refused_ = Refused{413, "the request's body is larger than this server takes"};
  } else if (code == http::error::bad_version) {
    refused_ = Refused{505, "this server speaks HTTP/1.1 and HTTP/1.0"};
  } else {
    refused_ = Refused{400, "not a request of HTTP/1.1: " + code.message()};
  }
}

void RequestReader::on_request_impl(http::verb, View method, View target, int version, Code& code) {
  code = {};
  if (method.size() > kMostMethod) return refuse(501, "no such method", code);
  request_.method.assign(method.data(), method.size());
  request_.target.assign(target.data(), target.size());
  request_.http11 = version >= 11;
  head_bytes_ = method.size() + target.size() + 12;
  std::string_view rest = request_.target;
  if (rest.starts_with("http://") || rest.starts_with("https://")) {
    rest.remove_prefix(rest.find("//") + 2);
    const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
    request_.host = lower(rest.substr(0, end));
    if (!is_authority(request_.host)) return refuse(400, "the target's host is not one", code);
    rest.remove_prefix(end);
    if (rest.empty() || rest.front() == '?') request_.path = "/";
  } else if (rest != "*" && (rest.empty() || rest.front() != '/')) {
    return refuse(400, "the target is no path", code);
  }
  const std::size_t mark = std::min(rest.find('?'), rest.size());
  request_.path += rest.substr(0, mark);
  if (mark < rest.size()) request_.query = rest.substr(mark + 1);
}

bool RequestReader::is_folded(View name, View value) const {
  if (value.empty()) return false;
  // Beast joins the lines of a value elsewhere, unless the first of them is empty.
  if (value.data() < given_.data() || value.data() >= given_.data() + given_.size()) return true;
  const char* from = name.data() + name.size();
  return std::find(from, value.data(), '\n') != value.data();
}

void RequestReader::on_field_impl(http::field name, View text, View value, Code& code) {
  code = {};
  if (head_done_) return;  // trailers say nothing that this server uses
  head_bytes_ += text.size() + value.size() + 4;
  if (head_bytes_ > most_head_) return refuse(431, "the request's head is larger than " + std::to_string(most_head_) + " bytes", code);
  if (is_folded(text, value)) return refuse(400, "a header goes over several lines", code);
  if (name == http::field::content_length) {
    if (has_length_ || has_coding_ || value.find_first_not_of("0123456789") != View::npos) return refuse(400, "the body's length is given more than once", code);
    has_length_ = true;
  } else if (name == http::field::transfer_encoding) {
    if (has_length_ || has_coding_ || !request_.http11) return refuse(400, "the body's length is given more than once", code);
    if (lower({value.data(), value.size()}) != "chunked") return refuse(501, "of transfer codings this server knows 'chunked' alone", code);
    has_coding_ = true;
  } else if (name == http::field::host) {
    const std::string host = lower({value.data(), value.size()});
    if (++hosts_ > 1 || (!host.empty() && !is_authority(host))) return refuse(400, "the Host header is not one host", code);
    if (!request_.host.empty() && request_.host != host) return refuse(400, "Host header and target name different hosts", code);
    request_.host = host;
  } else if (name == http::field::expect) {
    if (lower({value.data(), value.size()}) != "100-continue") return refuse(417, "of expectations this server knows '100-continue' alone", code);
    expects_continue_ = request_.http11;
  }
  request_.headers.emplace_back(lower({text.data(), text.size()}), std::string(value.data(), value.size()));
}

void RequestReader::on_header_impl(Code& code) {
  code = {};
  head_done_ = true;
  if (request_.http11 && hosts_ == 0) refuse(400, "there is no Host header", code);
}

void RequestReader::on_body_init_impl(const boost::optional<std::uint64_t>& length, Code& code) {
  code = {};
  if (length) request_.body.reserve(std::min<std::size_t>(static_cast<std::size_t>(*length), kReserved));
}

std::size_t RequestReader::on_body_impl(View body, Code& code) {
  code = {};
  request_.body.append(body.data(), body.size());
  return body.size();
}

std::size_t RequestReader::on_chunk_body_impl(std::uint64_t, View body, Code& code) { return on_body_impl(body, code); }

void RequestReader::on_finish_impl(Code& code) {
  code = {};
  done_ = true;
}

}  // namespace sabir::net
