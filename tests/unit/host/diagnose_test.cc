#include <gtest/gtest.h>

#include <algorithm>

#include "cove/host.h"
#include "tests/unit/host/hosts.h"

namespace cove {
namespace {

Finding finding(const HostFacts& host, std::string_view subject) {
  for (Finding& found : diagnose(host)) {
    if (found.subject == subject) return found;
  }
  ADD_FAILURE() << "no finding about " << subject;
  return {};
}

TEST(Diagnosis, HasOneFindingForEachSubjectAndACureForEachFault) {
  for (const char* name : kRecordedHosts) {
    std::vector<std::string> subjects;
    for (const Finding& found : diagnose(recorded_host(name))) {
      subjects.push_back(found.subject);
      EXPECT_FALSE(found.found.empty()) << name << ' ' << found.subject;
      EXPECT_EQ(found.severity == Severity::ok, found.costs.empty())
          << name << ' ' << found.subject;
      EXPECT_EQ(found.severity == Severity::ok, found.cure.empty()) << name << ' ' << found.subject;
    }
    EXPECT_EQ(subjects.size(), 14u);
    std::sort(subjects.begin(), subjects.end());
    EXPECT_EQ(std::adjacent_find(subjects.begin(), subjects.end()), subjects.end());
  }
}

TEST(Diagnosis, OfRecordedHosts) {
  struct Case {
    const char* host;
    const char* subject;
    Severity severity;
    const char* text;  // in found, costs or cure
  };
  const Case cases[] = {
      {"debian12_root", "cgroup memory", Severity::ok, "cgroup v2"},
      {"debian12_root", "uid ranges", Severity::ok, "65536"},
      {"debian12_root", "overlay on tmpfs", Severity::ok, "root"},
      {"hybrid_root", "cgroup memory", Severity::note, "cgroup v1"},
      {"hybrid_root", "cgroup io", Severity::note, "unified_cgroup_hierarchy=1"},
      {"hybrid_root", "cgroup v2", Severity::ok, "/sys/fs/cgroup/unified"},
      {"user_delegated", "uid ranges", Severity::degraded, "uid_separation"},
      {"user_delegated", "cgroup memory", Severity::ok, "run-r5.scope"},
      {"user_delegated", "cgroup io", Severity::note, "Delegate=yes"},
      {"debian12_user", "overlay on tmpfs", Severity::degraded, "--read-only"},
      {"debian12_user", "cgroup memory", Severity::degraded, "dbus-user-session"},
      {"user_session", "cgroup v2", Severity::ok, "a scope of systemd's below /sys/fs/cgroup/user"},
      {"user_session", "cgroup memory", Severity::ok, "cgroup v2, in a scope of systemd's below"},
      {"debian12_user", "cgroup v2", Severity::degraded, "cpu_timeout"},
      {"container_read_only", "cgroup memory", Severity::degraded, "mounted read-only"},
      {"container_read_only", "uid ranges", Severity::degraded, "CAP_SYS_ADMIN"},
      {"ubuntu2404_user", "user namespaces", Severity::broken, "AppArmor profile with `userns,`"},
      {"debian12_root", "open network", Severity::ok, "/usr/bin/pasta"},
      {"debian12_user", "open network", Severity::note, "apt install passt"},
      {"hybrid_root", "open network", Severity::note, "was not looked for"},
  };
  for (const Case& c : cases) {
    const Finding found = finding(recorded_host(c.host), c.subject);
    EXPECT_EQ(to_string(found.severity), to_string(c.severity)) << c.host << ' ' << c.subject;
    EXPECT_NE((found.found + '\n' + found.costs + '\n' + found.cure).find(c.text),
              std::string::npos)
        << c.host << ' ' << c.subject << ": " << found.found << '\n'
        << found.cure;
  }
}

TEST(Diagnosis, OfOldKernels) {
  HostFacts host = recorded_host("debian12_root");
  host.kernel_release = "5.10.0-28-amd64";
  EXPECT_EQ(finding(host, "kernel").severity, Severity::broken);
  host.kernel_release = "5.13.0";
  EXPECT_EQ(finding(host, "kernel").severity, Severity::degraded);
  host.kernel_release = "5.14.0";
  EXPECT_EQ(finding(host, "kernel").severity, Severity::ok);
}

TEST(Diagnosis, OfMissingFeatures) {
  HostFacts host = recorded_host("debian12_root");
  host.seccomp = host.overlay = false;
  host.open_files_hard = 256;
  host.cgroup.controllers.clear();
  EXPECT_EQ(finding(host, "seccomp").severity, Severity::degraded);
  EXPECT_EQ(finding(host, "overlay").severity, Severity::degraded);
  EXPECT_EQ(finding(host, "open files").severity, Severity::note);
  EXPECT_EQ(finding(host, "cgroup pids").severity, Severity::degraded);
}

}  // namespace
}  // namespace cove
