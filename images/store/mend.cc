#include "images/store/mend.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/store/source.h"

namespace cove {

DirectoryTree directories_of(const std::vector<std::string>& layers, const Store& store) {
  std::vector<UnpackedLayer> unpacked;
  for (const std::string& layer : layers)
    unpacked.push_back({store.path(layer_path(layer)), store.implied_in(layer)});
  return directories_to_mend(unpacked);
}

Result<std::string> stage_directories(const DirectoryTree& tree, const Staging& staging) {
  const std::string name = "directories";
  if (mkdirat(staging.directory().number(), name.c_str(), 0755) != 0)
    return fail(io_error("mkdir", name));
  const UniqueFd directory(openat(staging.directory().number(), name.c_str(),
                                  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) return fail(io_error("open", name));
  if (auto written = write_directories(tree, directory); !written) return fail(written.error());
  return name;
}

Result<void> mend_directories(std::vector<std::string>& layers, const Store& store,
                              const Staging& staging) {
  const DirectoryTree tree = directories_of(layers, store);
  if (tree.empty()) return {};
  layers.push_back(digest_of(tree));
  if (store.has(layer_path(layers.back()))) return {};
  const auto staged = stage_directories(tree, staging);
  if (!staged) return fail(staged.error());
  if (auto flushed = store.flush(); !flushed) return flushed;
  if (auto moved = store.publish(staging, *staged, layer_path(layers.back())); !moved) return moved;
  return store.flush_directory("layers");
}

}  // namespace cove
