#include "runtime/host/network_facts.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "cove/host.h"

namespace cove {
namespace {

TEST(PastaFacts, NeedAnExecutableAndATapDriver) {
  struct Case {
    PastaTexts texts;
    const char* pasta;
    const char* reason;
    const char* cure;
  };
  const Case cases[] = {
      {{"/usr/bin/pasta", true, true}, "/usr/bin/pasta", "", ""},
      {{"", true, true}, "", "not installed", "apt install passt"},
      {{"", false, false}, "", "not installed", "apt install passt"},
      {{"/usr/bin/pasta", false, false}, "", "is not there", "modprobe tun"},
      {{"/usr/bin/pasta", true, false}, "", "may not be opened", "chmod 0666"},
  };
  for (const Case& c : cases) {
    HostFacts facts;
    judge_pasta(c.texts, facts);
    EXPECT_EQ(facts.pasta, c.pasta);
    EXPECT_NE(facts.pasta_reason.find(c.reason), std::string::npos) << facts.pasta_reason;
    EXPECT_EQ(facts.pasta.empty(), !facts.pasta_reason.empty());
    if (*c.cure) EXPECT_NE(cure_for_pasta(facts.pasta_reason).find(c.cure), std::string::npos);
  }
}

TEST(PastaFacts, AreGatheredForThisHost) {
  const Result<HostFacts> host = gather_host_facts();
  ASSERT_TRUE(host) << host.error().message();
  EXPECT_NE(host->pasta.empty(), host->pasta_reason.empty()) << host->pasta_reason;
  if (!host->pasta.empty()) EXPECT_EQ(access(host->pasta.c_str(), X_OK), 0) << host->pasta;
}

TEST(PastaFacts, FindItInThePathFirst) {
  HostFacts facts;
  const std::string before = getenv("PATH") ? getenv("PATH") : "";
  // A directory that is no executable, and one relative to who knows where.
  setenv("PATH", ".:/nowhere:/", 1);
  gather_network_facts(facts);
  setenv("PATH", before.c_str(), 1);
  EXPECT_TRUE(facts.pasta.empty() || facts.pasta.starts_with("/usr/") ||
              facts.pasta.starts_with("/bin/"))
      << facts.pasta;
}

}  // namespace
}  // namespace cove
