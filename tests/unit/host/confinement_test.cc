#include "runtime/host/confinement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cove {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kProc = "22 20 0:21 / /proc rw,nosuid - proc proc rw\n";
constexpr const char* kMask = "40 22 0:21 /bus /proc/bus ro,nosuid - proc proc rw\n";

ConfinementTexts filtered_and_masked() {
  ConfinementTexts texts;
  texts.status = "Name:\tcove\nSeccomp:\t2\nSeccomp_filters:\t1\n";
  texts.mountinfo = std::string(kProc) + kMask;
  return texts;
}

TEST(Confinement, OfAnOrdinaryHostIsNone) {
  ConfinementTexts texts;
  texts.status = "Name:\tcove\nSeccomp:\t0\nSeccomp_filters:\t0\n";
  texts.mountinfo = std::string(kProc) +
                    "28 22 0:27 / /proc/sys/fs/binfmt_misc rw,relatime - autofs systemd-1 rw\n";
  texts.apparmor = "unconfined\n";
  const Confinement confinement = judge_confinement(texts);
  EXPECT_EQ(confinement.container, Container::none);
  EXPECT_FALSE(confinement.filtered);
  EXPECT_FALSE(confinement.masked_proc);
  EXPECT_THAT(confinement.apparmor, IsEmpty());
  EXPECT_THAT(cure_for_confinement(confinement), IsEmpty());
}

TEST(Confinement, OfDockerIsCuredByTheOptionsOfDocker) {
  ConfinementTexts texts = filtered_and_masked();
  texts.dockerenv = true;
  texts.apparmor = "docker-default (enforce)\n";
  EXPECT_THAT(cure_for_confinement(judge_confinement(texts)),
              StartsWith("start the container with docker run"
                         " --security-opt seccomp=container-seccomp.json"
                         " --security-opt systempaths=unconfined"
                         " --security-opt apparmor=unconfined"));
}

TEST(Confinement, OfPodmanIsCuredByTheOptionsOfPodman) {
  ConfinementTexts texts = filtered_and_masked();
  texts.containerenv = true;
  texts.dockerenv = true;  // for programs that only know Docker
  const std::string cure = cure_for_confinement(judge_confinement(texts));
  EXPECT_THAT(cure, StartsWith("start the container with podman run"));
  EXPECT_THAT(cure, HasSubstr("unmask=ALL"));
  EXPECT_THAT(cure, Not(HasSubstr("systempaths")));
}

// A service, or a container of a kind that leaves no sign: what has to change, and no command.
TEST(Confinement, OfSomethingElseIsSaidInWords) {
  const std::string cure = cure_for_confinement(judge_confinement(filtered_and_masked()));
  EXPECT_THAT(cure, HasSubstr("SystemCallFilter="));
  EXPECT_THAT(cure, HasSubstr("procMount: Unmasked"));
  EXPECT_THAT(cure, Not(HasSubstr("--security-opt")));
}

TEST(Confinement, CuresOnlyWhatIsThere) {
  ConfinementTexts texts = filtered_and_masked();
  texts.dockerenv = true;
  texts.status = "Name:\tcove\nSeccomp:\t0\n";
  EXPECT_EQ(cure_for_confinement(judge_confinement(texts)),
            "start the container with docker run --security-opt systempaths=unconfined");
}

}  // namespace
}  // namespace cove
