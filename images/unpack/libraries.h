// What libraries read from files when they are first used: the locale, its charset's tables, OpenSSL's
// configuration. A confined process has no such files; so they are read before.
#pragma once

namespace cove {

void ready_libraries();

// libarchive converts names to the charset of the thread's locale; UTF-8 keeps bytes as they are.
void use_utf8_names();

}  // namespace cove
