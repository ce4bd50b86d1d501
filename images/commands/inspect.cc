#include <ostream>

#include "images/commands/print.h"
#include "images/commands/program.h"
#include "images/store_index/record.h"

namespace cove {
namespace {

using nlohmann::ordered_json;

ordered_json json_of(const ImageConfig& config) {
  return {{"entrypoint", config.entrypoint},
          {"command", config.command},
          {"env", config.env},
          {"workdir", config.workdir},
          {"user", config.user}};
}

std::vector<std::string> names_for(const std::string& store, const std::string& digest) {
  std::vector<std::string> names;
  for (const std::string& name : names_of(store)) {
    const Result<ImageFacts> facts = find_image(store, name);
    if (facts && facts->digest == digest) names.push_back(name);
  }
  return names;
}

Result<void> inspect(const std::string& store, const std::string& reference, std::ostream& out) {
  const Result<ImageFacts> facts = find_image(store, reference);
  if (!facts) return fail(facts.error());
  const Result<ImageRecord> record = read_image_record(store, facts->digest);
  if (!record) return fail(record.error());
  out << dump({{"names", names_for(store, record->digest)},
               {"digest", record->digest},
               {"created", record->created},
               {"size", record->size},
               {"layer_count", record->layer_count},
               {"layers", facts->layers},
               {"config", json_of(record->config)}},
              2)
      << '\n';
  return {};
}

}  // namespace

void add_inspect(Program& program) {
  CLI::App* command = program.app.add_subcommand("inspect", "Show one image, as JSON");
  auto reference = std::make_shared<std::string>();
  command->add_option("image", *reference, "Name or digest")->required();
  command->callback([&program, reference] {
    program.chosen = [&program, reference] {
      return inspect(program.store, *reference, program.out);
    };
  });
}

}  // namespace cove
