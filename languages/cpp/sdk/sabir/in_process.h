/* The interface between the engine and a library of functions that run inside it (docs/isolation.md). In C, so that the
 * engine and the library may be compiled by different compilers. A library exports three functions:
 *
 *   int sabir_in_process_version(void);
 *       SABIR_IN_PROCESS_VERSION of what it was compiled with.
 *   const void *sabir_in_process_find(const char *key, size_t size);
 *       The function of a key "file\nfunction", or null. Valid for as long as the library is open.
 *   int sabir_in_process_call(const void *function, const char *arguments, size_t arguments_size, const char *context,
 *                             size_t context_size, struct sabir_output *output);
 *       Calls it. `arguments` is a JSON object, `context` another, or of size 0 where the function takes none. Writes
 *       `output`: the value's JSON and returns 0, or an error object of JSON-RPC and returns 1; or returns 2 when there was
 *       no memory for either. Nothing is thrown. May be called by several threads at once.
 */
#ifndef SABIR_IN_PROCESS_H
#define SABIR_IN_PROCESS_H

#include <stddef.h>

#define SABIR_IN_PROCESS_VERSION 2

/* A buffer of the caller's, which the library fills. */
struct sabir_output {
  char *data;
  size_t size;     /* bytes written */
  size_t capacity; /* bytes that `data` has room for */
  /* Makes room for `capacity` bytes or more and keeps the first `size`: sets data and capacity and returns 0. Returns 1 and
   * changes nothing when there is no memory. Throws nothing. */
  int (*grow)(struct sabir_output *output, size_t capacity);
  void *user; /* grow's */
};

#endif
