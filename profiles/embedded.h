// The profiles that are part of the library: profiles/seccomp/*.json and profiles/sandbox/*.json,
// as text, and the system call filters as programs too. cove_profile_generator writes them at build
// time, so that a launch neither parses nor compiles.
#pragma once

#include <linux/filter.h>

#include <span>
#include <string_view>

namespace cove {

struct EmbeddedProfile {
  std::string_view kind;                 // "seccomp" or "sandbox"
  std::string_view name;                 // the file's name without ".json"
  std::string_view description;          // one line: the document's "description"
  std::string_view json;                 // the file, byte for byte
  std::span<const sock_filter> program;  // empty for a sandbox
};

// Sorted by kind, then by name.
std::span<const EmbeddedProfile> embedded_profiles();

}  // namespace cove
