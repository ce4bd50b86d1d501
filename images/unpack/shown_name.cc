#include "images/unpack/shown_name.h"

namespace cove {
namespace {

constexpr std::size_t kShown = 200;

}  // namespace

std::string shown_name(std::string_view text) {
  std::string shown(text.substr(0, kShown));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  }
  return text.size() > kShown ? shown + "..." : shown;
}

}  // namespace cove
