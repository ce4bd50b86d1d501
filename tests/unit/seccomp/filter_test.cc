#include "runtime/seccomp/filter.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "runtime/kernel/fd.h"
#include "runtime/seccomp/cache.h"
#include "tests/unit/seccomp/calls.h"

namespace cove {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPolicy =
    R"({"version": 1, "description": "a test", "default": "allow", "groups": [
  {"reason": "r", "syscalls": ["sethostname"], "action": "EDOM"}]})";

class FilterFile : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/seccomp-test-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    fs::create_directory(cache());
    cache_fd_.reset(open(cache().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(cache_fd_);
  }
  void TearDown() override { fs::remove_all(directory_); }

  fs::path cache() const { return directory_ / "cache"; }
  std::string write(const std::string& text, const char* name = "policy.json") const {
    const fs::path path = directory_ / name;
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
  }
  std::vector<fs::path> entries() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(cache())) found.push_back(entry.path());
    return found;
  }
  static std::string content(const fs::path& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  int cache_fd() const { return cache_fd_.number(); }

  fs::path directory_;
  UniqueFd cache_fd_;
};

const int kSethostname = number_of("sethostname");

TEST(FindFilter, KnowsTheBuiltInNames) {
  const auto filter = find_filter("default", -1);
  ASSERT_TRUE(filter.has_value());
  EXPECT_EQ(filter->name, "default");
  EXPECT_EQ(filter->digest.size(), 16u);
  EXPECT_NE(filter->digest, find_filter("no-setuid-files", -1)->digest);
  EXPECT_EQ(filter->digest, find_filter("default", -1)->digest);
}

TEST(FindFilter, RefusesUnknownNamesAndSaysTheKnownOnes) {
  for (const char* name : {"", "Default", "policy.json", "default "}) {
    const auto filter = find_filter(name, -1);
    ASSERT_FALSE(filter.has_value()) << name;
    EXPECT_EQ(filter.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(filter.error().hint.find("default, no-setuid-files"), std::string::npos)
        << filter.error().hint;
  }
}

TEST_F(FilterFile, IsCompiledWithoutACache) {
  const std::string path = write(kPolicy);
  const auto filter = find_filter(path, -1);
  ASSERT_TRUE(filter.has_value()) << filter.error().message();
  EXPECT_EQ(filter->name, path);
  EXPECT_EQ(answer(*filter, call(kSethostname)), refused(EDOM));
  EXPECT_EQ(answer(*filter, call(number_of("read"))), kAllow);
  EXPECT_TRUE(entries().empty());
}

TEST_F(FilterFile, MistakesNameTheFileAndThePlace) {
  const std::string path =
      write(R"({"version": 1, "description": "d", "default": "no", "groups": [{}]})");
  const auto filter = find_filter(path, cache_fd());
  ASSERT_FALSE(filter.has_value());
  EXPECT_EQ(filter.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(filter.error().where, path + " $.default");
  ASSERT_EQ(filter.error().more.size(), 3u);
  EXPECT_EQ(filter.error().more[0].where, path + " $.groups[0].reason");
  EXPECT_TRUE(entries().empty());
}

TEST_F(FilterFile, MustBeThere) {
  const auto filter = find_filter((directory_ / "none.json").string(), cache_fd());
  ASSERT_FALSE(filter.has_value());
  EXPECT_EQ(filter.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(filter.error().sys_errno, ENOENT);
}

TEST_F(FilterFile, HasNoNulInItsName) {
  const std::string path = write(kPolicy) + std::string("\0x", 2);
  const auto filter = find_filter(path, -1);
  ASSERT_FALSE(filter.has_value());
  EXPECT_EQ(filter.error().what, "has a NUL byte in its name");
}

TEST_F(FilterFile, MustBeRegularAndSmall) {
  const std::string fifo = (directory_ / "fifo").string();
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  for (const std::string& path : {directory_.string(), fifo, std::string("/dev/zero")}) {
    const auto filter = find_filter(path, -1);
    ASSERT_FALSE(filter.has_value()) << path;
    EXPECT_EQ(filter.error().what, "is not a regular file");
  }

  const std::string padding(std::size_t{1 << 20} - std::string(kPolicy).size(), ' ');
  EXPECT_TRUE(find_filter(write(kPolicy + padding), -1).has_value());
  const auto larger = find_filter(write(kPolicy + padding + " "), -1);
  ASSERT_FALSE(larger.has_value());
  EXPECT_EQ(larger.error().what, "has more than 1048576 bytes");
}

TEST_F(FilterFile, IsTakenFromTheCacheTheSecondTime) {
  const std::string path = write(kPolicy);
  const auto first = find_filter(path, cache_fd());
  ASSERT_TRUE(first.has_value());
  ASSERT_EQ(entries().size(), 1u);
  EXPECT_EQ(entries()[0].filename(), cache_entry_name(cache_key(kPolicy)));
  EXPECT_EQ(fs::status(entries()[0]).permissions(), fs::perms::owner_read | fs::perms::owner_write);

  // A program that no compiler would make shows where the second one comes from.
  const std::vector<sock_filter> marked{{BPF_RET | BPF_K, 0, 0, refused(EXDEV)}};
  write_cached(cache_fd_, cache_key(kPolicy), marked);
  const auto second = find_filter(path, cache_fd());
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(answer(*second, call(0)), refused(EXDEV));
  EXPECT_EQ(entries().size(), 1u);
}

TEST_F(FilterFile, IsCompiledAgainWhenItChanges) {
  const std::string path = write(kPolicy);
  ASSERT_TRUE(find_filter(path, cache_fd()).has_value());
  std::string changed = kPolicy;
  changed.replace(changed.find("EDOM"), 4, "EXDEV");
  write(changed);
  const auto filter = find_filter(path, cache_fd());
  ASSERT_TRUE(filter.has_value());
  EXPECT_EQ(answer(*filter, call(kSethostname)), refused(EXDEV));
  EXPECT_EQ(entries().size(), 2u);
}

// The same text of Docker's is another filter for a program that holds another capability.
TEST_F(FilterFile, IsCompiledAgainUnderOtherCircumstances) {
  const std::string path = write(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
    {"names": ["sethostname"], "action": "SCMP_ACT_ERRNO", "errnoRet": 33,
     "excludes": {"caps": ["CAP_SYS_NICE"]}},
    {"names": ["setdomainname"], "action": "SCMP_ACT_ERRNO", "errnoRet": 33,
     "excludes": {"minKernel": "6.2"}}]})");
  const auto answer_under = [&](const Circumstances& circumstances, const char* name) {
    const auto filter = find_filter(path, cache_fd(), circumstances);
    EXPECT_TRUE(filter.has_value()) << filter.error().message();
    return filter ? answer(*filter, call(number_of(name))) : 0;
  };
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(answer_under({6, 1, {}}, "sethostname"), refused(EDOM));
    EXPECT_EQ(answer_under({6, 1, {"sys_nice"}}, "sethostname"), kAllow);
    EXPECT_EQ(answer_under({6, 1, {}}, "setdomainname"), refused(EDOM));
    EXPECT_EQ(answer_under({6, 2, {}}, "setdomainname"), kAllow);
    EXPECT_EQ(entries().size(), 3u);
  }
}

