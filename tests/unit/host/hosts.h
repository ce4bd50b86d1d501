// The recorded hosts of tests/fixtures/hosts.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "cove/json.h"

namespace cove {

inline constexpr const char* kRecordedHosts[] = {
    "hybrid_root",         "debian12_root",   "debian12_user", "user_delegated",
    "container_read_only", "ubuntu2404_user", "user_session"};

inline std::string read_test_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

inline HostFacts recorded_host(const std::string& name) {
  const Result<HostFacts> host = host_facts_from_json(
      read_test_file(COVE_SOURCE_DIR "/tests/fixtures/hosts/" + name + ".json"));
  if (!host) ADD_FAILURE() << name << ": " << host.error().message();
  return host.value_or(HostFacts{});
}

}  // namespace cove
