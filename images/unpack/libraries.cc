#include "images/unpack/libraries.h"

#include <locale.h>

#include <cwchar>

#include "images/layout/sha256.h"

namespace cove {
namespace {

locale_t utf8() {
  static const locale_t kUtf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return kUtf8;
}

}  // namespace

void ready_libraries() {
  sha256_of("");
  const locale_t before = uselocale(nullptr);
  use_utf8_names();
  std::mbstate_t state{};
  wchar_t character = 0;
  (void)std::mbrtowc(&character, "x", 1, &state);
  uselocale(before);
}

void use_utf8_names() {
  if (utf8()) uselocale(utf8());
}

}  // namespace cove
