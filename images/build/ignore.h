// .dockerignore: which files of a build's context its builder never sees. For a hash of the context, so
// that doubt is settled by not ignoring: a pattern that builders read in several ways ignores nothing,
// and where it takes back what others ignore, all of them ignore nothing. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cove {

class IgnoredFiles {
 public:
  IgnoredFiles() = default;  // none
  explicit IgnoredFiles(std::string_view dockerignore);

  // `path` is relative to the context: "a/b".
  bool holds(std::string_view path) const;
  // Whether what is ignored may have something below that is not.
  bool has_exceptions() const { return has_exceptions_; }

 private:
  struct Pattern {
    std::vector<std::string> parts;
    bool exception = false;
  };
  std::vector<Pattern> patterns_;
  bool has_exceptions_ = false;
};

}  // namespace cove
