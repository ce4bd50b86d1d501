#include "tests/unit/plan/plan_fixture.h"

namespace cove {
namespace {

std::vector<std::string> targets(const Plan& plan) {
  std::vector<std::string> all;
  for (const MountPlan& mount : plan.mounts) {
    if (mount.kind != MountKind::mask && mount.kind != MountKind::read_only) {
      all.push_back(mount.target);
    }
  }
  return all;
}

using Targets = std::vector<std::string>;

TEST(MountPlan, OfAnOrdinaryRun) {
  EXPECT_EQ(targets(Planning("hybrid_root").plan()),
            (Targets{"/proc", "/dev", "/dev/pts", "/dev/shm"}));
  EXPECT_EQ(targets(Planning("debian12_root").plan()),
            (Targets{"/proc", "/dev", "/dev/pts", "/dev/shm", "/sys/fs/cgroup"}));
}

TEST(MountPlan, MasksWhatDockerMasks) {
  Planning planning;
  const Plan plan = planning.plan();
  for (const char* path : {"/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list"}) {
    ASSERT_NE(find_mount(plan, path), nullptr) << path;
    EXPECT_EQ(find_mount(plan, path)->kind, MountKind::mask);
    EXPECT_TRUE(find_mount(plan, path)->optional);
  }
  for (const char* path : {"/proc/bus", "/proc/sys", "/proc/sysrq-trigger"}) {
    ASSERT_NE(find_mount(plan, path), nullptr) << path;
    EXPECT_EQ(find_mount(plan, path)->kind, MountKind::read_only);
  }
  planning.spec.require[Protection::masked_paths] = Requirement::off;
  EXPECT_EQ(find_mount(planning.plan(), "/proc/kcore"), nullptr);
  EXPECT_EQ(enforced_text(planning.plan(), Protection::masked_paths), "no");
}

TEST(MountPlan, GivesAReadOnlyRootPlacesToWrite) {
  Planning planning("hybrid_root");
  planning.spec.read_only = true;
  EXPECT_EQ(targets(planning.plan()),
            (Targets{"/proc", "/dev", "/dev/pts", "/dev/shm", "/tmp", "/workspace"}));
  EXPECT_EQ(find_mount(planning.plan(), "/tmp")->mode, 01777u);
  planning.spec.workdir = "/srv";
  EXPECT_EQ(find_mount(planning.plan(), "/workspace"), nullptr);
  planning.spec.workdir.reset();
  planning.add_bind("/src", "/workspace/", false);
  const Plan plan = planning.plan();
  EXPECT_EQ(targets(plan).back(), "/workspace");
  EXPECT_EQ(find_mount(plan, "/workspace")->kind, MountKind::bind);
}

TEST(MountPlan, PutsParentsBeforeChildrenAndKeepsTheOrderOtherwise) {
  Planning planning("hybrid_root");
  planning.add_bind("/h1", "/a/b/c", true);
  planning.add_bind("/h2", "/z", true);
  planning.add_bind("/h3", "/a", true);
  planning.add_bind("/h4", "/a/b", true);
  const Plan plan = planning.plan();
  const Targets all = targets(plan);
  EXPECT_EQ(Targets(all.begin() + 4, all.end()), (Targets{"/z", "/a", "/a/b", "/a/b/c"}));
  EXPECT_EQ(find_mount(plan, "/a/b/c")->source, 0u);
  EXPECT_EQ(find_mount(plan, "/a/b")->source, 3u);
}

TEST(MountPlan, SourcesCountBindsAlone) {
  Planning planning;
  MountSpec tmpfs;
  tmpfs.type = MountType::tmpfs;
  tmpfs.container_path = "/scratch";
  planning.spec.mounts.push_back(tmpfs);
  planning.add_bind("/h", "/data", true);
  const Plan plan = planning.plan();
  EXPECT_EQ(find_mount(plan, "/data")->source, 0u);
  EXPECT_FALSE(find_mount(plan, "/scratch")->source);
  EXPECT_EQ(find_mount(plan, "/scratch")->size, mebibytes(64));
  EXPECT_EQ(find_mount(plan, "/scratch")->mode, 01777u);
}

TEST(MountPlan, IdmapsABindToItsOwnerWhereThereIsARange) {
  Planning planning;
  planning.add_bind("/h", "/data", false);
  MountPlan mount = *find_mount(planning.plan(), "/data");
  EXPECT_TRUE(mount.idmapped);
  EXPECT_FALSE(mount.read_only);
  EXPECT_EQ(mount.owner_uid, 501u);
  EXPECT_EQ(mount.owner_gid, 20u);
  planning.host = recorded_host("user_delegated");
  EXPECT_FALSE(find_mount(planning.plan(), "/data")->idmapped);
}

TEST(MountPlan, RefusesSourcesByTheirPlaceInTheSpec) {
  Planning planning;
  MountSpec tmpfs;
  tmpfs.type = MountType::tmpfs;
  tmpfs.container_path = "/scratch";
  planning.spec.mounts.push_back(tmpfs);
  planning.add_bind("/h", "/data", false);
  planning.sources[0].kind = SourceKind::missing;
  expect_error(planning.refusal(), ErrorCode::invalid_argument, "$.mounts[1].host_path",
               "\"/h\" does not exist");
  planning.sources[0].kind = SourceKind::refused;
  planning.sources[0].reason = "it is a socket";
  expect_error(planning.refusal(), ErrorCode::invalid_argument, "$.mounts[1].host_path",
               "it is a socket");
  planning.sources[0].kind = SourceKind::file;
  planning.sources[0].writable = false;
  expect_error(planning.refusal(), ErrorCode::invalid_argument, "$.mounts[1].host_path",
               "/h:/data:ro");
  planning.spec.mounts[1].read_only = true;
  EXPECT_TRUE(find_mount(planning.plan(), "/data")->read_only);
}

TEST(MountPlan, RefusesFactsOfOtherSources) {
  Planning planning;
  planning.add_bind("/h", "/data", false);
  planning.sources[0].host_path = "/other";
  expect_error(planning.refusal(), ErrorCode::internal, "$.mounts[0].host_path", "do not match");
  planning.sources.clear();
  expect_error(planning.refusal(), ErrorCode::internal, "$.mounts[0].host_path", "do not match");
}

TEST(MountPlan, RefusesOneTargetTwice) {
  Planning planning;
  planning.add_bind("/h", "/data", true);
  planning.add_bind("/i", "/data/", true);
  EXPECT_EQ(planning.refusal().where, "$.mounts[1].container_path");
}

TEST(RootPlan, OfAnImageOfTheStore) {
  Planning planning;
  const RootPlan root = planning.plan().root;
  EXPECT_EQ(root.kind, RootKind::overlay);
  EXPECT_EQ(root.layers, planning.image.layers);
  EXPECT_TRUE(root.idmapped);
  EXPECT_FALSE(root.user_xattr);
  EXPECT_FALSE(root.read_only);
  planning.host = recorded_host("user_delegated");
  EXPECT_FALSE(planning.plan().root.idmapped);
  EXPECT_TRUE(planning.plan().root.user_xattr);
}

// An idmapped `--rootfs /` made container 1000 be host 1000: it read a 0600 file.
TEST(RootPlan, OfAPlainDirectoryIsNeverIdmapped) {
  Planning planning;
  planning.image.layer_ids = LayerIds::host;
  EXPECT_FALSE(planning.plan().root.idmapped);
}

TEST(RootPlan, OfTheHostsTools) {
  Planning planning;
  planning.image = ImageFacts{};
  planning.image.host_tools = true;
  planning.image.host_directories = {"/usr"};
  planning.image.host_links = {{"/bin", "usr/bin"}};
  planning.image.hidden_paths = {"/etc/shadow"};
  planning.spec.command = {"ls"};
  planning.host.overlay = false;
  const RootPlan root = planning.plan().root;
  EXPECT_EQ(root.kind, RootKind::host_tools);
  EXPECT_EQ(root.host_directories, planning.image.host_directories);
  EXPECT_EQ(root.host_links, planning.image.host_links);
  EXPECT_EQ(root.hidden_paths, planning.image.hidden_paths);
  EXPECT_FALSE(root.idmapped);
}

TEST(RootPlan, NeedsUserXattrsForAPlainUsersWritableRoot) {
  Planning planning("debian12_user");
  expect_error(planning.refusal(), ErrorCode::isolation_unavailable, "$.read_only", "--read-only");
  planning.spec.read_only = true;
  EXPECT_TRUE(planning.plan().root.read_only);
}

TEST(RootPlan, NeedsOverlayAndLayers) {
  Planning planning;
  planning.host.overlay = false;
  expect_error(planning.refusal(), ErrorCode::isolation_unavailable, "overlay", "--rootfs /");
  planning.host.overlay = true;
  planning.image.layers.clear();
  EXPECT_EQ(planning.refusal().code, ErrorCode::image_invalid);
}

TEST(FilesPlan, MakesTheFilesOfAMachineOfItsOwn) {
  Planning planning;
  planning.spec.hostname = "box";
  const Plan plan = planning.plan();
  ASSERT_EQ(plan.files.size(), 3u);
  EXPECT_NE(plan.files[0].content.find("127.0.0.1\tlocalhost"), std::string::npos);
  EXPECT_NE(plan.files[0].content.find("\tbox\n"), std::string::npos);
  EXPECT_EQ(plan.files[1].content, "box\n");
  EXPECT_EQ(plan.files[2].path, "/etc/resolv.conf");
}

}  // namespace
}  // namespace cove
