// The programs that build images from a Dockerfile: buildah, podman and docker, as commands. They get
// a list of words, never a text for a shell, and every word of the user's stands behind an "=" or "--",
// where none is taken for an option.
#pragma once

#include <string>
#include <vector>

#include "cove/result.h"
#include "images/build/context.h"
#include "runtime/kernel/fd.h"

namespace cove {

using Command = std::vector<std::string>;

enum class BuilderKind { buildah, podman, docker };

struct Builder {
  BuilderKind kind = BuilderKind::buildah;
  std::string program;  // absolute
};
std::string_view to_string(BuilderKind kind);

// `asked`, or the first of the three that $PATH has. Errors: invalid_argument (no such builder);
// command_not_found, with the packages that would help.
Result<Builder> choose_builder(const std::string& asked);

enum class BuilderCache { use, none };
enum class BaseImages { as_they_are, pull };
struct BuildWish {
  BuildInput input;
  BuilderCache cache = BuilderCache::use;
  BaseImages base = BaseImages::as_they_are;
};

// Pure. `name` is the one under which the builder keeps the image for the moment; `image` its id.
Command build_command(const Builder& builder, const BuildWish& wish, const std::string& name);
Command id_command(const Builder& builder, const std::string& name);
Command save_command(const Builder& builder, const std::string& image);  // to standard output
Command remove_command(const Builder& builder, const std::string& name);

// Builds, and writes the image to `archive` as `docker save` does, without a name. The builder's words
// go to `log`, and nothing of the image stays in the builder's own storage (its cache may). Errors:
// setup_failed, with the exit status.
Result<void> build_into(const Builder& builder, const BuildWish& wish, BorrowedFd archive,
                        BorrowedFd log);

}  // namespace cove
