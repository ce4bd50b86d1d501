// Archives made by the tests themselves, hostile ones too: tar through libarchive's writer, image
// archives and layouts on top of it. And a scratch directory that goes with its owner.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "images/layout/documents.h"
#include "images/layout/sha256.h"
#include "images/store_index/reference.h"

namespace cove::testing {

class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string pattern = "/tmp/cove-images-test.XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

struct Entry {
  enum Type { file, directory, symlink, hard_link, fifo, character_device };
  Type type = file;
  std::string path;
  std::string content;  // of a file; the target of a link
  mode_t mode = 0644;
  std::int64_t uid = 0, gid = 0;
  time_t seconds = 1'700'000'000;
  long nanoseconds = 0;
  std::vector<std::pair<std::string, std::string>> xattrs;
};

inline Entry entry_of(Entry::Type type, std::string path, std::string content, mode_t mode) {
  Entry entry;
  entry.type = type;
  entry.path = std::move(path);
  entry.content = std::move(content);
  entry.mode = mode;
  return entry;
}
inline Entry file(std::string path, std::string content = "x") {
  return entry_of(Entry::file, std::move(path), std::move(content), 0644);
}
inline Entry directory(std::string path, mode_t mode = 0755) {
  return entry_of(Entry::directory, std::move(path), "", mode);
}
inline Entry symlink(std::string path, std::string target) {
  return entry_of(Entry::symlink, std::move(path), std::move(target), 0777);
}
inline Entry hard_link(std::string path, std::string target) {
  return entry_of(Entry::hard_link, std::move(path), std::move(target), 0644);
}

enum class Filter { none, gzip, zstd };

inline la_ssize_t append_bytes(archive*, void* text, const void* bytes, std::size_t size) {
  static_cast<std::string*>(text)->append(static_cast<const char*>(bytes), size);
  return static_cast<la_ssize_t>(size);
}

inline std::string tar(const std::vector<Entry>& entries, Filter filter = Filter::none) {
  std::string text;
  archive* writer = archive_write_new();
  archive_write_set_format_pax(writer);
  archive_write_set_options(writer, "hdrcharset=BINARY,xattrheader=SCHILY");
  if (filter == Filter::gzip) archive_write_add_filter_gzip(writer);
  if (filter == Filter::zstd) archive_write_add_filter_zstd(writer);
  archive_write_set_bytes_in_last_block(writer, 1);
  archive_write_open(writer, &text, nullptr, append_bytes, nullptr);
  static constexpr int kTypes[] = {AE_IFREG, AE_IFDIR, AE_IFLNK, AE_IFREG, AE_IFIFO, AE_IFCHR};
  for (const Entry& entry : entries) {
    archive_entry* header = archive_entry_new();
    archive_entry_set_pathname(header, entry.path.c_str());
    archive_entry_set_filetype(header, static_cast<unsigned>(kTypes[entry.type]));
    archive_entry_set_perm(header, entry.mode);
    archive_entry_set_uid(header, entry.uid);
    archive_entry_set_gid(header, entry.gid);
    archive_entry_set_mtime(header, entry.seconds, entry.nanoseconds);
    if (entry.type == Entry::symlink) archive_entry_set_symlink(header, entry.content.c_str());
    if (entry.type == Entry::hard_link) archive_entry_set_hardlink(header, entry.content.c_str());
    if (entry.type == Entry::character_device) archive_entry_set_rdev(header, makedev(1, 3));
    const bool data = entry.type == Entry::file;
    archive_entry_set_size(header, data ? static_cast<la_int64_t>(entry.content.size()) : 0);
    for (const auto& [name, value] : entry.xattrs) {
      archive_entry_xattr_add_entry(header, name.c_str(), value.data(), value.size());
    }
    EXPECT_GE(archive_write_header(writer, header), ARCHIVE_WARN) << archive_error_string(writer);
    if (data) archive_write_data(writer, entry.content.data(), entry.content.size());
    archive_entry_free(header);
  }
  archive_write_close(writer);
  archive_write_free(writer);
  return text;
}

inline std::string compressed(const std::string& bytes, Filter filter) {
  std::string text;
  archive* writer = archive_write_new();
  archive_write_set_format_raw(writer);
  if (filter == Filter::gzip) archive_write_add_filter_gzip(writer);
  if (filter == Filter::zstd) archive_write_add_filter_zstd(writer);
  archive_write_set_bytes_in_last_block(writer, 1);
  archive_write_open(writer, &text, nullptr, append_bytes, nullptr);
  archive_entry* header = archive_entry_new();
  archive_entry_set_pathname(header, "data");
  archive_entry_set_filetype(header, AE_IFREG);
  archive_write_header(writer, header);
  archive_write_data(writer, bytes.data(), bytes.size());
  archive_entry_free(header);
  archive_write_close(writer);
  archive_write_free(writer);
  return text;
}

inline std::string quoted(const std::string& text) { return "\"" + text + "\""; }

inline std::string hex_of(const std::string& bytes) {
  return std::string(digest_hex(sha256_of(bytes)));
}

inline std::string config_json(const std::vector<std::string>& diff_ids,
                               const std::string& extra = "") {
  std::string ids;
  for (const std::string& id : diff_ids) ids += (ids.empty() ? "" : ",") + quoted(id);
  return R"({"os":"linux","architecture":")" + host_platform().architecture +
         R"(","config":{"Env":["PATH=/bin","A=b"],"Cmd":["sh"],"Entrypoint":["/init"],"WorkingDir":"/w","User":"app"},)" +
         extra + R"("rootfs":{"type":"layers","diff_ids":[)" + ids + "]}}";
}

