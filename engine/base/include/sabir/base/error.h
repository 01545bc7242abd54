// Error: what went wrong, where in the user's own files, and what to do next. Every fallible function of the engine
// returns Result<T>; exceptions are for broken invariants and third-party code.
//
// Threads: plain values. `message` and `hint` are safe to show to a caller; `detail` is for the log only.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace sabir {

// The closed set of what can go wrong. Names on the wire are the enumerators in snake_case without the k
// (error_code_name). docs/errors.md lists each with its meaning.
enum class ErrorCode {
  kInternal,
  kUsage,              // wrong command line; exit code 2
  kInvalidArguments,   // arguments do not fit a function's schema
  kInvalidResult,      // a function returned what its own schema forbids
  kUnknownFunction,
  kFunctionError,      // the user's function raised
  kLoadFailed,         // a user's file does not load: syntax error, missing import
  kBuildFailed,        // a user's file does not compile
  kUnavailable,        // interpreter, compiler or other program is missing
  kDisabled,           // somebody has disabled the function
  kTimeout,
  kCancelled,
  kBusy,               // a bounded queue is full
  kWorkerCrashed,      // a read call died twice with its worker
  kOutcomeUnknown,     // a write call died with its worker: it may or may not have happened
  kDepthExceeded,
  kProtocol,           // a peer broke the worker protocol
  kConfig,             // unreadable or invalid configuration
  kNoProject,
  kNotFound,
  kExists,
  kConflict,           // compare-and-swap saw another version
  kSecretMissing,
  kNotGranted,
  kApprovalRefused,    // an irreversible call was denied, or nobody could be asked
  kTemplate,
  kModelUnreachable,
  kModel,              // the model's provider answered with an error
  kRecordingMissing,   // a replay was asked for what is not recorded
  kRecordingStale,     // a replay was asked with another text of a prompt than was recorded
  kBudget,             // a budget of money or tokens does not allow a call of a model
  kLimit,              // a bound of steps, time, tokens or size was reached
  kStorageFull,
  kStorage,
  kStoreNewer,         // stored by a newer engine
  kIo,
};

std::string_view error_code_name(ErrorCode code);
// Unknown names give kInternal.
ErrorCode error_code_from_name(std::string_view name);

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;  // what failed, on which input
  std::string hint;     // what to do next; may be empty
  std::string file;     // the user's file, as they would type it; may be empty
  int line = 0;         // 1-based; 0 = unknown
  int column = 0;       // 1-based; 0 = unknown
  std::string data;     // JSON object text with particulars (paths, expected types); may be empty
  std::string detail;   // traceback or log text; never shown to a remote caller

  Error() = default;
  Error(ErrorCode c, std::string m, std::string h = {}) : code(c), message(std::move(m)), hint(std::move(h)) {}
  Error&& at(std::string f, int l = 0, int col = 0) && {
    file = std::move(f);
    line = l;
    column = col;
    return std::move(*this);
  }
  Error&& with_detail(std::string d) && {
    detail = std::move(d);
    return std::move(*this);
  }
  Error&& with_data(std::string json_object) && {
    data = std::move(json_object);
    return std::move(*this);
  }
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(ErrorCode code, std::string message, std::string hint = {}) {
  return std::unexpected<Error>(Error(code, std::move(message), std::move(hint)));
}
inline std::unexpected<Error> fail(Error error) { return std::unexpected<Error>(std::move(error)); }

// "file:line:column: message\n  hint" for a terminal.
std::string to_text(const Error& error);

}  // namespace sabir
