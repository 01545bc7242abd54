// Scrubber: takes secrets out of a recording, also out of a stream that is cut into pieces.
//
// Threads: any.
#pragma once

#include "sabir/recordings/recording.h"
#include "sabir/secrets/scrubber.h"

namespace sabir::recordings {

class Scrubber : public secrets::Scrubber {
 public:
  using secrets::Scrubber::Scrubber;
  Entry entry(Entry entry) const;
};

}  // namespace sabir::recordings
