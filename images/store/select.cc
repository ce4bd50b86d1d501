#include "images/store/select.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>

#include "images/layout/sha256.h"
#include "images/unpack/shown_name.h"

namespace cove {
namespace {

constexpr int kMaxIndexDepth = 4;

std::string listed(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + shown_name(word);
  return text.empty() ? "none" : text;
}

Error choice_error(ErrorCode code, std::string what, std::string hint) {
  Error error;
  error.code = code;
  error.step = "image";
  error.what = std::move(what);
  error.hint = std::move(hint);
  return error;
}

bool same_name(const std::string& a, const std::string& b) {
  if (a == b) return true;
  const Result<std::string> normal_a = normal_name(a), normal_b = normal_name(b);
  return normal_a && normal_b && *normal_a == *normal_b;
}

// "/a/demo.tar.gz" -> "demo"
std::string stem_of(const std::string& path) {
  std::string stem = path;
  while (stem.size() > 1 && stem.back() == '/') stem.pop_back();
  stem = stem.substr(stem.rfind('/') + 1);
  for (const std::string_view suffix : {".gz", ".zst", ".tgz", ".tar", ".oci"}) {
    if (stem.size() > suffix.size() && stem.ends_with(suffix))
      stem.resize(stem.size() - suffix.size());
  }
  return stem;
}

// The name that an index entry gives. A bare tag ("latest", as umoci writes it) belongs to the
// layout's own name.
std::string name_from(const Descriptor& entry, const std::string& stem) {
  if (!entry.full_name.empty()) return normal_name(entry.full_name).value_or("");
  if (entry.ref_name.empty()) return {};
  if (entry.ref_name.find_first_of(":/") != std::string::npos)
    return normal_name(entry.ref_name).value_or("");
  const Result<std::string> joined =
      normal_name(stem + ":" + entry.ref_name);  // fails for "oci" + ":v1", say
  return joined ? *joined : normal_name(entry.ref_name).value_or("");
}

Result<Descriptor> choose_platform(const std::vector<Descriptor>& entries, const Platform& wanted) {
  std::vector<std::string> others;
  for (const Descriptor& entry : entries) {
    if (!entry.platform.os.empty() && fits(entry.platform, wanted)) return entry;
    others.push_back(to_string(entry.platform));
  }
  if (entries.size() == 1 && entries.front().platform.os.empty()) return entries.front();
  return fail(choice_error(ErrorCode::image_not_found, "there is no image for " + to_string(wanted),
                           "there is: " + listed(others)));
}

// The entry of index.json that is meant.
Result<Descriptor> choose_entry(const std::vector<Descriptor>& entries, const std::string& selector,
                                const Platform& platform) {
  std::vector<Descriptor> matches;
  std::vector<std::string> offered;
  std::set<std::string> digests;
  for (const Descriptor& entry : entries) {
    const std::string& shown = entry.full_name.empty() ? entry.ref_name : entry.full_name;
    if (!shown.empty()) offered.push_back(shown);
    const bool meant = selector.empty() || entry.ref_name == selector ||
                       (!entry.full_name.empty() && same_name(entry.full_name, selector)) ||
                       (!entry.ref_name.empty() && same_name(entry.ref_name, selector));
    if (!meant) continue;
    matches.push_back(entry);
    digests.insert(entry.digest);
  }
  if (digests.size() == 1) return matches.front();
  if (matches.empty()) {
    return fail(choice_error(ErrorCode::image_not_found,
                             "there is no \"" + shown_name(selector) + "\" in it",
                             "there is: " + listed(offered)));
  }
  const bool platforms = std::all_of(matches.begin(), matches.end(),
                                     [](const Descriptor& d) { return !d.platform.os.empty(); });
  if (platforms && offered.size() <= 1) return choose_platform(matches, platform);
  return fail(choice_error(ErrorCode::invalid_argument, "it holds several images",
                           "put one of these behind the path and a colon: " + listed(offered)));
}

Result<void> check_configuration(const Configuration& configuration, std::size_t layers,
                                 const Platform& wanted, const std::string& where) {
  if (configuration.diff_ids.size() != layers) {
    return fail(invalid_image(where, "names " + std::to_string(configuration.diff_ids.size()) +
                                         " layers, the manifest " + std::to_string(layers)));
  }
  if (fits(configuration.platform, wanted)) return {};
  return fail(invalid_image(where, "is for " + shown_name(to_string(configuration.platform)) +
                                       ", wanted is " + to_string(wanted)));
}

// A manifest's own text, and the configuration that it names.
Result<Documents> read_documents(Source& source, const Blob& blob, const std::string& text,
                                 const Platform& platform) {
  Documents documents;
  documents.manifest_blob = blob;
  const std::string& digest = blob.descriptor.digest;
  Result<Manifest> manifest = parse_manifest(text, blob.descriptor.media_type, digest);
  if (!manifest) return fail(manifest.error());
  documents.manifest = std::move(*manifest);
  const Descriptor& config = documents.manifest.config;
  Result<Blob> config_blob = source.take(config);
  if (!config_blob) return fail(config_blob.error());
  documents.config_blob = std::move(*config_blob);
  const Result<std::string> config_text = source.read(documents.config_blob);
  if (!config_text) return fail(config_text.error());
  Result<Configuration> configuration = parse_configuration(*config_text, config.digest);
  if (!configuration) return fail(configuration.error());
  const Result<void> fitting = check_configuration(*configuration, documents.manifest.layers.size(),
                                                   platform, config.digest);
  if (!fitting) return fail(fitting.error());
  documents.configuration = std::move(*configuration);
  return documents;
}

Result<Selected> select_oci(Source& source, const Transport& transport, const Platform& platform) {
  const Result<Blob> index = source.take("index.json", "");
  if (!index) return fail(index.error());
  const Result<std::string> text = source.read(*index);
  if (!text) return fail(text.error());
  const Result<std::vector<Descriptor>> entries = parse_index(*text, "", "index.json");
  if (!entries) return fail(entries.error());
  const Result<Descriptor> chosen = choose_entry(*entries, transport.selector, platform);
  if (!chosen) return fail(chosen.error());
  Result<Documents> documents = follow_indexes(source, *chosen, platform);
  if (!documents) return fail(documents.error());
  Result<Selected> selected = select_layers(source, std::move(*documents));
  if (!selected) return selected;
  for (const Descriptor& entry : *entries) {
    if (entry.digest != chosen->digest) continue;
    std::string name = name_from(entry, stem_of(transport.path));
    const bool meant = transport.selector.empty() || entry.ref_name == chosen->ref_name;
    if (!name.empty() && meant) selected->names.push_back(std::move(name));
  }
  return selected;
}

Result<DockerImage> choose_docker_image(const std::vector<DockerImage>& images,
                                        const std::string& selector) {
  std::vector<std::string> offered;
  for (const DockerImage& image : images) {
    for (const std::string& name : image.names) {
      offered.push_back(name);
      if (selector.empty() || !same_name(name, selector)) continue;
      return DockerImage{image.config, image.layers, {name}};
    }
  }
  if (!selector.empty()) {
    return fail(choice_error(ErrorCode::image_not_found,
                             "there is no \"" + shown_name(selector) + "\" in the archive",
                             "there is: " + listed(offered)));
  }
  if (images.size() == 1) return images.front();
  return fail(choice_error(
      images.empty() ? ErrorCode::image_invalid : ErrorCode::invalid_argument,
      images.empty() ? "the archive holds no image" : "the archive holds several images",
      "choose one, as docker-archive:FILE:NAME, of: " + listed(offered)));
}

Result<Compression> compression_in(const Source& source, const Blob& blob) {
  const Result<UniqueFd> file = source.open(blob);
  if (!file) return fail(file.error());
  std::array<char, 4> first{};
  const ssize_t got = pread(file->number(), first.data(), first.size(), 0);
  return compression_of(
      std::string_view(first.data(), got < 0 ? 0 : static_cast<std::size_t>(got)));
}

// "<hex>.json", "blobs/sha256/<hex>": names that promise a digest have to keep it. Layer
// directories of the old form are named by an id that is no digest of anything here.
Result<void> check_config_name(const std::string& path, const std::string& digest) {
  std::string hex = path.substr(path.rfind('/') + 1);
  if (hex.ends_with(".json")) hex.resize(hex.size() - 5);
  if (hex.size() != 64 || !is_hex(hex) || digest == "sha256:" + hex) return {};
  return fail(digest_error(shown_name(path), "sha256:" + hex, digest));
}

Result<Selected> select_docker(Source& source, const Staging& staging, const Transport& transport,
                               const Platform& platform) {
  const Result<Blob> list = source.take("manifest.json", "");
  if (!list) return fail(list.error());
  const Result<std::string> text = source.read(*list);
  if (!text) return fail(text.error());
  const Result<std::vector<DockerImage>> images = parse_docker_manifest(*text, "manifest.json");
  if (!images) return fail(images.error());
  const Result<DockerImage> image = choose_docker_image(*images, transport.selector);
  if (!image) return fail(image.error());

  Result<Blob> config = source.take(image->config, "");
  if (!config) return fail(config.error());
  const Result<void> named = check_config_name(image->config, config->descriptor.digest);
  if (!named) return fail(named.error());
  const Result<std::string> config_text = source.read(*config);
  if (!config_text) return fail(config_text.error());
  Result<Configuration> configuration =
      parse_configuration(*config_text, shown_name(image->config));
  if (!configuration) return fail(configuration.error());
  const Result<void> fits = check_configuration(*configuration, image->layers.size(), platform,
                                                shown_name(image->config));
  if (!fits) return fail(fits.error());

  Selected selected;
  selected.configuration = std::move(*configuration);
  for (const std::string& name : image->names) {
    if (Result<std::string> normal = normal_name(name))
      selected.names.push_back(std::move(*normal));
  }
  std::vector<Descriptor> descriptors;
  for (const std::string& path : image->layers) {
    Result<Blob> layer = source.take(path, "");
    if (!layer) return fail(layer.error());
    const Result<Compression> compression = compression_in(source, *layer);
    if (!compression) return fail(compression.error());
    layer->descriptor.media_type = layer_media_type(*compression);
    descriptors.push_back(layer->descriptor);
    selected.layers.push_back(*layer);
    selected.blobs.push_back(*layer);
  }
  const Result<Blob> made = stage_manifest(staging, config->descriptor, descriptors);
  if (!made) return fail(made.error());
  selected.manifest = made->descriptor;
  selected.blobs.push_back(*config);
  selected.blobs.push_back(*made);
  return selected;
}
}  // namespace

std::string layer_media_type(Compression compression) {
  switch (compression) {
    case Compression::gzip:
      return "application/vnd.oci.image.layer.v1.tar+gzip";
    case Compression::zstd:
      return "application/vnd.oci.image.layer.v1.tar+zstd";
    case Compression::none:
      break;
  }
  return "application/vnd.oci.image.layer.v1.tar";
}

Result<Blob> stage_manifest(const Staging& staging, const Descriptor& config,
                            const std::vector<Descriptor>& layers) {
  const std::string text = manifest_text(config, layers);
  Blob made;
  made.staged = "manifest";
  made.descriptor.media_type = "application/vnd.oci.image.manifest.v1+json";
  made.descriptor.digest = sha256_of(text);
  made.descriptor.size = text.size();
  if (auto written = staging.write_file(made.staged, text); !written) return fail(written.error());
  return made;
}

Result<Documents> follow_indexes(Source& source, Descriptor top, const Platform& platform) {
  for (int depth = 0; depth < kMaxIndexDepth; ++depth) {
    const Result<DocumentKind> kind = kind_of(top.media_type);
    if (!kind) return fail(kind.error());
    const Result<Blob> blob = source.take(top);
    if (!blob) return fail(blob.error());
    const Result<std::string> text = source.read(*blob);
    if (!text) return fail(text.error());
    if (*kind == DocumentKind::manifest) return read_documents(source, *blob, *text, platform);
    const Result<std::vector<Descriptor>> nested = parse_index(*text, top.media_type, top.digest);
    if (!nested) return fail(nested.error());
    const Result<Descriptor> next = choose_platform(*nested, platform);
    if (!next) return fail(next.error());
    top = *next;
  }
  return fail(invalid_image(top.digest, "lies below too many indexes"));
}

Result<Selected> select_layers(Source& source, Documents documents) {
  Selected selected;
  selected.manifest = documents.manifest_blob.descriptor;
  selected.configuration = std::move(documents.configuration);
  selected.blobs = {documents.manifest_blob, documents.config_blob};
  for (std::size_t at = 0; at < documents.manifest.layers.size(); ++at) {
    const Result<Blob> layer =
        source.layer(documents.manifest.layers[at], selected.configuration.diff_ids[at]);
    if (!layer) return fail(layer.error());
    selected.layers.push_back(*layer);
    selected.blobs.push_back(*layer);
  }
  if (Result<void> begun = source.begun(); !begun) return fail(begun.error());
  return selected;
}

Result<Selected> select_image(Source& source, const Staging& staging, const Transport& transport,
                              const Platform& platform) {
  switch (transport.kind) {
    case TransportKind::docker_archive:
    case TransportKind::docker_daemon:
      return select_docker(source, staging, transport, platform);
    case TransportKind::oci_archive:
    case TransportKind::oci_directory:
      return select_oci(source, transport, platform);
    case TransportKind::file:
    case TransportKind::registry:
      break;
  }
  if (source.has("oci-layout") && source.has("index.json"))
    return select_oci(source, transport, platform);
  if (source.has("manifest.json")) return select_docker(source, staging, transport, platform);
  return fail(invalid_image(transport.path,
                            "holds neither index.json (OCI) nor manifest.json (docker save)"));
}
}  // namespace cove
