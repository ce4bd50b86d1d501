// What the fuzzers try, as plain functions: the libFuzzer programs and the replay of their corpus
// (tests/unit/model/fuzz_corpus_test.cc) call the same. Each ends the process where a promise is
// broken.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cove/json.h"
#include "runtime/model/wire.h"
#include "runtime/text/text.h"

namespace cove::fuzz {

inline void promise(bool kept, const char* what) {
  if (kept) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

inline void check_refusal(const Error& error) {
  promise(error.code == ErrorCode::invalid_argument, "a refused document is an invalid argument");
  promise(!error.where.empty() && error.where[0] == '$', "every mistake has its JSON path");
  promise(!error.what.empty(), "every mistake is told");
  promise(is_utf8(to_json(error)), "an error is UTF-8");
}

// What was read is written so that the same is read again.
template <class T>
void read_and_write(std::string_view text, Result<T> (*from_json)(std::string_view)) {
  const Result<T> read = from_json(text);
  if (!read) return check_refusal(read.error());
  const std::string written = to_json(*read);
  promise(is_utf8(written), "JSON is UTF-8");
  const Result<T> again = from_json(written);
  promise(again.has_value(), "what was read can be written and read again");
  promise(encode(*again) == encode(*read), "reading and writing lose nothing");
}

inline void spec_json(std::string_view bytes) {
  read_and_write<SandboxSpec>(bytes, spec_from_json);
}

inline void plan_json(std::string_view bytes) { read_and_write<Plan>(bytes, plan_from_json); }

template <class T>
void decode_and_encode(std::string_view bytes) {
  const Result<T> read = decode<T>(bytes);
  if (!read) return;
  promise(encode(*read) == bytes, "only what encode writes is decoded");
  promise(is_utf8(to_json(*read)), "what was decoded can be shown");
}

inline void wire(std::string_view bytes) {
  decode_and_encode<Plan>(bytes);
  decode_and_encode<SandboxSpec>(bytes);
  decode_and_encode<SandboxResult>(bytes);
  decode_and_encode<Error>(bytes);
}

}  // namespace cove::fuzz
