#include "images/store/select.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>

#include "images/layout/byte_source.h"
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

Result<Descriptor> choose_platform(const std::vector<Descriptor>& entries) {
  const std::string architecture = host_architecture();
  std::vector<std::string> others;
  for (const Descriptor& entry : entries) {
    if (entry.os == "linux" && entry.architecture == architecture) return entry;
    others.push_back(entry.os + "/" + entry.architecture);
  }
  if (entries.size() == 1 && entries.front().os.empty()) return entries.front();
  return fail(choice_error(ErrorCode::image_invalid, "there is no image for linux/" + architecture,
                           "there is: " + listed(others)));
}

// The entry of index.json that is meant.
Result<Descriptor> choose_entry(const std::vector<Descriptor>& entries,
                                const std::string& selector) {
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
                                     [](const Descriptor& d) { return !d.os.empty(); });
  if (platforms && offered.size() <= 1) return choose_platform(matches);
  return fail(choice_error(ErrorCode::invalid_argument, "it holds several images",
                           "put one of these behind the path and a colon: " + listed(offered)));
}

Result<void> check_configuration(const Configuration& configuration, std::size_t layers,
                                 const std::string& where) {
  if (configuration.diff_ids.size() != layers) {
    return fail(invalid_image(where, "names " + std::to_string(configuration.diff_ids.size()) +
                                         " layers, the manifest " + std::to_string(layers)));
  }
  const std::string& os = configuration.os;
  const std::string& architecture = configuration.architecture;
  if ((!os.empty() && os != "linux") ||
      (!architecture.empty() && architecture != host_architecture())) {
    return fail(invalid_image(where, "is for " + shown_name(os + "/" + architecture) +
                                         ", this host is linux/" + host_architecture()));
  }
  return {};
}

Result<Selected> select_oci(Source& source, const Transport& transport) {
  const Result<Blob> index = source.take("index.json", "");
  if (!index) return fail(index.error());
  const Result<std::string> text = source.read(*index);
  if (!text) return fail(text.error());
  const Result<std::vector<Descriptor>> entries = parse_index(*text, "", "index.json");
  if (!entries) return fail(entries.error());
  Result<Descriptor> chosen = choose_entry(*entries, transport.selector);
  if (!chosen) return fail(chosen.error());

  Selected selected;
  for (const Descriptor& entry : *entries) {
    if (entry.digest != chosen->digest) continue;
    std::string name = name_from(entry, stem_of(transport.path));
    const bool meant = transport.selector.empty() || entry.ref_name == chosen->ref_name;
    if (!name.empty() && meant) selected.names.push_back(std::move(name));
  }
  for (int depth = 0; depth < kMaxIndexDepth; ++depth) {
    const Result<Blob> blob = source.take(*chosen);
    if (!blob) return fail(blob.error());
    const Result<DocumentKind> kind = kind_of(chosen->media_type);
    if (!kind) return fail(kind.error());
    const Result<std::string> document = source.read(*blob);
    if (!document) return fail(document.error());
    if (*kind == DocumentKind::index) {
      const Result<std::vector<Descriptor>> nested =
          parse_index(*document, chosen->media_type, chosen->digest);
      if (!nested) return fail(nested.error());
      chosen = choose_platform(*nested);
      if (!chosen) return fail(chosen.error());
      continue;
    }
    const Result<Manifest> manifest = parse_manifest(*document, chosen->media_type, chosen->digest);
    if (!manifest) return fail(manifest.error());
    selected.manifest = *chosen;
    const Result<Blob> config = source.take(manifest->config);
    if (!config) return fail(config.error());
    const Result<std::string> config_text = source.read(*config);
    if (!config_text) return fail(config_text.error());
    Result<Configuration> configuration =
        parse_configuration(*config_text, manifest->config.digest);
    if (!configuration) return fail(configuration.error());
    const Result<void> fits =
        check_configuration(*configuration, manifest->layers.size(), manifest->config.digest);
    if (!fits) return fail(fits.error());
    selected.configuration = std::move(*configuration);
    selected.blobs = {*blob, *config};
    for (const Descriptor& descriptor : manifest->layers) {
      const Result<Blob> layer = source.take(descriptor);
      if (!layer) return fail(layer.error());
      selected.layers.push_back(*layer);
      selected.blobs.push_back(*layer);
    }
    return selected;
  }
  return fail(invalid_image("index.json", "is nested too deeply"));
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

Result<Selected> select_docker(Source& source, const Staging& staging, const Transport& transport) {
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
  const Result<void> fits =
      check_configuration(*configuration, image->layers.size(), shown_name(image->config));
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
  const std::string manifest = manifest_text(config->descriptor, descriptors);
  Blob made;
  made.staged = "manifest";
  made.descriptor.media_type = "application/vnd.oci.image.manifest.v1+json";
  made.descriptor.digest = sha256_of(manifest);
  made.descriptor.size = manifest.size();
  if (auto written = staging.write_file(made.staged, manifest); !written)
    return fail(written.error());
  selected.manifest = made.descriptor;
  selected.blobs.push_back(*config);
  selected.blobs.push_back(made);
  return selected;
}
}  // namespace

Result<Selected> select_image(Source& source, const Staging& staging, const Transport& transport) {
  switch (transport.kind) {
    case TransportKind::docker_archive:
      return select_docker(source, staging, transport);
    case TransportKind::oci_archive:
    case TransportKind::oci_directory:
      return select_oci(source, transport);
    case TransportKind::file:
      break;
  }
  if (source.has("oci-layout") && source.has("index.json")) return select_oci(source, transport);
  if (source.has("manifest.json")) return select_docker(source, staging, transport);
  return fail(invalid_image(transport.path,
                            "holds neither index.json (OCI) nor manifest.json (docker save)"));
}
}  // namespace cove
