#include "images/store_index/record.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "images/store_index/files.h"

namespace cove {
namespace {

using nlohmann::json;

constexpr std::string_view kSuffix = ".json";
constexpr const char* kReloadHint = "load the image again";

// Text of images may be no UTF-8; the record stays readable, and such a byte becomes U+FFFD.
std::string dump(const json& document) {
  return document.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

Error record_error(const std::string& file, std::string what) {
  Error error;
  error.code = ErrorCode::image_invalid;
  error.step = "image store";
  error.where = file;
  error.what = std::move(what);
  error.hint = kReloadHint;
  return error;
}

// Parses and converts with nlohmann's exceptions kept inside.
template <typename Record, typename Convert>
Result<Record> parse(std::string_view text, const std::string& file, Convert convert) {
  try {
    const json document = json::parse(text);
    if (document.at("record_version").get<int>() != kRecordVersion) {
      return fail(record_error(file, "is a record of another version"));
    }
    return convert(document);
  } catch (const json::exception&) {
    return fail(record_error(file, "is not a record of an image"));
  }
}

constexpr const char* kCallers = "caller";
constexpr const char* kImages = "image";
constexpr const char* kSubordinate = "subordinate";

json json_of(const StoreIds& ids) {
  if (!ids.subordinate) return {{"kind", ids.kind == LayerIds::image ? kImages : kCallers}};
  return {{"kind", kSubordinate},
          {"first_uid", ids.subordinate->first_uid},
          {"first_gid", ids.subordinate->first_gid}};
}

// Throws as nlohmann's functions do.
StoreIds ids_from(const json& document) {
  const std::string kind = document.at("kind").get<std::string>();
  if (kind == kImages) return {LayerIds::image, {}};
  if (kind == kCallers) return {LayerIds::caller, {}};
  return {LayerIds::subordinate, SubordinateIds{document.at("first_uid").get<std::uint32_t>(),
                                                document.at("first_gid").get<std::uint32_t>()}};
}

std::int64_t nanoseconds(const timespec& time) {
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

std::string hexadecimal(std::uint64_t number) {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%lx", static_cast<unsigned long>(number));
  return text.data();
}

// FNV-1a. Only to part the selectors of one archive in file names; the record holds the selector
// itself.
std::uint64_t fingerprint(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

std::vector<std::string> files_in(const std::string& directory) {
  std::vector<std::string> files;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(directory.c_str()), closedir);
  if (!stream) return files;
  while (const dirent* entry =
             readdir(stream.get())) {  // NOLINT(concurrency-mt-unsafe): a stream of our own
    const std::string_view name = entry->d_name;
    if (!name.starts_with('.') && name.ends_with(kSuffix)) files.emplace_back(name);
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

std::string to_text(const StoreIds& ids) {
  json document = json_of(ids);
  document["record_version"] = kRecordVersion;
  return dump(document);
}

Result<StoreIds> store_ids_from(std::string_view text, const std::string& file) {
  return parse<StoreIds>(text, file, ids_from);
}

std::string to_text(const ImageRecord& record) {
  return dump({{"record_version", kRecordVersion},
               {"digest", record.digest},
               {"layers", record.layers},
               {"size", record.size},
               {"layer_count", record.layer_count},
               {"created", record.created},
               {"keeps_blobs", record.keeps_blobs},
               {"config",
                {{"entrypoint", record.config.entrypoint},
                 {"command", record.config.command},
                 {"env", record.config.env},
                 {"workdir", record.config.workdir},
                 {"user", record.config.user}}},
               {"passwd", record.passwd},
               {"group", record.group},
               {"ids", json_of(record.ids)}});
}

std::string to_text(const TransportRecord& record) {
  return dump({{"record_version", kRecordVersion},
               {"selector", record.selector},
               {"size", record.size},
               {"modified_ns", record.modified_ns},
               {"changed_ns", record.changed_ns},
               {"digest", record.digest},
               {"names", record.names}});
}

Result<ImageRecord> image_record_from(std::string_view text, const std::string& file) {
  return parse<ImageRecord>(text, file, [&](const json& document) -> Result<ImageRecord> {
    ImageRecord record;
    document.at("digest").get_to(record.digest);
    document.at("layers").get_to(record.layers);
    document.at("size").get_to(record.size);
    document.at("layer_count").get_to(record.layer_count);
    document.at("created").get_to(record.created);
    record.keeps_blobs = document.value("keeps_blobs", true);  // older records do not say
    const json& config = document.at("config");
    config.at("entrypoint").get_to(record.config.entrypoint);
    config.at("command").get_to(record.config.command);
    config.at("env").get_to(record.config.env);
    config.at("workdir").get_to(record.config.workdir);
    config.at("user").get_to(record.config.user);
    document.at("passwd").get_to(record.passwd);
    document.at("group").get_to(record.group);
    record.ids = ids_from(document.at("ids"));
    const bool digests = is_digest(record.digest) &&
                         std::all_of(record.layers.begin(), record.layers.end(), is_digest);
    if (!digests) return fail(record_error(file, "holds a malformed digest"));
    return record;
  });
}

Result<TransportRecord> transport_record_from(std::string_view text, const std::string& file) {
  return parse<TransportRecord>(text, file, [&](const json& document) -> Result<TransportRecord> {
    TransportRecord record;
    document.at("selector").get_to(record.selector);
    document.at("size").get_to(record.size);
    document.at("modified_ns").get_to(record.modified_ns);
    document.at("changed_ns").get_to(record.changed_ns);
    document.at("digest").get_to(record.digest);
    document.at("names").get_to(record.names);
    if (!is_digest(record.digest)) return fail(record_error(file, "holds a malformed digest"));
    return record;
  });
}

std::string record_path(std::string_view digest) {
  return "images/digests/" + std::string(digest_hex(digest)) + std::string(kSuffix);
}

std::string name_path(std::string_view normal_name) {
  std::string path = "images/names/";
  for (const char c : normal_name) {
    if (c == '/') {
      path += "%2F";
    } else if (c == ':') {
      path += "%3A";
    } else {
      path += c;  // normal_name() let through nothing but letters, digits, '.', '_' and '-'
    }
  }
  return path + std::string(kSuffix);
}

std::string name_of_file(std::string_view file) {
  if (!file.ends_with(kSuffix)) return {};
  file.remove_suffix(kSuffix.size());
  std::string name;
  for (std::size_t at = 0; at < file.size(); ++at) {
    const std::string_view escape = file.substr(at, 3);
    if (escape == "%2F" || escape == "%3A") {
      name += escape == "%2F" ? '/' : ':';
      at += 2;
    } else {
      name += file[at];
    }
  }
  return name;
}

std::string layer_path(std::string_view diff_id) {
  return "layers/" + std::string(digest_hex(diff_id));
}

std::string implied_path(std::string_view diff_id) {
  return "implied/" + std::string(digest_hex(diff_id));
}

std::string blob_path(std::string_view digest) {
  return "blobs/sha256/" + std::string(digest_hex(digest));
}

std::string transport_path(const Transport& transport, const struct stat& file) {
  return "images/transports/" + std::string(to_string(transport.kind)) + "-" +
         hexadecimal(file.st_dev) + "-" + hexadecimal(file.st_ino) + "-" +
         hexadecimal(fingerprint(transport.selector)) + std::string(kSuffix);
}

std::string daemon_path(std::string_view id) {
  return "images/transports/docker-daemon-" + std::string(digest_hex(id)) + std::string(kSuffix);
}

void stamp(TransportRecord& record, const struct stat& file) {
  record.size = static_cast<std::uint64_t>(file.st_size);
  record.modified_ns = nanoseconds(file.st_mtim);
  record.changed_ns = nanoseconds(file.st_ctim);
}

bool same_stamp(const TransportRecord& record, const struct stat& file) {
  return record.size == static_cast<std::uint64_t>(file.st_size) &&
         record.modified_ns == nanoseconds(file.st_mtim) &&
         record.changed_ns == nanoseconds(file.st_ctim);
}

std::string stamped_file(const Transport& transport) {
  return transport.kind == TransportKind::oci_directory ? transport.path + "/index.json"
                                                        : transport.path;
}

Result<ImageRecord> read_image_record(const std::string& store, std::string_view digest) {
  const std::string file = store + "/" + record_path(digest);
  const UniqueFd record(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!record) {
    Error error = errno_error(ErrorCode::image_not_found, "image store", "open the image's record");
    error.where = file;
    return fail(error);
  }
  const Result<std::string> text = read_regular(record, kRecordCap, Oversize::refuse, file);
  if (!text) return fail(text.error());
  return image_record_from(*text, file);
}

ImageFacts facts_of(const ImageRecord& record, const std::string& store, std::string_view name) {
  ImageFacts facts;
  facts.name = name;
  facts.digest = record.digest;
  facts.layer_ids = record.ids.kind;
  facts.subordinate_ids = record.ids.subordinate;
  facts.layers.reserve(record.layers.size());
  for (const std::string& layer : record.layers)
    facts.layers.push_back(store + "/" + layer_path(layer));
  facts.config = record.config;
  facts.passwd = record.passwd;
  facts.group = record.group;
  return facts;
}

std::vector<std::string> names_of(const std::string& store) {
  std::vector<std::string> names;
  for (const std::string& file : files_in(store + "/images/names"))
    names.push_back(name_of_file(file));
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> digests_of(const std::string& store) {
  std::vector<std::string> digests;
  for (const std::string& file : files_in(store + "/images/digests")) {
    std::string digest = "sha256:" + file.substr(0, file.size() - kSuffix.size());
    if (is_digest(digest)) digests.push_back(std::move(digest));
  }
  return digests;
}

}  // namespace cove
