// Registries of a test's own, on 127.0.0.1, and a store that is filled from them with nobody's
// logins, certificates and mirrors but the test's.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "tests/integration/images/image_store.h"
#include "tests/support/command.h"

namespace cove::testing {

using nlohmann::json;

// The command line of a script beside this file.
std::vector<std::string> python_script(const std::string& name,
                                       const std::vector<std::string>& words);
// Of a log that such a script writes, one JSON object a line: those whose path holds `part`, in order.
std::vector<json> requests_in(const std::string& log, const std::string& part = "");

// registry.py, beside this file, which says what its settings are. Ended with this object.
class FaultyRegistry {
 public:
  explicit FaultyRegistry(const std::string& layout, json settings = json::object());

  std::string host() const { return "127.0.0.1:" + port_; }
  std::string place() const { return host() + "/tools/demo"; }
  const std::string& port() const { return port_; }
  // Those whose path holds `part`, in order.
  std::vector<json> requests(const std::string& part = "") const;

 private:
  ScratchDirectory scratch_;
  std::string port_;
  std::unique_ptr<RunningCommand> process_;
};

json fault(const std::string& path, json what, int times = 0);

// Debian's docker-registry, empty. `settings`: lines for its config.yml; those of `http` apart.
class DockerRegistry {
 public:
  explicit DockerRegistry(const std::string& settings = "", const std::string& http = "");
  static bool is_there() { return installed("docker-registry") && installed("skopeo"); }

  std::string host() const { return "127.0.0.1:" + port_; }
  std::string place() const { return host() + "/tools/demo"; }
  // Copies an archive to it with skopeo, by which it becomes "tools/demo:TAG".
  void push(const std::string& archive, const std::string& tag,
            const std::string& options = "") const;
  // Its access log's lines that hold `part`.
  std::size_t requests(const std::string& part) const;

 private:
  ScratchDirectory scratch_;
  std::string port_;
  std::unique_ptr<RunningCommand> process_;
};

// Waits for it, ten seconds at most.
bool comes_true(const std::function<bool()>& condition);

// Bytes that do not compress, the same for the same seed.
std::string noise(std::size_t size, unsigned seed);

class PullingStore : public ImageStore {
 protected:
  PullingStore();
  // `cove-image ...` in a bare environment, with a home in the scratch directory. Fast retries.
  Outcome cove(const std::string& arguments, const std::string& before = "") const;
  Outcome pull(const std::string& arguments) const { return cove("pull " + arguments); }
  std::vector<std::string> bare_environment() const;
  std::string home() const { return scratch_ / "home"; }
  void put_at_home(const std::string& path, const std::string& text) const;

  // Adds a blob to an OCI layout; its digest.
  static std::string put_blob(const std::string& layout, const std::string& text);
  // A layout of its own for an image.
  std::string layout_of(const Image& image) const;
  // Two layers, of 600,000 and 300,000 bytes that do not compress.
  static Image large();
  void expect_sound_and_empty() const;
  void expect_pulled(const Outcome& outcome, const std::string& name, std::size_t layers) const;
  void expect_refused(const Outcome& outcome, const std::string& words) const;
};

}  // namespace cove::testing
