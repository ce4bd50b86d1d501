// Filters by name or file, ready to be loaded.
//
//   Result<Filter> filter = find_filter("default", -1);
//   sock_fprog program{static_cast<unsigned short>(filter->program.size()),
//                      filter->program.data()};
//   syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
//
// A built-in filter was compiled when Cove was built. One from a file is compiled once and kept in
// the cache.
#pragma once

#include <linux/filter.h>

#include <string>
#include <string_view>
#include <vector>

#include "cove/result.h"
#include "runtime/seccomp/policy.h"

namespace cove {

struct Filter {
  std::string name;                  // as it was asked for
  std::vector<sock_filter> program;  // 1 to 4096 instructions
  std::string
      digest;  // 16 hexadecimal digits, of the program; tells programs apart, proves nothing
};

// A name without '/' is a built-in filter; with one, a file in Cove's format or Docker's, a regular
// one of at most 1 MiB. `cache_directory_fd` is borrowed, and may be -1: then a file is compiled
// each time. It must be a directory that only the caller can write to. A cache that cannot be read
// or written costs time, never the launch. Errors: invalid_argument (no such name, no such file, the
// file's mistakes), permission_denied, internal.
Result<Filter> find_filter(const std::string& name_or_path, int cache_directory_fd,
                           const Circumstances& circumstances = {});

// Under what a file's program is kept: the same text may make another one elsewhere.
std::string cache_key(std::string_view source, const Circumstances& circumstances = {});

}  // namespace cove
