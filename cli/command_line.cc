#include "cli/command_line.h"

// CLI11 includes <iostream>, whose static initialiser builds eight streams that we never use: about
// 0.1 ms and 15 page faults of every run. Its include guard is taken here, and the declarations
// that CLI11's (unused) printing functions need come from <istream> and <ostream>.
#ifdef __GLIBCXX__
#include <istream>
#include <ostream>
#ifndef _GLIBCXX_IOSTREAM
#define _GLIBCXX_IOSTREAM 1  // NOLINT(bugprone-reserved-identifier): the library's own guard
namespace std {
extern ostream cout;
extern ostream cerr;
}  // namespace std
#endif
#endif
#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

namespace cove::cli {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

std::size_t find_name(std::span<const OptionText> table, std::string_view name) {
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (table[i].name == name) return i;
  }
  return kNone;
}

std::size_t find_letter(std::span<const OptionText> table, char letter) {
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (table[i].letter == letter && letter != '\0') return i;
  }
  return kNone;
}

// Edits that make one word of the other: a letter more, less, other, or two neighbours swapped
// (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before.swap(last);
    last.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
  }
  return row.back();
}

std::size_t nearest_option(std::span<const OptionText> table, std::string_view name) {
  std::vector<std::string_view> names;
  for (const OptionText& option : table) names.push_back(option.name);
  const auto meant = nearest(name, names);
  return meant ? find_name(table, *meant) : kNone;
}

// Our options, cut off from what follows them.
struct OptionWords {
  std::vector<std::string> words;  // as CLI11 is to read them
  std::size_t end = 0;             // the first word that is not one of them
  std::vector<std::size_t> used;   // entries of the table that occur
};

// Finds where our options end, which must be known before anything is interpreted: CLI11 has no
// word for "the first operand ends the options, and the rest is somebody else's". On the way it
// mends two things that CLI11 reads otherwise than Docker: "--entrypoint=" is an option with an
// empty value (CLI11 would take IMAGE for it), and "-m=1g" has no "=" in its value.
OptionWords take_options(std::span<const OptionText> table, std::span<const std::string> words) {
  OptionWords taken;
  const auto use = [&taken](std::size_t index) {
    if (std::find(taken.used.begin(), taken.used.end(), index) == taken.used.end()) {
      taken.used.push_back(index);
    }
  };
  const auto take_value_behind = [&] {
    if (taken.end < words.size()) taken.words.push_back(words[taken.end++]);
  };

  while (taken.end < words.size()) {
    const std::string& word = words[taken.end];
    if (word.size() < 2 || word[0] != '-' || word == "--") break;
    ++taken.end;

    if (word[1] == '-') {
      const std::size_t equals = word.find('=');
      const std::size_t index = find_name(table, std::string_view(word).substr(2, equals - 2));
      if (index == kNone) {
        taken.words.push_back(word);
        // What follows a mistyped name is its value, not IMAGE, if the name meant takes one: the
        // mistakes behind it are found as well.
        const std::size_t meant = nearest_option(table, std::string_view(word).substr(2));
        if (equals == std::string::npos && meant != kNone && !table[meant].metavar.empty() &&
            taken.end < words.size()) {
          ++taken.end;
        }
        continue;
      }
      use(index);
      if (table[index].metavar.empty()) {
        taken.words.push_back(word);
      } else if (equals == std::string::npos) {
        taken.words.push_back(word);
        take_value_behind();
      } else {
        taken.words.push_back(word.substr(0, equals));
        taken.words.push_back(word.substr(equals + 1));
      }
      continue;
    }

    // Letters: flags may be run together, and the last one may have its value behind it.
    for (std::size_t at = 1; at < word.size(); ++at) {
      const std::size_t index = find_letter(table, word[at]);
      taken.words.push_back(std::string("-") + word[at]);
      if (index == kNone) {  // it may have had a value: what stands behind it says nothing
        taken.words.back() = "-" + word.substr(at);
        break;
      }
      use(index);
      if (table[index].metavar.empty()) continue;
      const std::size_t value = at + 1 < word.size() && word[at + 1] == '=' ? at + 2 : at + 1;
      if (value < word.size()) {
        taken.words.push_back(word.substr(value));
      } else if (value == at + 1) {
        take_value_behind();
      } else {
        taken.words.emplace_back();
      }
      break;
    }
  }
  return taken;
}

