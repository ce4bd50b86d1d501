// An image store of a test's own, driven through the cove-image executable.
#pragma once

#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <regex>
#include <string>
#include <vector>

#include "cove/image.h"
#include "tests/unit/images/archives.h"

namespace cove::testing {

// The executable: $COVE_IMAGE, else beside this test in the build tree.
inline std::string cove_image() {
  if (const char* named = std::getenv("COVE_IMAGE")) return named;
  for (auto directory = std::filesystem::read_symlink("/proc/self/exe").parent_path();
       directory != "/"; directory = directory.parent_path()) {
    for (const char* place : {"cove-image", "images/cove-image"}) {
      if (std::filesystem::is_regular_file(directory / place)) return directory / place;
    }
  }
  return "cove-image";
}

struct Outcome {
  int status = -1;
  std::string out, err;
  std::vector<std::string> progress;  // lines of both that tell how far a load is, taken out
};

inline bool tells_progress(const std::string& line) {
  static const std::regex kLine("layer [0-9]+ of [0-9]+: sha256:.*");
  return line.starts_with("{\"event\":\"layer\"") || std::regex_match(line, kLine);
}

inline std::string without_progress(const std::string& text, std::vector<std::string>& progress) {
  std::string rest;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    const std::string line = text.substr(at, end - at);
    const std::string words = line.substr(0, line.find('\n'));
    if (tells_progress(words)) {
      progress.push_back(words);
    } else {
      rest += line;
    }
    at = end;
  }
  return rest;
}

inline bool installed(const char* tool) {
  return std::system((std::string("command -v ") + tool + " >/dev/null 2>&1").c_str()) == 0;
}

class ImageStore : public ::testing::Test {
 protected:
  std::string store() const { return scratch_ / "store"; }

  Outcome shell(const std::string& command) const {
    const std::string out = scratch_ / "out", err = scratch_ / "err";
    const int status = std::system(("( " + command + " ) >" + out + " 2>" + err).c_str());
    Outcome outcome;
    outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    outcome.out = without_progress(read_file(out), outcome.progress);
    outcome.err = without_progress(read_file(err), outcome.progress);
    return outcome;
  }
  std::string command(const std::string& arguments) const {
    return cove_image() + " --store " + store() + " " + arguments;
  }
  Outcome run(const std::string& arguments) const { return shell(command(arguments)); }

  std::string archive(const std::string& name, const std::string& bytes) const {
    write_file(scratch_ / name, bytes);
    return scratch_ / name;
  }
  ImageFacts found(const std::string& reference) const {
    const Result<ImageFacts> facts = find_image(store(), reference);
    EXPECT_TRUE(facts) << facts.error().message();
    return facts.value_or(ImageFacts());
  }
  std::size_t count(const std::string& below) const {
    std::size_t number = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator(store() + "/" + below))
      ++number;
    return number;
  }

  static Image demo() {
    return {{tar({directory("etc"), file("etc/passwd", "root:x:0:0::/:\n"),
                  file("etc/group", "app:x:5:\n"), file("bin/tool", "one")}),
             tar({directory("usr/etc"), file("usr/etc/accounts", "app:x:7:7::/:\n"),
                  directory("etc"), file("etc/.wh.passwd", "")}),
             tar({directory("etc"), symlink("etc/passwd", "../usr/etc/accounts")})},
            Filter::none,
            "demo:v1"};
  }
  static void expect_demo(const ImageFacts& facts) {
    EXPECT_EQ(facts.layers.size(), 3U);
    EXPECT_EQ(facts.passwd, "app:x:7:7::/:\n");
    EXPECT_EQ(facts.group, "app:x:5:\n");
    EXPECT_EQ(facts.config.entrypoint, std::vector<std::string>{"/init"});
    EXPECT_EQ(facts.config.command, std::vector<std::string>{"sh"});
    EXPECT_EQ(facts.config.env, (std::vector<std::string>{"PATH=/bin", "A=b"}));
    EXPECT_EQ(facts.config.workdir, "/w");
    EXPECT_EQ(facts.config.user, "app");
    ASSERT_FALSE(facts.layers.empty());
    EXPECT_EQ(read_file(facts.layers.front() + "/bin/tool"), "one");
  }

  ScratchDirectory scratch_;
};

}  // namespace cove::testing
