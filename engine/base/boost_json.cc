// Boost.JSON is compiled into this room, so that the release binary needs no shared Boost library and the sanitizer
// builds instrument it.
#include <boost/json/src.hpp>
