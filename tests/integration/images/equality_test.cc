// What a sandbox sees of an image, against what umoci unpacks of it as root: every path, with all
// that an image can say of it. The images are made by umoci and GNU tar (varied.sh).
#include "tests/integration/images/image_store.h"
#include "tests/support/files.h"

namespace cove::testing {
namespace {

// What the sandbox has of its own; in /etc there are files of its own, so that its time is another.
constexpr const char* kOurs = "/proc /sys /dev /tmp /run /workspace /etc";

class Varied : public ImageStore, public ::testing::WithParamInterface<const char*> {
 protected:
  std::string layout() const { return scratch_ / "layout"; }

  void make() const {
    const Outcome made = shell("cd " + scratch_.path() +
                               " && " COVE_SOURCE_DIR "/tests/integration/images/varied.sh " +
                               GetParam() + " " + layout() + " " + probe_path());
    ASSERT_EQ(made.status, 0) << made.out << made.err;
  }
  std::string unpacked_by_umoci() const {
    const Outcome unpacked =
        shell("umoci unpack --image " + layout() + ":t " + (scratch_ / "umoci"));
    EXPECT_EQ(unpacked.status, 0) << unpacked.err;
    return shell(probe_path() + " tree " + (scratch_ / "umoci/rootfs") + " " + kOurs).out;
  }
  std::string seen_in_a_sandbox(const std::string& image, const std::string& options = "") const {
    const Outcome run = shell("COVE_ROOT=" + store() + " " + command_path() +
                              " run --best-effort --read-only --user root --cap-add DAC_OVERRIDE " +
                              options + " " + image + " -- /probe tree / " + kOurs);
    EXPECT_EQ(run.status, 0) << run.err;
    return run.out;
  }
};

TEST_P(Varied, IsSeenAsUmociUnpacksIt) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: for owners, and umoci as a judge";
  if (!installed("umoci")) GTEST_SKIP() << "needs program umoci";
  ASSERT_NO_FATAL_FAILURE(make());
  const std::string expected = unpacked_by_umoci();
  ASSERT_GT(std::count(expected.begin(), expected.end(), '\n'), 3) << expected;
  const Outcome loaded = run("load oci:" + layout() + ":t --name varied");
  ASSERT_EQ(loaded.status, 0) << loaded.err;
  EXPECT_EQ(loaded.err, "");
  EXPECT_EQ(seen_in_a_sandbox("varied"), expected);
}

TEST_P(Varied, IsTheSameWhateverCompressesItsLayers) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: for owners, and umoci as a judge";
  if (!installed("umoci")) GTEST_SKIP() << "needs program umoci";
  if (!installed("skopeo")) GTEST_SKIP() << "needs program skopeo";
  ASSERT_NO_FATAL_FAILURE(make());
  const Outcome copied = shell("skopeo copy --dest-compress-format zstd oci:" + layout() +
                               ":t oci:" + (scratch_ / "zstd") + ":t");
  ASSERT_EQ(copied.status, 0) << copied.err;
  const Outcome loaded = run("load oci:" + (scratch_ / "zstd") + ":t --name varied");
  ASSERT_EQ(loaded.status, 0) << loaded.err;
  EXPECT_EQ(seen_in_a_sandbox("varied"), unpacked_by_umoci());
}

TEST_P(Varied, IsTheSameAsACopyOfTheSandboxsOwn) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: for owners, and umoci as a judge";
  if (!installed("umoci")) GTEST_SKIP() << "needs program umoci";
  ASSERT_NO_FATAL_FAILURE(make());
  ASSERT_EQ(run("load oci:" + layout() + ":t --name varied").status, 0);
  const std::string shared = seen_in_a_sandbox("varied");
  ASSERT_GT(std::count(shared.begin(), shared.end(), '\n'), 3) << shared;
  EXPECT_EQ(seen_in_a_sandbox("varied", "--private-rootfs"), shared);
}

INSTANTIATE_TEST_SUITE_P(Images, Varied,
                         ::testing::Values("many_layers", "whiteouts", "opaque", "hard_links",
                                           "xattrs", "capabilities", "sparse", "owners", "names",
                                           "parents", "disorder", "absolute_links"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace cove::testing
