#include "sabir/base/error.h"

#include <array>

namespace sabir {
namespace {
struct Named {
  ErrorCode code;
  std::string_view name;
};
constexpr std::array kNames = {
    Named{ErrorCode::kInternal, "internal"},
    Named{ErrorCode::kUsage, "usage"},
    Named{ErrorCode::kInvalidArguments, "invalid_arguments"},
    Named{ErrorCode::kInvalidResult, "invalid_result"},
    Named{ErrorCode::kUnknownFunction, "unknown_function"},
    Named{ErrorCode::kFunctionError, "function_error"},
    Named{ErrorCode::kLoadFailed, "load_failed"},
    Named{ErrorCode::kBuildFailed, "build_failed"},
    Named{ErrorCode::kUnavailable, "unavailable"},
    Named{ErrorCode::kDisabled, "disabled"},
    Named{ErrorCode::kTimeout, "timeout"},
    Named{ErrorCode::kCancelled, "cancelled"},
    Named{ErrorCode::kBusy, "busy"},
    Named{ErrorCode::kWorkerCrashed, "worker_crashed"},
    Named{ErrorCode::kOutcomeUnknown, "outcome_unknown"},
    Named{ErrorCode::kDepthExceeded, "depth_exceeded"},
    Named{ErrorCode::kProtocol, "protocol"},
    Named{ErrorCode::kConfig, "config"},
    Named{ErrorCode::kNoProject, "no_project"},
    Named{ErrorCode::kNotFound, "not_found"},
    Named{ErrorCode::kExists, "exists"},
    Named{ErrorCode::kConflict, "conflict"},
    Named{ErrorCode::kSecretMissing, "secret_missing"},
    Named{ErrorCode::kNotGranted, "not_granted"},
    Named{ErrorCode::kApprovalRefused, "approval_refused"},
    Named{ErrorCode::kTemplate, "template"},
    Named{ErrorCode::kModelUnreachable, "model_unreachable"},
    Named{ErrorCode::kModel, "model"},
    Named{ErrorCode::kRecordingMissing, "recording_missing"},
    Named{ErrorCode::kRecordingStale, "recording_stale"},
    Named{ErrorCode::kBudget, "budget"},
    Named{ErrorCode::kLimit, "limit"},
    Named{ErrorCode::kStorageFull, "storage_full"},
    Named{ErrorCode::kStorage, "storage"},
    Named{ErrorCode::kStoreNewer, "store_newer"},
    Named{ErrorCode::kIo, "io"},
};
}  // namespace

std::string_view error_code_name(ErrorCode code) {
  for (const auto& entry : kNames) {
    if (entry.code == code) return entry.name;
  }
  return "internal";
}

ErrorCode error_code_from_name(std::string_view name) {
  for (const auto& entry : kNames) {
    if (entry.name == name) return entry.code;
  }
  return ErrorCode::kInternal;
}

std::string to_text(const Error& error) {
  std::string text;
  if (!error.file.empty()) {
    text += error.file;
    if (error.line > 0) text += ":" + std::to_string(error.line);
    if (error.line > 0 && error.column > 0) text += ":" + std::to_string(error.column);
    text += ": ";
  }
  text += error.message;
  if (!error.hint.empty()) {
    text += "\n  ";
    for (char c : error.hint) {
      text += c;
      if (c == '\n') text += "  ";
    }
  }
  return text;
}

}  // namespace sabir
