#include "images/unpack/entry_path.h"

namespace cove {
namespace {

constexpr std::size_t kMaxComponent = 255;

}  // namespace

Result<EntryPath> clean(std::string_view raw, const UnpackLimits& limits, UnpackRule on_dotdot) {
  EntryPath path;
  std::size_t depth = 0;
  if (raw.empty()) return fail(refused(UnpackRule::path_empty, raw));
  if (raw.size() > limits.path_length) return fail(refused(UnpackRule::path_length, raw));
  for (std::string_view rest = raw; !rest.empty();) {
    const std::size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
    if (part.empty() || part == ".") continue;
    if (part == "..") return fail(refused(on_dotdot, raw));
    // The longest of names may be whited out, too.
    const std::size_t mark = part.starts_with(kWhiteout) ? kWhiteout.size() : 0;
    if (part.size() > kMaxComponent + mark) return fail(refused(UnpackRule::path_length, raw));
    if (++depth > limits.path_depth) return fail(refused(UnpackRule::path_depth, raw));
    if (!path.text.empty()) path.text += '/';
    path.base = path.text.size();
    path.text += part;
  }
  return path;
}

}  // namespace cove
