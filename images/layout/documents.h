// The JSON documents of images, read strictly and as data: OCI image index, manifest and
// configuration (image-spec 1.1), Docker's schema 2 twins of them, and the manifest.json of `docker
// save`. Pure functions.
//
// A document that could be read as two kinds (both "manifests" and "layers") is refused, as is one
// whose mediaType is not what its descriptor promised: CVE-2021-41190. So is one with two members of
// one name, or a member whose name differs only in case from one that is read: parsers disagree on
// which of them counts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cove/facts.h"
#include "cove/result.h"
#include "images/layout/platform.h"

namespace cove {

inline constexpr std::size_t kDocumentCap = 8 * 1024 * 1024;
// What overlayfs stacks is 500; one of them may have to be ours (images/unpack/implied.h).
inline constexpr std::size_t kMaxLayers = 499;

struct Descriptor {
  std::string media_type;
  std::string digest;  // checked: is_digest()
  std::uint64_t size = 0;
  Platform platform;
  std::string ref_name;   // annotation org.opencontainers.image.ref.name
  std::string full_name;  // annotation io.containerd.image.name
};

struct Manifest {
  std::string media_type;
  Descriptor config;
  std::vector<Descriptor> layers;  // lowest first
};

struct Configuration {
  ImageConfig config;
  std::vector<std::string> diff_ids;
  std::string created;
  Platform platform;
};

// An image of a `docker save` archive: paths in the archive.
struct DockerImage {
  std::string config;
  std::vector<std::string> layers;
  std::vector<std::string> names;
};

enum class DocumentKind { index, manifest };
// What a media type says; an error for one that is neither.
Result<DocumentKind> kind_of(const std::string& media_type);

// `where` names the document in errors. `media_type` is what the descriptor promised; empty: not
// known.
Result<std::vector<Descriptor>> parse_index(std::string_view text, const std::string& media_type,
                                            const std::string& where);
Result<Manifest> parse_manifest(std::string_view text, const std::string& media_type,
                                const std::string& where);
Result<Configuration> parse_configuration(std::string_view text, const std::string& where);
Result<std::vector<DockerImage>> parse_docker_manifest(std::string_view text,
                                                       const std::string& where);

// A manifest for an image that came without one. The same image gives the same bytes.
std::string manifest_text(const Descriptor& config, const std::vector<Descriptor>& layers);

// An image_invalid Error, in one line.
Error invalid_image(std::string where, std::string what, std::string hint = {});
// resource_exhausted: work on what strangers wrote gets no more memory.
Error out_of_memory();

}  // namespace cove
