// What can be told of a spec without knowing the host: every value in its range, every combination
// possible. make_plan calls it for specs made in C++, spec_from_json for documents; both give the
// same errors.
//
//   std::vector<Error> problems;
//   check_spec(spec, problems);
//   if (!problems.empty()) return fail(one_error(std::move(problems)));
#pragma once

#include <vector>

#include "cove/error.h"
#include "cove/spec.h"

namespace cove {

enum class SpecScope {
  complete,  // a spec to be launched
  fragment,  // of a profile, or to be completed by command-line options: may lack image and rootfs
};

// Appends every mistake, each with code invalid_argument, step "spec" and its JSON path in `where`.
void check_spec(const SandboxSpec& spec, std::vector<Error>& problems,
                SpecScope scope = SpecScope::complete);

// The path as the kernel will walk it: "/a//b/./c/" -> "/a/b/c", "/" stays. ".." is kept.
std::string normal_path(std::string_view path);

}  // namespace cove
