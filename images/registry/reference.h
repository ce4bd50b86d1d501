// Where an image is in a registry, as Docker resolves names. Pure functions.
//
//   "python"                        -> docker.io, library/python, tag latest
//   "localhost:5000/tools/go:1.20"  -> localhost:5000, tools/go, tag 1.20
//   "python@sha256:..."             -> docker.io, library/python, no tag, that digest
#pragma once

#include <string>
#include <string_view>

#include "cove/result.h"

namespace cove {

struct RegistryReference {
  std::string registry;    // as it is written, with its port; "docker.io" where none is
  std::string repository;  // "library/python"
  std::string tag;         // empty where there is a digest alone
  std::string digest;      // empty, or "sha256:..."; it decides

  // "docker.io/library/python"
  std::string place() const { return registry + "/" + repository; }
  // What the registry is asked for: the digest or the tag.
  const std::string& version() const { return digest.empty() ? tag : digest; }
  // "docker.io/library/python:3.11", or with '@' and the digest where there is no tag.
  std::string text() const;
};

// Errors: invalid_argument, saying which part is wrong.
Result<RegistryReference> parse_registry_reference(std::string_view text);

// A host name or IPv4 address of letters, digits, '.' and '-', with or without ":port". Nothing
// else ever becomes part of a URL.
bool is_registry_host(std::string_view text);

// "library/python": parts of lower-case letters, digits, '.', '_' and '-', with '/' between.
bool is_repository(std::string_view text);

// "localhost", 127.0.0.0/8, with or without a port.
bool is_loopback_host(std::string_view host);

}  // namespace cove
