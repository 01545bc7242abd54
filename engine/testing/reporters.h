// The programs that report each test from inside pytest and rspec.
#pragma once

namespace sabir::testing {

extern const char kPytestReporter[];
extern const char kRspecReporter[];

}  // namespace sabir::testing
