#include "images/commands/loaded.h"

#include <ostream>

#include "images/commands/print.h"

namespace cove {

void show_loaded(const char* verb, const LoadResult& result, OutputFormat format, std::ostream& out,
                 std::ostream& err) {
  if (format == OutputFormat::quiet) return;
  const std::string name = result.names.empty() ? "" : result.names.front();
  if (format == OutputFormat::json) {
    out << dump({{"name", name},
                 {"names", result.names},
                 {"digest", result.digest},
                 {"layers", result.layers},
                 {"size", result.size},
                 {"already_loaded", result.already_loaded},
                 {"notes", result.notes}})
        << '\n';
    return;
  }
  for (const std::string& note : result.notes) err << "note: " << note << '\n';
  out << verb << ' ' << (name.empty() ? "an image without a name" : name) << " ("
      << short_digest(result.digest) << ", " << plural(result.layers, "layer") << ", "
      << mebibyte_text(result.size) << ")\n";
}

}  // namespace cove
