// What the fuzzer of registries' words tries: see targets.h.
#pragma once

#include "images/registry/challenge.h"
#include "tests/fuzz/targets.h"

namespace cove::fuzz {

// A challenge is made of what its header holds, and nothing of it can end a line where there was
// no end of a line.
inline void challenge(std::string_view bytes) {
  const bool one_line = bytes.find_first_of("\r\n") == std::string_view::npos;
  std::size_t total = 0;
  for (const Challenge& one : parse_challenges(bytes)) {
    promise(!one.scheme.empty(), "a challenge has a scheme");
    promise(one.scheme.find_first_of(" \t,=\"\r\n") == std::string::npos, "a scheme is a word");
    total += one.scheme.size();
    for (const auto& [name, value] : one.parameters) {
      promise(!name.empty(), "a parameter has a name");
      promise(!one_line || value.find_first_of("\r\n") == std::string::npos,
              "a value has no line ends of its own");
      total += name.size() + value.size();
    }
  }
  promise(total <= bytes.size(), "nothing is made up");
}

}  // namespace cove::fuzz
