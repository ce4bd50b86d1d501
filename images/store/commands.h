// What `cove-image` does, one function per command: they print to `out`, notes to `err`, and return
// the Error that the executable prints.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "cove/result.h"
#include "images/store/load.h"
#include "images/store/verify.h"

namespace cove {

enum class OutputFormat { text, json, quiet };

Result<void> load_command(const LoadOptions& options, OutputFormat format, std::ostream& out,
                          std::ostream& err);
Result<void> ls_command(const std::string& store, OutputFormat format, std::ostream& out);
Result<void> inspect_command(const std::string& store, const std::string& reference,
                             std::ostream& out);
// `file` empty: to standard output, unless that is a terminal.
Result<void> save_command(const std::string& store, const std::vector<std::string>& references,
                          const std::string& file);
// Gives an image more names, which are taken from whatever had them.
Result<void> tag_command(const std::string& store, const std::string& reference,
                         const std::vector<std::string>& names);
// Damage is printed as it was found, and is an error (image_invalid) unless all of it was repaired.
Result<void> verify_command(const std::string& store, Repair repair, OutputFormat format,
                            std::ostream& out);
Result<void> rm_command(const std::string& store, const std::vector<std::string>& references,
                        OutputFormat format, std::ostream& out, std::ostream& err);

}  // namespace cove
