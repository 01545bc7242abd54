// The Asio context inside a Loop, for what of this room waits for sockets by itself.
#pragma once

#include <boost/asio/io_context.hpp>

namespace sabir::net {

class Loop;
boost::asio::io_context& context_of(Loop& loop);

}  // namespace sabir::net
