// Namespaces and mounts: what a container is made of, and what must not be made inside one.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "tests/support/attacks/attacks.h"

namespace cove::payload {
namespace {

constexpr int kContainerId = 1000;  // as in a sandbox

[[noreturn]] void give_up(const std::string& what) {
  line("naive-container: " + what + ": " + outcome(errno));
  _exit(70);
}

void write_text(const std::string& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text.data(), text.size()) < 0) give_up(path);
  close(fd);
}

int status_of(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void drop_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const std::array<__user_cap_data_struct, 2> none{};
  if (syscall(SYS_capset, &header, none.data()) != 0) give_up("capset");
}

}  // namespace

// naive-container ROOT [keep-capabilities]: a container as a first attempt makes it, in which the
// commands that follow are run: all namespaces, an id map, a procfs, chroot; its pid 1 is a fork of
// this program, its arguments and environment. There is no more to it: descriptors stay open, pid 1
// is as open as any process, no filter is loaded.
void naive_container(const Arguments& a) {
  const std::string uid = std::to_string(geteuid()), gid = std::to_string(getegid());
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
              CLONE_NEWNET | CLONE_NEWCGROUP) != 0)
    give_up("unshare");
  write_text("/proc/self/setgroups", "deny");
  write_text("/proc/self/uid_map", std::to_string(kContainerId) + " " + uid + " 1");
  write_text("/proc/self/gid_map", std::to_string(kContainerId) + " " + gid + " 1");
  const pid_t init = fork();
  if (init < 0) give_up("fork");
  if (init > 0) _exit(status_of(init));

  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) give_up("make private");
  if (mount("proc", (a[1] + "/proc").c_str(), "proc", 0, nullptr) != 0) give_up("mount /proc");
  if (chroot(a[1].c_str()) != 0 || chdir("/") != 0) give_up("chroot");
  if (a.size() < 3 || a[2] != "keep-capabilities") drop_capabilities();
  const pid_t payload = fork();
  if (payload < 0) give_up("fork");
  if (payload > 0) _exit(status_of(payload));
  setsid();
}

// remount-writable PATH: a mount that is read-only, by the old call and the new.
void remount_writable(const Arguments& a) {
  report("remount", mount(nullptr, a[1].c_str(), nullptr, MS_REMOUNT | MS_BIND, nullptr));
  mount_attr attributes{};
  attributes.attr_clr = MOUNT_ATTR_RDONLY;
  report("mount_setattr",
         syscall(SYS_mount_setattr, AT_FDCWD, a[1].c_str(), 0, &attributes, sizeof attributes));
}

// enter-namespace PATH
void enter_namespace(const Arguments& a) {
  const int fd = open(a[1].c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return report("open", -1);
  report("setns", syscall(SYS_setns, fd, 0));
  close(fd);
}

// clone3 FLAGS: a child that only exits.
void clone_by_clone3(const Arguments& a) {
  clone_args args{};
  args.flags = number(a[1]);
  args.exit_signal = SIGCHLD;
  const long pid = syscall(SYS_clone3, &args, sizeof args);
  if (pid == 0) _exit(0);
  report("clone3", pid);
  if (pid > 0) waitpid(static_cast<pid_t>(pid), nullptr, 0);
}

}  // namespace cove::payload
