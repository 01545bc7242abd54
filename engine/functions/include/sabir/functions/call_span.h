// The span of a function's call: what is the same for each, and what this one was given and gave.
//
// Threads: the loop's.
#pragma once

#include <memory>
#include <string_view>

#include "sabir/functions/functions.h"

namespace sabir::functions {

// Reads the source once, for its fingerprint.
std::shared_ptr<const trace::Subject> subject_of(const project::SourceFile& source, const workers::Callee& callee, int line, std::string_view effect);

// `subject` is null where the function is not known.
std::shared_ptr<trace::Span> begin_call(trace::Tracer& tracer, std::shared_ptr<const trace::Subject> subject, const CallRequest& request, Clock::time_point now);
void end_call(trace::Tracer& tracer, std::shared_ptr<trace::Span> span, const Result<protocol::Payload>& outcome, Clock::time_point now);

}  // namespace sabir::functions
