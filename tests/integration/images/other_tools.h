// Other tools of images, each with a storage of the test's own: nothing of the host's is read or
// changed. Buildah, Podman and skopeo read a file that names the storage; Docker needs its daemon.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "tests/integration/images/image_store.h"
#include "tests/support/command.h"

namespace cove::testing {

class DockerDaemon {
 public:
  // In an empty directory, whose path is short (sockets). Waits until it answers.
  explicit DockerDaemon(const std::string& directory)
      : socket_("unix://" + directory + "/sock"),
        daemon_({"/usr/bin/env", "dockerd", "--iptables=false", "--bridge=none",
                 "--storage-driver=vfs", "--log-level=error", "--data-root", directory + "/data",
                 "--exec-root", directory + "/exec", "--pidfile", directory + "/pid", "-H",
                 socket_}) {
    for (const double end = seconds_now() + 30; !answers_ && seconds_now() < end;) {
      answers_ =
          std::system(("DOCKER_HOST=" + socket_ + " docker version >/dev/null 2>&1").c_str()) == 0;
      if (!answers_) usleep(100'000);
    }
  }
  DockerDaemon(const DockerDaemon&) = delete;
  DockerDaemon& operator=(const DockerDaemon&) = delete;
  ~DockerDaemon() {
    daemon_.kill(SIGTERM);
    daemon_.wait();
  }
  bool answers() const { return answers_; }
  const std::string& socket() const { return socket_; }

 private:
  std::string socket_;
  RunningCommand daemon_;
  bool answers_ = false;
};

// A store, and the other tools' storages beside it.
class OtherTools : public ImageStore {
 protected:
  OtherTools() {
    write_file(scratch_ / "storage.conf", "[storage]\ndriver = \"vfs\"\ngraphroot = \"" +
                                              (scratch_ / "storage") + "\"\nrunroot = \"" +
                                              (scratch_ / "run") + "\"\n");
  }
  // Why `tool` cannot be tried here; empty if it can. Starts Docker's daemon.
  std::string why_not(const std::string& tool) {
    if (geteuid() != 0) return "needs root: for the storage of " + tool;
    const std::string program = tool == "docker" ? "dockerd" : tool;
    if (!installed(tool.c_str())) return "needs program " + tool;
    if (!installed(program.c_str())) return "needs program " + program;
    if (tool != "docker") return {};
    std::filesystem::create_directory(scratch_ / "docker");
    daemon_ = std::make_unique<DockerDaemon>(scratch_ / "docker");
    return daemon_->answers() ? "" : "needs program dockerd, which does not start here";
  }
  // With the environment in which they find it.
  Outcome with_tools(const std::string& script) const {
    return shell("export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot CONTAINERS_STORAGE_CONF=" +
                 (scratch_ / "storage.conf") + " DOCKER_HOST=" +
                 (daemon_ ? daemon_->socket() : std::string("unix:///nowhere")) + "; " + script);
  }

 private:
  std::unique_ptr<DockerDaemon> daemon_;
};

}  // namespace cove::testing
