// References to images, as text: names in the store, digests, and transports. Pure: no system call
// but those of default_store, which asks for the caller's id.
//
//   normal_name("docker.io/library/python")  -> "python:latest"
//   parse_transport("oci:dir:v1")            -> {oci, "dir", "v1"}
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cove/image.h"
#include "cove/result.h"

namespace cove {

enum class TransportKind {
  file,  // a bare path: what it holds is found out
  docker_archive,
  oci_directory,
  oci_archive,
  docker_daemon,  // the path is an image's name or id there
  registry,       // the path is a name as Docker resolves it
};
// "file", "docker-archive", "oci", "oci-archive", "docker-daemon", "docker"
std::string_view to_string(TransportKind kind);

struct Transport {
  TransportKind kind = TransportKind::file;
  std::string path;
  std::string selector;  // the tag or name behind the path; empty: the only image there

  // Whether it is a file or a directory.
  bool is_path() const {
    return kind != TransportKind::docker_daemon && kind != TransportKind::registry;
  }
};

// Nothing for a reference that is no transport. Errors: an empty path.
Result<std::optional<Transport>> parse_transport(std::string_view reference);

// A name as the store keeps it: without "docker.io/library/" or "docker.io/", with a tag (":latest"
// where none is given). Refuses what is empty, longer than 200 bytes, or not made of [A-Za-z0-9._-]
// components parted by '/' (the first of which may end in a ":port") and one ":tag"; and what reads
// as a digest or a transport.
Result<std::string> normal_name(std::string_view name);

// The same with its registry, as other tools want it: "python:3.11" is
// "docker.io/library/python:3.11".
std::string full_name(std::string_view normal_name);

// "sha256:" and 64 lower-case hex digits: the only form of digest that ever becomes part of a path.
bool is_digest(std::string_view text);
bool is_hex(std::string_view text);
std::string_view digest_hex(std::string_view digest);  // of a text for which is_digest holds

}  // namespace cove