Error unknown_option(std::span<const OptionText> table, std::span<const ForeignOption> foreign,
                     const std::string& word) {
  const std::string name =
      word.starts_with("--") ? word.substr(0, word.find('=')) : word.substr(0, 2);
  for (const ForeignOption& known : foreign) {
    if (known.name == name)
      return usage_error(name, "is not an option of cove", std::string(known.hint));
  }
  std::string hint;
  if (name.size() > 2) {
    const std::size_t meant = nearest_option(table, std::string_view(name).substr(2));
    if (meant != kNone) hint = "did you mean --" + std::string(table[meant].name) + "?";
  }
  return usage_error(name, "unknown option", std::move(hint));
}

}  // namespace

CommandLine parse_command_line(std::span<const OptionText> table,
                               std::span<const std::string> words,
                               std::span<const ForeignOption> foreign) {
  CommandLine line;
  OptionWords taken = take_options(table, words);

  std::size_t operands = taken.end;
  line.separated = operands < words.size() && words[operands] == "--";
  if (line.separated) ++operands;
  line.operands.assign(words.begin() + static_cast<std::ptrdiff_t>(operands), words.end());
  if (taken.words.empty()) return line;

  // Only the options that occur are registered: CLI11 compares every new name with all before it,
  // and `run`'s whole table took it 0.3 ms.
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  std::vector<std::pair<const CLI::Option*, std::size_t>> registered;
  for (const std::size_t index : taken.used) {
    const OptionText& text = table[index];
    std::string names = "--" + std::string(text.name);
    if (text.letter != '\0') names += std::string(",-") + text.letter;
    CLI::Option* option = text.metavar.empty() ? app.add_flag(names) : app.add_option(names);
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    registered.emplace_back(option, index);
  }

  const std::string last = taken.words.back();
  std::reverse(taken.words.begin(), taken.words.end());  // what CLI::App::parse(vector) expects
  try {
    app.parse(std::move(taken.words));
  } catch (const CLI::ParseError&) {
    // One thing can fail here: the last option has no value. All before it has been parsed.
    line.mistakes.push_back(usage_error(last, "needs a value"));
  }

  // CLI11 keeps the values of each option apart, and beside them the order of all.
  std::vector<std::size_t> next(registered.size(), 0);
  for (const CLI::Option* option : app.parse_order()) {
    for (std::size_t i = 0; i < registered.size(); ++i) {
      if (registered[i].first != option) continue;
      line.options.push_back({registered[i].second, option->results()[next[i]++]});
    }
  }
  for (const std::string& word : app.remaining()) {
    line.mistakes.push_back(unknown_option(table, foreign, word));
  }
  return line;
}

Error usage_error(std::string where, std::string what, std::string hint) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.where = std::move(where);
  error.what = std::move(what);
  error.hint = std::move(hint);
  return error;
}

Error join(std::vector<Error> mistakes) {
  Error first = std::move(mistakes.front());
  std::move(mistakes.begin() + 1, mistakes.end(), std::back_inserter(first.more));
  return first;
}

std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> candidates) {
  std::optional<std::string_view> best;
  std::size_t best_distance = word.size() < 4 ? 1 : word.size() < 8 ? 2 : 3;
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance || (distance == best_distance && !best)) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string describe_options(std::span<const OptionText> table) {
  constexpr std::size_t kColumn = 32;
  std::string text;
  std::string_view section;
  for (const OptionText& option : table) {
    if (option.section != section) {
      section = option.section;
      if (!text.empty()) text += '\n';
      text += std::string(section) + ":\n";
    }
    std::string left =
        option.letter != '\0' ? std::string("  -") + option.letter + ", --" : "      --";
    left += option.name;
    if (!option.metavar.empty()) left += " " + std::string(option.metavar);
    if (left.size() + 2 > kColumn) {
      text += left + '\n';
      left.clear();
    }
    left.resize(kColumn, ' ');
    text += left + std::string(option.help) + '\n';
  }
  return text;
}

}  // namespace cove::cli
