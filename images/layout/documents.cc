#include "images/layout/documents.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "images/store_index/reference.h"
#include "images/unpack/shown_name.h"

namespace cove {
namespace {

using nlohmann::json;

constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kOciConfig = "application/vnd.oci.image.config.v1+json";

struct KnownType {
  std::string_view media_type;
  DocumentKind kind;
};
constexpr std::array<KnownType, 4> kKnownTypes{{
    {kOciManifest, DocumentKind::manifest},
    {"application/vnd.docker.distribution.manifest.v2+json", DocumentKind::manifest},
    {"application/vnd.oci.image.index.v1+json", DocumentKind::index},
    {"application/vnd.docker.distribution.manifest.list.v2+json", DocumentKind::index},
}};

constexpr std::array<std::string_view, 2> kConfigTypes{
    kOciConfig, "application/vnd.docker.container.image.v1+json"};
constexpr std::array<std::string_view, 6> kLayerTypes{
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd"};

// What the readers below throw, and parse() turns into an Error.
struct Malformed {
  std::string what;
};

constexpr int kMaxDepth = 32;

// Watches a document while it is parsed.
class Watch {
 public:
  // False: the parser leaves this out, and goes no deeper.
  bool allows(int depth, json::parse_event_t event, const json& parsed) {
    too_deep_ = too_deep_ || depth > kMaxDepth;
    if (too_deep_) return false;
    if (event == json::parse_event_t::object_start) names_.emplace_back();
    if (event == json::parse_event_t::object_end) names_.pop_back();
    if (event == json::parse_event_t::key && !names_.back().insert(parsed).second)
      twice_ = parsed.get<std::string>();
    return true;
  }
  Result<void> judge(const std::string& where) const {
    if (too_deep_) return fail(invalid_image(where, "is nested too deeply"));
    if (!twice_) return {};
    // Of two, one program reads the first and another the last.
    return fail(invalid_image(
        where, "is ambiguous: an object in it has two members \"" + shown_name(*twice_) + "\""));
  }

 private:
  bool too_deep_ = false;
  std::vector<std::set<std::string>> names_;  // of the objects that are open
  std::optional<std::string> twice_;
};

Result<json> parse_object(std::string_view text, const std::string& where) {
  Watch watch;
  const json document = json::parse(
      text,
      [&](int depth, json::parse_event_t event, json& parsed) {
        return watch.allows(depth, event, parsed);
      },
      false);
  if (Result<void> judged = watch.judge(where); !judged) return fail(judged.error());
  if (document.is_discarded()) return fail(invalid_image(where, "is not JSON"));
  return document;
}

template <typename T, typename Read>
Result<T> parse(std::string_view text, const std::string& where, Read read) {
  const Result<json> document = parse_object(text, where);
  if (!document) return fail(document.error());
  try {
    return read(*document);
  } catch (const Malformed& malformed) {
    return fail(invalid_image(where, malformed.what));
  }
}

void must(bool holds, const std::string& what) {
  if (!holds) throw Malformed{what};
}

bool differs_in_case_only(const std::string& a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return a != b && std::equal(a.begin(), a.end(), b.begin(), b.end(),
                              [&](char x, char y) { return lower(x) == lower(y); });
}

// Programs in Go take "Layers" for "layers".
json::const_iterator find(const json& object, const char* name) {
  for (const auto& [other, value] : object.items())
    must(!differs_in_case_only(other, name), "is ambiguous: it has a member \"" +
                                                 shown_name(other) + "\" where \"" + name +
                                                 "\" is read");
  return object.find(name);
}

// A member that is missing or null reads as empty.
std::string text_of(const json& object, const char* name) {
  const auto found = find(object, name);
  if (found == object.end() || found->is_null()) return {};
  must(found->is_string(), std::string("\"") + name + "\" is not a string");
  std::string text = found->get<std::string>();
  must(text.find('\0') == std::string::npos, std::string("\"") + name + "\" holds a NUL");
  return text;
}

std::vector<std::string> list_of(const json& object, const char* name) {
  const auto found = find(object, name);
  if (found == object.end() || found->is_null()) return {};
  must(found->is_array(), std::string("\"") + name + "\" is not a list");
  std::vector<std::string> list;
  for (const json& element : *found) {
    must(element.is_string(), std::string("\"") + name + "\" holds what is not a string");
    list.push_back(element.get<std::string>());
    must(list.back().find('\0') == std::string::npos, std::string("\"") + name + "\" holds a NUL");
  }
  return list;
}

const json& member(const json& object, const char* name, json::value_t type) {
  const auto found = find(object, name);
  must(found != object.end() && found->type() == type,
       std::string("has no proper \"") + name + "\"");
  return *found;
}

Platform platform_of(const json& object) {
  return {text_of(object, "os"), text_of(object, "architecture"), text_of(object, "variant")};
}

Descriptor descriptor_of(const json& object) {
  must(object.is_object(), "holds a descriptor that is no object");
  Descriptor descriptor;
  descriptor.media_type = text_of(object, "mediaType");
  descriptor.digest = text_of(object, "digest");
  must(is_digest(descriptor.digest),
       "holds the malformed or unknown digest \"" + descriptor.digest + "\"");
  const auto size = find(object, "size");
  must(size != object.end() && size->is_number_unsigned(), "holds a descriptor without a size");
  descriptor.size = size->get<std::uint64_t>();
  if (const auto platform = find(object, "platform");
      platform != object.end() && platform->is_object()) {
    descriptor.platform = platform_of(*platform);
  }
  if (const auto notes = find(object, "annotations"); notes != object.end() && notes->is_object()) {
    descriptor.ref_name = text_of(*notes, "org.opencontainers.image.ref.name");
    descriptor.full_name = text_of(*notes, "io.containerd.image.name");
  }
  return descriptor;
}

template <std::size_t N>
bool is_one_of(const std::array<std::string_view, N>& types, const std::string& type) {
  return std::find(types.begin(), types.end(), type) != types.end();
}

// Images alone, and of these what can be unpacked.
void check_types(const Manifest& manifest) {
  const std::string& config = manifest.config.media_type;
  must(is_one_of(kConfigTypes, config),
       "is no image: its configuration is of type \"" + config + "\"");
  for (const Descriptor& layer : manifest.layers) {
    const std::string& type = layer.media_type;
    const bool foreign = type.find("foreign") != std::string::npos ||
                         type.find("nondistributable") != std::string::npos;
    must(!foreign, "has the foreign layer " + layer.digest + " (\"" + type +
                       "\"), which is kept elsewhere and not fetched");
    must(is_one_of(kLayerTypes, type),
         "has the layer " + layer.digest + " of the unknown type \"" + type + "\"");
  }
}

// What the document says of itself may be left out (OCI), but may not differ from what was
// promised.
std::string agreed_media_type(const json& document, const std::string& promised,
                              DocumentKind kind) {
  must(document.is_object(), "is not an object");
  const std::string own = text_of(document, "mediaType");
  must(own.empty() || promised.empty() || own == promised,
       "says it is " + own + ", its descriptor " + promised);
  const std::string media_type = own.empty() ? promised : own;
  if (!media_type.empty()) {
    const Result<DocumentKind> said = kind_of(media_type);
    must(said.has_value() && *said == kind, "has the media type " + media_type);
  }
  const auto has = [&](const char* name) { return find(document, name) != document.end(); };
  const bool index_parts = has("manifests");
  const bool manifest_parts = has("config") || has("layers");
  must(!(index_parts && manifest_parts), "could be read as an index and as a manifest");
  if (const auto version = find(document, "schemaVersion"); version != document.end()) {
    must(*version == 2, "has a schemaVersion other than 2");
  }
  return media_type;
}

}  // namespace

Error out_of_memory() {
  Error error;
  error.code = ErrorCode::resource_exhausted;
  error.step = "image";
  error.what = "unpacking it needs more memory than is allowed";
  error.hint = "images of millions of directories do, and such as are made to";
  return error;
}

Error invalid_image(std::string where, std::string what, std::string hint) {
  Error error;
  error.code = ErrorCode::image_invalid;
  error.step = "image";
  error.where = std::move(where);
  error.what = std::move(what);
  error.hint = std::move(hint);
  return error;
}

Result<DocumentKind> kind_of(const std::string& media_type) {
  for (const KnownType& known : kKnownTypes) {
    if (media_type == known.media_type) return known.kind;
  }
  return fail(invalid_image("", "\"" + media_type + "\" is not the media type of an image"));
}

Result<std::vector<Descriptor>> parse_index(std::string_view text, const std::string& media_type,
                                            const std::string& where) {
  return parse<std::vector<Descriptor>>(text, where, [&](const json& document) {
    agreed_media_type(document, media_type, DocumentKind::index);
    std::vector<Descriptor> descriptors;
    for (const json& element : member(document, "manifests", json::value_t::array)) {
      descriptors.push_back(descriptor_of(element));
    }
    return descriptors;
  });
}

Result<Manifest> parse_manifest(std::string_view text, const std::string& media_type,
                                const std::string& where) {
  return parse<Manifest>(text, where, [&](const json& document) {
    Manifest manifest;
    manifest.media_type = agreed_media_type(document, media_type, DocumentKind::manifest);
    if (manifest.media_type.empty()) manifest.media_type = kOciManifest;
    manifest.config = descriptor_of(member(document, "config", json::value_t::object));
    for (const json& layer : member(document, "layers", json::value_t::array)) {
      manifest.layers.push_back(descriptor_of(layer));
    }
    must(manifest.layers.size() <= kMaxLayers, "has more than 499 layers");
    check_types(manifest);
    return manifest;
  });
}

Result<Configuration> parse_configuration(std::string_view text, const std::string& where) {
  return parse<Configuration>(text, where, [&](const json& document) {
    must(document.is_object(), "is not an object");
    Configuration result;
    result.created = text_of(document, "created");
    result.platform = platform_of(document);
    const json& rootfs = member(document, "rootfs", json::value_t::object);
    must(text_of(rootfs, "type") == "layers", "has a rootfs that is not made of layers");
    result.diff_ids = list_of(rootfs, "diff_ids");
    must(result.diff_ids.size() <= kMaxLayers, "has more than 499 layers");
    for (const std::string& diff_id : result.diff_ids) {
      must(is_digest(diff_id), "holds the malformed or unknown digest \"" + diff_id + "\"");
    }
    const auto config = find(document, "config");
    if (config == document.end() || config->is_null()) return result;
    must(config->is_object(), "has a \"config\" that is no object");
    result.config.entrypoint = list_of(*config, "Entrypoint");
    result.config.command = list_of(*config, "Cmd");
    result.config.env = list_of(*config, "Env");
    result.config.workdir = text_of(*config, "WorkingDir");
    result.config.user = text_of(*config, "User");
    return result;
  });
}

Result<std::vector<DockerImage>> parse_docker_manifest(std::string_view text,
                                                       const std::string& where) {
  return parse<std::vector<DockerImage>>(text, where, [&](const json& document) {
    must(document.is_array(), "is not a list");
    std::vector<DockerImage> images;
    for (const json& element : document) {
      must(element.is_object(), "holds what is not an object");
      images.push_back(
          {text_of(element, "Config"), list_of(element, "Layers"), list_of(element, "RepoTags")});
      must(!images.back().config.empty(), "names no \"Config\"");
      must(images.back().layers.size() <= kMaxLayers, "has more than 499 layers");
    }
    return images;
  });
}

std::string manifest_text(const Descriptor& config, const std::vector<Descriptor>& layers) {
  json document = {
      {"schemaVersion", 2},
      {"mediaType", kOciManifest},
      {"config", {{"mediaType", kOciConfig}, {"digest", config.digest}, {"size", config.size}}},
      {"layers", json::array()}};
  for (const Descriptor& layer : layers) {
    document["layers"].push_back(
        {{"mediaType", layer.media_type}, {"digest", layer.digest}, {"size", layer.size}});
  }
  return document.dump();
}

}  // namespace cove
