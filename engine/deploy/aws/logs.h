// What a group of CloudWatch Logs holds. Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference
//
// Threads: plain function; blocks until `options.stop` says so where it follows.
#pragma once

#include <string>

#include "aws/settings.h"

namespace sabir::deploy {

Result<void> cloudwatch_logs(const AwsPlace& place, const std::string& group, const LogOptions& options, const Say& say);

}  // namespace sabir::deploy
