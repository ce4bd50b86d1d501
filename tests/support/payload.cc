#include "tests/support/payload.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace cove::payload {
namespace {

std::initializer_list<std::span<const Command>> g_known;

[[noreturn]] void refuse(const std::string& text) {
  const std::string whole = "payload: " + text + "\n";
  (void)write_all(2, whole.data(), whole.size());
  _exit(64);
}

}  // namespace

void run(const Arguments& command) {
  if (command.empty()) return;
  for (const std::span<const Command> table : g_known) {
    for (const Command& known : table) {
      if (command[0] != known.name) continue;
      if (command.size() <= known.arguments)
        refuse(command[0] + " needs " + std::to_string(known.arguments) + " arguments");
      return known.run(command);
    }
  }
  refuse("no command " + command[0]);
}

void run_commands(int argc, char** argv, std::initializer_list<std::span<const Command>> known) {
  g_known = known;
  Arguments command;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], ";") != 0) {
      command.emplace_back(argv[i]);
      continue;
    }
    run(command);
    command.clear();
  }
  run(command);
  // Buffers of the C library were never used; children of spawn are not waited for.
  _exit(0);
}

bool write_all(int fd, const char* bytes, std::size_t count) {
  while (count > 0) {
    const ssize_t done = write(fd, bytes, count);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return false;
    bytes += done;
    count -= static_cast<std::size_t>(done);
  }
  return true;
}

void line(const std::string& text) {
  const std::string whole = text + "\n";
  if (!write_all(1, whole.data(), whole.size())) _exit(74);
}

std::string outcome(int number) {
  if (number == 0) return "ok";
  const char* name = strerrorname_np(number);
  return name ? name : std::to_string(number);
}

void report(const std::string& name, long result) {
  line(name + ": " + outcome(result == -1 ? errno : 0));
}

std::uint64_t number(const std::string& text) { return std::strtoull(text.c_str(), nullptr, 0); }
int integer(const std::string& text) {
  return static_cast<int>(std::strtol(text.c_str(), nullptr, 0));
}
double real(const std::string& text) { return std::strtod(text.c_str(), nullptr); }

double now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

void sleep_for(double seconds) {
  const double end = now() + seconds;
  for (double left; (left = end - now()) > 0;) {
    timespec time{static_cast<time_t>(left),
                  static_cast<long>((left - static_cast<double>(static_cast<time_t>(left))) * 1e9)};
    nanosleep(&time, nullptr);
  }
}

std::string contents(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::string text;
  std::array<char, 65536> buffer;
  for (ssize_t got; (got = read(fd, buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  close(fd);
  return text;
}

std::string link_target(const std::string& path) {
  std::array<char, 4096> target{};
  const ssize_t length = readlink(path.c_str(), target.data(), target.size());
  return length < 0 ? "(" + outcome(errno) + ")"
                    : std::string(target.data(), static_cast<std::size_t>(length));
}

std::vector<std::string> names_in(const std::string& path) {
  std::vector<std::string> names;
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return names;
  while (const dirent* entry = readdir(directory)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  closedir(directory);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace cove::payload
