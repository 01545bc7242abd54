// A Backend in an S3 bucket, below a prefix. The bucket is made where it is not there: private, versioned, encrypted.
//
// Threads: as Backend.
#pragma once

#include <memory>
#include <string>

#include "sabir/aws/s3.h"
#include "sabir/deploy/backend.h"

namespace sabir::deploy {

// `prefix` ends with "/".
std::unique_ptr<Backend> s3_backend(aws::Bucket& bucket, std::string prefix);

}  // namespace sabir::deploy
