#include <algorithm>
#include <iomanip>
#include <map>
#include <ostream>

#include "images/commands/print.h"
#include "images/commands/program.h"
#include "images/store_index/record.h"

namespace cove {
namespace {

using nlohmann::ordered_json;

struct ListedImage {
  std::string name;  // empty: none
  ImageRecord record;
};

// By name; images without one behind.
Result<std::vector<ListedImage>> list_images(const std::string& store) {
  std::map<std::string, ImageRecord> records;
  for (const std::string& digest : digests_of(store)) {
    Result<ImageRecord> record = read_image_record(store, digest);
    if (!record && record.error().sys_errno == ENOENT) continue;  // removed just now
    if (!record) return fail(record.error());
    records.emplace(digest, std::move(*record));
  }
  std::vector<ListedImage> images;
  std::map<std::string, bool> named;
  for (const std::string& name : names_of(store)) {
    const Result<ImageFacts> facts = find_image(store, name);
    if (!facts || !records.contains(facts->digest)) continue;
    named[facts->digest] = true;
    images.push_back({name, records.at(facts->digest)});
  }
  for (const auto& [digest, record] : records) {
    if (!named[digest]) images.push_back({"", record});
  }
  return images;
}

Result<void> list(const std::string& store, OutputFormat format, std::ostream& out) {
  const Result<std::vector<ListedImage>> images = list_images(store);
  if (!images) return fail(images.error());
  if (format == OutputFormat::json) {
    ordered_json list = ordered_json::array();
    for (const ListedImage& image : *images) {
      list.push_back({{"name", image.name},
                      {"digest", image.record.digest},
                      {"layers", image.record.layer_count},
                      {"size", image.record.size},
                      {"created", image.record.created}});
    }
    out << dump(list) << '\n';
    return {};
  }
  std::size_t width = sizeof("NAME") - 1;
  for (const ListedImage& image : *images) width = std::max(width, image.name.size());
  const int column = static_cast<int>(width) + 2;
  out << std::left << std::setw(column) << "NAME" << std::setw(22) << "DIGEST" << std::setw(8)
      << "LAYERS"
      << "SIZE\n";
  for (const ListedImage& image : *images) {
    out << std::setw(column) << (image.name.empty() ? "-" : image.name) << std::setw(22)
        << short_digest(image.record.digest) << std::setw(8) << image.record.layer_count
        << mebibyte_text(image.record.size) << '\n';
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
