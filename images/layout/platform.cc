#include "images/layout/platform.h"

#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <vector>

#include "images/unpack/shown_name.h"

namespace cove {
namespace {

std::string host_architecture() {
  struct Name {
    std::string_view kernel, image;
  };
  static constexpr std::array<Name, 6> kNames{{{"x86_64", "amd64"},
                                               {"aarch64", "arm64"},
                                               {"armv7l", "arm"},
                                               {"ppc64le", "ppc64le"},
                                               {"riscv64", "riscv64"},
                                               {"s390x", "s390x"}}};
  utsname host{};
  uname(&host);
  for (const Name& name : kNames) {
    if (name.kernel == host.machine) return std::string(name.image);
  }
  return host.machine;
}

bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= 32 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  });
}

bool agree(const std::string& offered, const std::string& wanted) {
  return offered.empty() || wanted.empty() || offered == wanted;
}

}  // namespace

Platform host_platform() { return {"linux", host_architecture(), ""}; }

Result<Platform> parse_platform(std::string_view text) {
  std::vector<std::string> parts;
  for (std::string_view rest = text;;) {
    const std::size_t slash = rest.find('/');
    parts.emplace_back(rest.substr(0, slash));
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  const bool words = std::all_of(parts.begin(), parts.end(), is_word);
  if (words && parts.size() == 2) return Platform{parts[0], parts[1], ""};
  if (words && parts.size() == 3) return Platform{parts[0], parts[1], parts[2]};
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = "platform";
  error.what = "\"" + shown_name(text) + "\" is no platform";
  error.hint = "write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT: linux/amd64, linux/arm/v7";
  return fail(error);
}

std::string to_string(const Platform& platform) {
  return platform.os + "/" + platform.architecture +
         (platform.variant.empty() ? "" : "/" + platform.variant);
}

bool fits(const Platform& offered, const Platform& wanted) {
  return agree(offered.os, wanted.os) && agree(offered.architecture, wanted.architecture) &&
         agree(offered.variant, wanted.variant);
}

}  // namespace cove
