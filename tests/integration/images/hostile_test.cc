// Two hundred hostile archives, as a user would load them: each is refused by its rule, leaves the
// store as it was, and changes nothing outside of it.
#include <sstream>

#include "tests/integration/images/image_store.h"
#include "tests/support/command.h"
#include "tests/support/files.h"
#include "tests/support/host.h"
#include "tests/unit/images/hostile_layers.h"

namespace cove::testing {
namespace {

struct Form {
  const char* name;
  bool oci;
  Filter filter;
};
void PrintTo(const Form& form, std::ostream* out) { *out << form.name; }

class HostileArchive : public ImageStore, public ::testing::WithParamInterface<Form> {
 protected:
  HostileArchive() {
    std::filesystem::create_directories(scratch_ / "victim/directory");
    write_file(scratch_ / "victim/file", "precious");
  }
  // With times, so that it also shows what was written again as it was.
  std::string tree(const std::string& path) const {
    return shell(probe_path() + " tree " + path).out;
  }
  // What lies outside of the staging directory, which is STORE/staging/UNIQUE/layer-N.
  std::vector<Hostile> all() const {
    std::vector<Hostile> all = hostile_layers();
    const std::string victim = scratch_ / "victim", up = "../../../../victim";
    for (const std::string& target : {victim, up}) {
      all.push_back({"write_through_a_link",
                     {symlink("a", target), file("a/file", "changed")},
                     "parent-escapes"});
      all.push_back({"make_through_a_link",
                     {symlink("a", target), directory("a/new"), file("a/new/file")},
                     "parent-escapes"});
      all.push_back({"change_the_mode_through_a_link",
                     {symlink("a", target), directory("a/directory", 0)},
                     "parent-escapes"});
      all.push_back({"link_to_a_file_behind_a_link",
                     {symlink("a", target), hard_link("l", "a/file"), file("l", "changed")},
                     "link-target-symlink"});
    }
    all.push_back({"write_above", {file(up + "/file", "changed")}, "path-dotdot"});
    all.push_back({"remove_above", {file(up + "/.wh.file", "")}, "path-dotdot"});
    return all;
  }
  std::string archive_of(const Hostile& hostile) const {
    const Image image{{tar({directory("below"), file("below/file")}), tar(hostile.entries)},
                      GetParam().filter};
    return archive("hostile.tar", GetParam().oci ? image.oci_archive() : image.docker_archive());
  }
};

TEST_P(HostileArchive, IsRefusedAndLeavesNothing) {
  const Image good{{tar({file("good")})}, Filter::none, "good:v1"};
  ASSERT_EQ(run("load " + archive("good.tar", good.docker_archive())).status, 0);
  const std::string victim = tree(scratch_ / "victim"), layers = tree(store() + "/layers");
  ASSERT_NE(victim.find("/file"), std::string::npos);
  const std::vector<Hostile> hostile_layers = all();
  EXPECT_GE(hostile_layers.size() * 6, 200U);
  for (const Hostile& hostile : hostile_layers) {
    SCOPED_TRACE(hostile.name);
    const Outcome outcome = run("load " + archive_of(hostile));
    EXPECT_EQ(outcome.status, 125);
    EXPECT_NE(outcome.err.find(std::string("[") + hostile.rule + "]"), std::string::npos)
        << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_EQ(count("staging"), 0U);
  }
  EXPECT_EQ(tree(scratch_ / "victim"), victim);
  EXPECT_EQ(tree(store() + "/layers"), layers);
  EXPECT_EQ(count("images/digests"), 1U);
  EXPECT_EQ(run("inspect good:v1").status, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Forms, HostileArchive,
    ::testing::Values(Form{"Docker", false, Filter::none}, Form{"DockerGzip", false, Filter::gzip},
                      Form{"DockerZstd", false, Filter::zstd}, Form{"Oci", true, Filter::none},
                      Form{"OciGzip", true, Filter::gzip}, Form{"OciZstd", true, Filter::zstd}),
    [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace cove::testing
