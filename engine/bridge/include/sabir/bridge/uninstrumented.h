// While one lives, ThreadSanitizer does not look at what this thread reads and writes: Rust is not instrumented, so that what its locks
// order looks like a race wherever it comes to the C library. Nothing in any other build. C++ that Rust calls back meanwhile is not
// looked at either.
//
// Threads: of the thread that made it.
#pragma once

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SABIR_UNDER_TSAN 1
#endif
#endif

#ifdef SABIR_UNDER_TSAN
extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#endif

namespace sabir {

class Uninstrumented {
 public:
#ifdef SABIR_UNDER_TSAN
  Uninstrumented() {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~Uninstrumented() {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  }
#else
  Uninstrumented() {}
  ~Uninstrumented() {}
#endif
  Uninstrumented(const Uninstrumented&) = delete;
  Uninstrumented& operator=(const Uninstrumented&) = delete;
};

}  // namespace sabir
