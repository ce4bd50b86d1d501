// packaging/container/container-seccomp.json: for containers that Cove shall run in.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace cove {
namespace {

using Json = nlohmann::json;

Json read(const std::string& path) {
  std::ifstream file(std::string(COVE_SOURCE_DIR) + "/" + path);
  return Json::parse(file, nullptr, /*allow_exceptions=*/false);
}

TEST(ContainerProfile, IsDockersAndWhatALaunchNeeds) {
  const Json ours = read("packaging/container/container-seccomp.json");
  Json dockers = read("tests/fixtures/seccomp/docker.json");
  ASSERT_TRUE(ours.is_object());
  ASSERT_TRUE(dockers.is_object());

  Json rules = Json::array();
  for (const Json& rule : dockers["syscalls"]) {
    // "ENOSYS, so that callers fall back to clone": ours is allowed.
    if (rule["names"] != Json{"clone3"}) rules.push_back(rule);
  }
  const Json& all = ours["syscalls"];
  ASSERT_EQ(all.size(), rules.size() + 2);
  for (std::size_t i = 0; i < rules.size(); ++i) EXPECT_EQ(all[i], rules[i]) << i;
  for (const char* member : {"defaultAction", "archMap"}) EXPECT_EQ(ours[member], dockers[member]);

  EXPECT_EQ(all[rules.size()]["names"],
            (Json{"clone", "clone3", "fsconfig", "fsmount", "fsopen", "mount", "mount_setattr",
                  "move_mount", "open_tree", "pivot_root", "sethostname", "setns", "umount2",
                  "unshare"}));
  EXPECT_EQ(all[rules.size() + 1]["names"], Json{"keyctl"});
}

}  // namespace
}  // namespace cove
