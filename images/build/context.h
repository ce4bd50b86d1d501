// What a build is made of, as one digest: the context's files (names, types, modes, contents, link
// targets, attributes; not owners and times, which COPY does not keep), the Dockerfile, and the words
// that change what it does. Two builds with one digest give the same image, but for what lies
// elsewhere: images named by FROM, and whatever RUN fetches.
#pragma once

#include <string>
#include <vector>

#include "cove/result.h"

namespace cove {

struct BuildInput {
  std::string context;            // a directory, absolute
  std::string dockerfile;         // absolute; may lie outside of the context
  std::string target;             // a stage; empty: the last one
  std::vector<std::string> args;  // "NAME=VALUE", or "NAME": the value is the environment's
};

// .dockerignore is respected where it is sure that every builder reads it so (ignore.h). Errors:
// permission_denied, image_not_found, setup_failed.
Result<std::string> digest_of(const BuildInput& input, const std::string& builder);

}  // namespace cove