TEST_F(FilterFile, IsNotTakenFromAnEntryOfAnotherSourceWithTheSameHash) {
  const std::string path = write(kPolicy);
  std::string other = kPolicy;
  other.replace(other.find("EDOM"), 4, "EPERM");
  write_cached(cache_fd_, cache_key(other),
               std::vector<sock_filter>{{BPF_RET | BPF_K, 0, 0, kAllow}});
  fs::rename(cache() / cache_entry_name(cache_key(other)),
             cache() / cache_entry_name(cache_key(kPolicy)));
  const auto filter = find_filter(path, cache_fd());
  ASSERT_TRUE(filter.has_value());
  EXPECT_EQ(answer(*filter, call(kSethostname)), refused(EDOM));
}

TEST_F(FilterFile, IgnoresAndRewritesADamagedEntry) {
  const std::string path = write(kPolicy);
  ASSERT_TRUE(find_filter(path, cache_fd()).has_value());
  const fs::path entry = entries().at(0);
  const std::string good = content(entry);

  std::vector<std::string> damaged{"", "x", good + "x", good.substr(0, good.size() - 8)};
  for (std::size_t length = 0; length < good.size(); length += 149)
    damaged.push_back(good.substr(0, length));
  for (std::size_t at = 0; at < good.size(); at += 41) {
    damaged.push_back(good);
    damaged.back()[at] = static_cast<char>(damaged.back()[at] ^ 1);
  }
  for (const std::string& bad : damaged) {
    std::ofstream(entry, std::ios::binary | std::ios::trunc) << bad;
    EXPECT_FALSE(read_cached(cache_fd_, cache_key(kPolicy)).has_value());
    const auto filter = find_filter(path, cache_fd());
    ASSERT_TRUE(filter.has_value());
    ASSERT_EQ(answer(*filter, call(kSethostname)), refused(EDOM));
    ASSERT_EQ(content(entry), good);
  }
  EXPECT_EQ(entries().size(), 1u);
}

TEST_F(FilterFile, DoesNotObeyAnEntryThatOthersMayWriteOrALink) {
  const std::string path = write(kPolicy);
  write_cached(cache_fd_, cache_key(kPolicy),
               std::vector<sock_filter>{{BPF_RET | BPF_K, 0, 0, kAllow}});
  const fs::path entry = entries().at(0);
  ASSERT_TRUE(read_cached(cache_fd_, cache_key(kPolicy)).has_value());
  ASSERT_EQ(chmod(entry.c_str(), 0620), 0);
  EXPECT_FALSE(read_cached(cache_fd_, cache_key(kPolicy)).has_value());
  ASSERT_EQ(chmod(entry.c_str(), 0600), 0);

  const fs::path elsewhere = directory_ / "elsewhere";
  fs::rename(entry, elsewhere);
  fs::create_symlink(elsewhere, entry);
  EXPECT_FALSE(read_cached(cache_fd_, cache_key(kPolicy)).has_value());
  const auto filter = find_filter(path, cache_fd());
  ASSERT_TRUE(filter.has_value());
  EXPECT_EQ(answer(*filter, call(kSethostname)), refused(EDOM));
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(entry)));
}

TEST_F(FilterFile, LaunchesWithoutAUsableCache) {
  const std::string path = write(kPolicy);
  const UniqueFd not_a_directory(open("/dev/null", O_RDWR | O_CLOEXEC));
  const UniqueFd read_only(open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  fs::remove_all(cache());  // cache_fd() is a directory that no longer exists
  for (const int directory : {not_a_directory.number(), read_only.number(), cache_fd(), 999999}) {
    const auto filter = find_filter(path, directory);
    ASSERT_TRUE(filter.has_value()) << directory;
    EXPECT_EQ(answer(*filter, call(kSethostname)), refused(EDOM));
  }
  // The same where the entry's place is taken by a directory.
  fs::create_directories(cache() / cache_entry_name(cache_key(kPolicy)));
  const UniqueFd taken(open(cache().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_TRUE(find_filter(path, taken.number()).has_value());
  EXPECT_EQ(entries().size(), 1u);
}

}  // namespace
}  // namespace cove