// An image out of layers (uncompressed tar, lowest first), in the forms that tools write.
struct Image {
  std::vector<std::string> layers;
  Filter filter = Filter::none;
  std::string name = "demo:v1";
  std::string created{};  // as its configuration says; empty: that does not

  std::string config() const {
    std::vector<std::string> ids;
    for (const std::string& layer : layers) ids.push_back(sha256_of(layer));
    return config_json(ids, created.empty() ? "" : "\"created\":" + quoted(created) + ",");
  }

  // `docker save` up to version 24: a layer that is there twice is a symbolic link.
  std::string docker_archive() const {
    std::vector<Entry> entries;
    std::string list, first_of_all;
    std::vector<std::string> seen;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const std::string id = "layer" + std::to_string(i);
      entries.push_back(directory(id + "/"));
      std::size_t same = 0;
      while (layers[same] != layers[i]) ++same;
      if (same < i) {
        entries.push_back(
            symlink(id + "/layer.tar", "../layer" + std::to_string(same) + "/layer.tar"));
      } else {
        entries.push_back(file(id + "/layer.tar",
                               filter == Filter::none ? layers[i] : compressed(layers[i], filter)));
      }
      list += (i ? "," : "") + quoted(id + "/layer.tar");
    }
    const std::string json = config();
    entries.push_back(file(hex_of(json) + ".json", json));
    entries.push_back(file("manifest.json", R"([{"Config":")" + hex_of(json) +
                                                R"(.json","RepoTags":[)" + quoted(name) +
                                                R"(],"Layers":[)" + list + "]}]"));
    return tar(entries);
  }

  // Files of an OCI layout, path -> content.
  std::vector<std::pair<std::string, std::string>> oci_files() const {
    std::vector<std::pair<std::string, std::string>> files;
    std::string list;
    for (const std::string& layer : layers) {
      const std::string blob = filter == Filter::none ? layer : compressed(layer, filter);
      const char* suffix = filter == Filter::none ? "" : filter == Filter::gzip ? "+gzip" : "+zstd";
      list += (list.empty() ? "" : ",") +
              std::string(R"({"mediaType":"application/vnd.oci.image.layer.v1.tar)") + suffix +
              R"(","digest":")" + sha256_of(blob) + R"(","size":)" + std::to_string(blob.size()) +
              "}";
      if (list.find(sha256_of(blob)) == list.rfind(sha256_of(blob)))
        files.emplace_back("blobs/sha256/" + hex_of(blob), blob);
    }
    const std::string json = config();
    files.emplace_back("blobs/sha256/" + hex_of(json), json);
    const std::string manifest =
        R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":")" +
        sha256_of(json) + R"(","size":)" + std::to_string(json.size()) + R"(},"layers":[)" + list +
        "]}";
    files.emplace_back("blobs/sha256/" + hex_of(manifest), manifest);
    files.emplace_back("oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
    // By way of a nested index, as buildkit writes it, with an attestation beside the image.
    const std::string nested =
        R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:)" +
        std::string(64, '0') +
        R"(","size":1,"platform":{"os":"unknown","architecture":"unknown"}},)" +
        R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" +
        sha256_of(manifest) + R"(","size":)" + std::to_string(manifest.size()) +
        R"(,"platform":{"os":"linux","architecture":")" + host_platform().architecture + R"("}}]})";
    files.emplace_back("blobs/sha256/" + hex_of(nested), nested);
    files.emplace_back(
        "index.json",
        R"({"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":")" +
            sha256_of(nested) + R"(","size":)" + std::to_string(nested.size()) +
            R"(,"annotations":{"org.opencontainers.image.ref.name":")" + name + R"("}}]})");
    return files;
  }

  std::string oci_archive() const {
    std::vector<Entry> entries;
    for (const auto& [path, content] : oci_files()) entries.push_back(file(path, content));
    return tar(entries);
  }

  void oci_directory(const std::string& path) const {
    for (const auto& [name_in, content] : oci_files()) {
      std::filesystem::create_directories(
          std::filesystem::path(path + "/" + name_in).parent_path());
      write_file(path + "/" + name_in, content);
    }
  }
};

}  // namespace cove::testing
