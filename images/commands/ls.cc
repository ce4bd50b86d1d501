#include <algorithm>
#include <array>
#include <iomanip>
#include <ostream>

#include "images/commands/age.h"
#include "images/commands/print.h"
#include "images/commands/program.h"
#include "images/store/ids.h"
#include "images/store/inventory.h"

namespace cove {
namespace {

using nlohmann::ordered_json;

struct Row {
  std::string name;  // empty: none
  const InventoriedImage* image;
};

// By name; images without one behind.
std::vector<Row> rows_of(const Inventory& inventory) {
  std::vector<Row> rows;
  for (const InventoriedImage& image : inventory.images) {
    for (const std::string& name : image.names) rows.push_back({name, &image});
    if (image.names.empty()) rows.push_back({"", &image});
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& one, const Row& other) {
    return std::pair(one.name.empty(), one.name) < std::pair(other.name.empty(), other.name);
  });
  return rows;
}

void print_json(const Inventory& inventory, std::ostream& out) {
  ordered_json list = ordered_json::array();
  for (const Row& row : rows_of(inventory)) {
    const InventoriedImage& image = *row.image;
    list.push_back({{"name", row.name},
                    {"digest", image.record.digest},
                    {"layers", image.record.layer_count},
                    {"size", inventory.bytes_of(image.content)},
                    {"shared_size", inventory.shared_bytes_of(image)},
                    {"packed_size", image.record.size},
                    {"keeps_blobs", image.record.keeps_blobs},
                    {"created", image.record.created},
                    {"last_used", rfc3339_text(image.last_used)}});
  }
  out << dump(list) << '\n';
}

constexpr std::size_t kColumns = 7;
using Cells = std::array<std::string, kColumns>;

void print_table(const std::vector<Cells>& lines, std::ostream& out) {
  std::array<std::size_t, kColumns> widths{};
  for (const Cells& line : lines) {
    for (std::size_t at = 0; at < kColumns; ++at)
      widths[at] = std::max(widths[at], line[at].size() + 2);
  }
  for (const Cells& line : lines) {
    out << std::left;
    for (std::size_t at = 0; at + 1 < kColumns; ++at)
      out << std::setw(static_cast<int>(widths[at])) << line[at];
    out << line.back() << '\n';
  }
}

void print_text(const Inventory& inventory, std::ostream& out) {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  std::vector<Cells> lines{{"NAME", "DIGEST", "LAYERS", "SIZE", "SHARED", "CREATED", "LAST USED"}};
  for (const Row& row : rows_of(inventory)) {
    const InventoriedImage& image = *row.image;
    const auto created = parse_rfc3339(image.record.created);
    lines.push_back({row.name.empty() ? "-" : row.name, short_digest(image.record.digest),
                     std::to_string(image.record.layer_count),
                     mebibyte_text(inventory.bytes_of(image.content)),
                     mebibyte_text(inventory.shared_bytes_of(image)),
                     created ? age_text(now - *created) : "-", age_text(now - image.last_used)});
  }
  print_table(lines, out);
}

Result<void> list(const std::string& store, OutputFormat format, std::ostream& out) {
  // Only to measure layers are rights needed that a plain user has in a user namespace alone.
  if (has_unmeasured_layers(store)) {
    if (const Result<StoreIds> ids = settle_store_ids(store); !ids) return fail(ids.error());
  }
  const Result<Inventory> inventory = take_inventory(store);
  if (!inventory) return fail(inventory.error());
  if (format == OutputFormat::json) {
    print_json(*inventory, out);
  } else {
    print_text(*inventory, out);
  }
  return {};
}

}  // namespace

void add_ls(Program& program) {
  CLI::App* command = program.app.add_subcommand("ls", "List the images");
  add_json_option(*command, program);
  command->callback([&program] {
    program.chosen = [&program] { return list(program.store, program.format(), program.out); };
  });
}

}  // namespace cove
