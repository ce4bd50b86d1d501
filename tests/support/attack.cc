#include "tests/support/attack.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "cove/json.h"

namespace cove::testing {
namespace {

std::vector<std::string> split(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::string said(const CommandOutcome& outcome) {
  return outcome.err.empty() ? outcome.out : outcome.out + outcome.err;
}

}  // namespace

std::string attacker_path() { return program_path("COVE_ATTACKER", "attacker"); }

AttackerRoot::AttackerRoot() {
  std::filesystem::copy_file(attacker_path(), outside("/bin/attacker"));
  if (chmod(outside("/bin/attacker").c_str(), 0755) != 0)
    throw std::runtime_error("cannot chmod the attacker");
  make_directory("/proc");
  make_directory("/tmp", 01777);
}

const AttackerRoot& AttackerRoot::shared() {
  static const AttackerRoot root;
  return root;
}

Attack::Attack(const std::string& commands, const AttackerRoot& root)
    : Attack(split(commands), root) {}

Attack::Attack(std::vector<std::string> words, const AttackerRoot& root) {
  words.insert(words.begin(), "/bin/attacker");
  spec.rootfs = root.path();
  spec.command = std::move(words);
}

std::vector<std::string> Attack::words() const {
  return {spec.command->begin() + 1, spec.command->end()};
}

std::string Attack::inside() const {
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  return output(result);
}

std::string Attack::without(std::initializer_list<Protection> protections) const {
  Attack weaker = *this;
  for (const Protection protection : protections)
    weaker.spec.require[protection] = Requirement::off;
  return weaker.inside();
}

std::string Attack::outside(const CommandOptions& options) const {
  std::vector<std::string> argv = words();
  argv.insert(argv.begin(), attacker_path());
  return said(run_command(argv, options));
}

std::string Attack::in_naive_container(const CommandOptions& options,
                                       Capabilities capabilities) const {
  std::vector<std::string> argv{attacker_path(), "naive-container", *spec.rootfs};
  if (capabilities == Capabilities::kept) argv.push_back("keep-capabilities");
  argv.push_back(";");
  for (const std::string& word : words()) argv.push_back(word);
  return said(run_command(argv, options));
}

SandboxResult Attack::through_command(const CommandOptions& options,
                                      const std::vector<std::string>& more) const {
  std::vector<std::string> argv{command_path(), "run", "--json"};
  argv.insert(argv.end(), more.begin(), more.end());
  argv.insert(argv.end(), {"--rootfs", *spec.rootfs, "--"});
  argv.insert(argv.end(), spec.command->begin(), spec.command->end());
  const CommandOutcome outcome = run_command(argv, options);
  const auto result = result_from_json(outcome.out);
  EXPECT_TRUE(result) << outcome.out << outcome.err;
  return result.value_or(SandboxResult{});
}

std::string refusal(const SandboxResult& result) {
  if (!result.error) return "ran: " + output(result);
  const Error& error = *result.error;
  const char* const name = error.sys_errno == 0 ? "0" : strerrorname_np(error.sys_errno);
  return std::string(to_string(error.code)) + ", " + error.step + ", " + name;
}

class Swapper::Thread {
 public:
  Thread(std::string one, std::string other)
      : one_(std::move(one)), other_(std::move(other)), thread_([this] { swap(); }) {}
  ~Thread() {
    ending_ = true;
    thread_.join();
  }

 private:
  // Not as fast as it can: what it races with must be able to see one state of it, too.
  void swap() const {
    for (unsigned pause = 1; !ending_; pause = (pause * 75 + 74) % 257) {
      renameat2(AT_FDCWD, one_.c_str(), AT_FDCWD, other_.c_str(), RENAME_EXCHANGE);
      std::this_thread::sleep_for(std::chrono::microseconds(pause));
    }
  }

  const std::string one_, other_;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

Swapper::Swapper(const std::string& one, const std::string& other) {
  // Once before, so that a file system that cannot do it fails the test.
  if (renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) != 0)
    throw std::runtime_error("cannot exchange " + one + " and " + other);
  thread_ = std::make_unique<Thread>(one, other);
}

Swapper::~Swapper() = default;

std::string hex(std::uint64_t value) {
  std::ostringstream text;
  text << "0x" << std::hex << value;
  return text.str();
}

std::string disguised(const std::string& text) { return text.substr(0, 1) + "%" + text.substr(1); }

int attempts(int on_a_fast_machine) {
  return std::max(20, static_cast<int>(on_a_fast_machine / slowness() / slowness()));
}

}  // namespace cove::testing
