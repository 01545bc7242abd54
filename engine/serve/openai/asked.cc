#include "openai/asked.h"

namespace sabir::serve::openai {

std::unexpected<Error> wrong(std::string_view param, std::string message, std::string hint) {
  return fail(Error(ErrorCode::kInvalidArguments, std::move(message), std::move(hint)).with_data(compact_json(json::object{{"param", param}})));
}

int status_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::kUsage:
    case ErrorCode::kInvalidArguments: return 400;
    case ErrorCode::kNotGranted:
    case ErrorCode::kApprovalRefused: return 403;
    case ErrorCode::kNotFound:
    case ErrorCode::kUnknownFunction: return 404;
    case ErrorCode::kConflict:
    case ErrorCode::kExists: return 409;
    case ErrorCode::kBusy:
    case ErrorCode::kBudget: return 429;
    case ErrorCode::kCancelled: return 499;
    case ErrorCode::kModel: return 502;
    case ErrorCode::kModelUnreachable:
    case ErrorCode::kUnavailable:
    case ErrorCode::kDisabled:
    case ErrorCode::kStorageFull: return 503;
    case ErrorCode::kTimeout: return 504;
    default: return 500;
  }
}

json::object error_body(int status, std::string_view detail, std::string_view hint) {
  const char* const code = status == 401 ? "invalid_api_key" : status == 403 ? "insufficient_permissions" : status == 429 ? "rate_limit_exceeded" : nullptr;
  json::object out{{"message", std::string(detail) + (hint.empty() ? "" : "\n" + std::string(hint))},
                   {"type", status == 429 ? "rate_limit_exceeded" : status < 500 ? "invalid_request_error" : "server_error"},
                   {"param", nullptr},
                   {"code", nullptr}};
  if (code) out["code"] = code;
  return {{"error", std::move(out)}};
}

json::object error_body(const Error& error) {
  const int status = status_of(error);
  const auto data = error.data.empty() ? Result<json::value>(json::value()) : parse_json(error.data);
  const auto* particulars = data ? data->if_object() : nullptr;
  const std::string_view param = particulars != nullptr ? string_or(*particulars, "param") : std::string_view();
  // The names by which clients' libraries choose their classes of errors.
  const char* const type = status == 429   ? (error.code == ErrorCode::kBudget ? "insufficient_quota" : "rate_limit_exceeded")
                           : status < 500 ? "invalid_request_error"
                                           : "server_error";
  std::string message = error.message;
  if (!error.hint.empty()) message += "\n" + error.hint;
  json::object out{{"message", std::move(message)}, {"type", type}, {"param", nullptr}, {"code", error_code_name(error.code)}};
  if (!param.empty()) out["param"] = param;
  if (status == 404 && param == "model") out["code"] = "model_not_found";
  if (error.code == ErrorCode::kBudget) out["code"] = "insufficient_quota";
  return {{"error", std::move(out)}};
}

}  // namespace sabir::serve::openai
