// The words behind `cove COMMAND`, taken apart by a table.
//
// A command describes its options once, as a table of OptionText; the table makes the parser, the
// --help text and the suggestions for a mistyped name. Options end at the first word that is not
// one, or at "--"; what stands behind is never looked into, so that no word of a program can become
// an option of ours. Nothing here prints, and nothing stops at the first mistake.
//
//   CommandLine line = parse_command_line(kOptions, words);
//   for (const GivenOption& given : line.options) kOptions[given.index]...
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cove/error.h"

namespace cove::cli {

struct OptionText {
  std::string_view name;     // the long form, without its dashes: "memory"
  char letter = '\0';        // the short form: 'm'; '\0' where there is none
  std::string_view metavar;  // "SIZE"; empty: a flag, which takes a value only as --flag=false
  std::string_view section;  // its heading in --help
  std::string_view help;     // one line
};

// An option that we know and do not have: what to say to whoever comes with the habit.
struct ForeignOption {
  std::string_view name;  // as it is written: "--cpu-shares", "-t"
  std::string_view hint;
};

struct GivenOption {
  std::size_t index = 0;  // in the table
  std::string value;      // of a flag: "true", unless it was written --flag=VALUE
};

struct CommandLine {
  std::vector<GivenOption> options;   // in the order in which they were given
  bool separated = false;             // "--" stood between options and operands
  std::vector<std::string> operands;  // the rest, as it came
  std::vector<Error> mistakes;        // unknown options, missing values
};

CommandLine parse_command_line(std::span<const OptionText> table,
                               std::span<const std::string> words,
                               std::span<const ForeignOption> foreign = {});

// A mistake in the caller's words. `where` is the option or operand that it concerns.
Error usage_error(std::string where, std::string what, std::string hint = {});

// All mistakes as one Error: the first, with the others in `more`. At least one is needed.
Error join(std::vector<Error> mistakes);

// The candidate that `word` was probably meant to be; none where nothing is near.
std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> candidates);

// The options of a table as --help shows them, under their sections.
std::string describe_options(std::span<const OptionText> table);

}  // namespace cove::cli
