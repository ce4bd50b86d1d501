// What the programs that tests run inside are made of: static, so that they need nothing of their
// root filesystem.
//
//   PROGRAM COMMAND [ARGUMENT...] [";" COMMAND [ARGUMENT...]]...
//
// The commands run one after the other, in one process; when all are done it exits with 0. What is
// attempted is reported as a line, "chmod: ok" or "chmod: EPERM", and the next command goes on.
// Output is unbuffered.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace cove::payload {

// The command's own name first.
using Arguments = std::vector<std::string>;

struct Command {
  const char* name;
  std::size_t arguments;  // at least
  void (*run)(const Arguments&);
};

// What main() of such a program does. Never returns.
[[noreturn]] void run_commands(int argc, char** argv,
                               std::initializer_list<std::span<const Command>> known);

// One more, from within one. A command that is not known ends the process with 64.
void run(const Arguments& command);

// Those of the probe (probe.cc).
std::span<const Command> probe_commands();

bool write_all(int fd, const char* bytes, std::size_t count);
void line(const std::string& text);
// "ok" for 0, else "EPERM" ...
std::string outcome(int number);
// `result` of a system call that says -1 for a failure.
void report(const std::string& name, long result);

std::uint64_t number(const std::string& text);
int integer(const std::string& text);
double real(const std::string& text);

double now();
void sleep_for(double seconds);

// Empty where it cannot be read.
std::string contents(const std::string& path);
// "(ENOENT)" where there is none.
std::string link_target(const std::string& path);
// Sorted.
std::vector<std::string> names_in(const std::string& path);

}  // namespace cove::payload
