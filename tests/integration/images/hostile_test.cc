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
      // In the layer's root there is nothing where an absolute link leads.
      const char* rule = target == victim ? "parent-not-directory" : "parent-escapes";
      all.push_back(
          {"write_through_a_link", {symlink("a", target), file("a/file", "changed")}, rule});
      all.push_back({"make_through_a_link",
                     {symlink("a", target), directory("a/new"), file("a/new/file")},
                     rule});
      all.push_back({"change_the_mode_through_a_link",
                     {symlink("a", target), directory("a/directory", 0)},
                     rule});
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

// More than four gibibytes of zeros in frames of 64 MiB, as a layer and as the archive around it. They lie
// behind the end of the inner archive, where nothing is written.
TEST_F(ImageStore, RefusesABombOfZstd) {
  const std::string frame = compressed(std::string(std::size_t{64} << 20U, '\0'), Filter::zstd);
  const auto with_zeros = [&](std::string bytes) {
    for (int i = 0; i < 66; ++i) bytes += frame;
    return bytes;
  };
  const std::string bomb = with_zeros(compressed(tar({file("a")}), Filter::zstd));
  const std::string config = config_json({sha256_of("")});
  const std::string layer =
      tar({file("l", bomb), file("c", config),
           file("manifest.json", R"([{"Config":"c","RepoTags":["b:v1"],"Layers":["l"]}])")});
  const Outcome in_layer = run("load " + archive("layer.tar", layer));
  EXPECT_EQ(in_layer.status, 125);
  EXPECT_NE(in_layer.err.find("[limit-ratio]"), std::string::npos) << in_layer.err;
  const std::string whole = archive("whole.tar", with_zeros(compressed(layer, Filter::zstd)));
  const Outcome piped = shell("cat " + whole + " | " + command("load -"));
  EXPECT_NE(piped.err.find("[limit-ratio]"), std::string::npos) << piped.err;
  // Taken for what it is, it is another layer than the configuration says.
  const Outcome allowed = run("load --max-ratio 0 " + archive("layer.tar", layer));
  EXPECT_EQ(allowed.err.find("[limit-ratio]"), std::string::npos) << allowed.err;
  EXPECT_EQ(allowed.status, 125);
  EXPECT_EQ(count("staging"), 0U);
}

// "Uid:\t1\t2\t3\t4" -> "1"
std::string word_of(const std::string& status, const std::string& name) {
  std::istringstream lines(status.substr(std::min(status.find(name), status.size())));
  std::string label, word;
  lines >> label >> word;
  return word;
}

// Root's load unpacks with ids that are nobody's, and without a right over anything of the host's.
TEST_F(ImageStore, IsUnpackedByNobody) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: else it is the user's own process";
  if (const std::string why = why_no_idmapped_binds(); !why.empty()) GTEST_SKIP() << why;
  std::vector<Entry> entries;
  for (int i = 0; i < 20000; ++i) entries.push_back(file("f" + std::to_string(i)));
  const std::string path =
      archive("many.tar", Image{{tar(entries)}, Filter::none, "many:v1"}.docker_archive());
  RunningCommand load({cove_image(), "--store", store(), "load", path});
  const std::string own_namespace = std::filesystem::read_symlink("/proc/self/ns/user");
  std::string status;
  for (const double end = seconds_now() + 10; status.empty() && seconds_now() < end;) {
    for (const pid_t pid : descendants_of(load.pid())) {
      const std::string process = "/proc/" + std::to_string(pid);
      std::error_code gone;
      const bool elsewhere =
          std::filesystem::read_symlink(process + "/ns/user", gone) != own_namespace;
      const std::string text = contents_of(process + "/status");
      // Not the one that only makes the namespace, and not before it has given up its rights.
      if (!gone && elsewhere && word_of(text, "CapEff:") == "000000008800001b") status = text;
    }
  }
  EXPECT_EQ(load.wait().status, 0);
  ASSERT_NE(status, "") << "no such process was seen";
  EXPECT_EQ(word_of(status, "Uid:"), "2147287040");
  EXPECT_EQ(word_of(status, "Gid:"), "2147287040");
  EXPECT_EQ(word_of(status, "Groups:"), "NStgid:") << "none";
  EXPECT_EQ(word_of(status, "NoNewPrivs:"), "1");
  EXPECT_EQ(word_of(status, "CapBnd:"), "000000008800001b");
  struct stat file {};
  ASSERT_EQ(stat((found("many:v1").layers[0] + "/f19999").c_str(), &file), 0);
  EXPECT_EQ(file.st_uid, 0U) << "in the store it is the image's root's";
}

INSTANTIATE_TEST_SUITE_P(
    Forms, HostileArchive,
    ::testing::Values(Form{"Docker", false, Filter::none}, Form{"DockerGzip", false, Filter::gzip},
                      Form{"DockerZstd", false, Filter::zstd}, Form{"Oci", true, Filter::none},
                      Form{"OciGzip", true, Filter::gzip}, Form{"OciZstd", true, Filter::zstd}),
    [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace cove::testing
