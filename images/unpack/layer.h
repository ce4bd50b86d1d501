// One layer's tar stream into one directory, in the form that overlayfs stacks: whiteouts become
// 0:0 character devices, opaque directories get the overlay's mark.
//
// The stream is hostile. Nothing is opened or made but relative to the layer's directory, below a
// parent that openat2 found beneath it (RESOLVE_BENEATH: a link that leads out is refused by the
// kernel). Links above an entry are followed by hand, an absolute one from the layer's root. Each
// refusal is one of the rules below, and carries its name. Ordinary oddities (device nodes, foreign
// ids) are dropped or changed, and told in one note each.
//
// Meant to run in a ConfinedProcess; keeps flat memory but for the directories' times.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

// Larger than the largest public images by a factor of two and more.
struct UnpackLimits {
  std::uint64_t bytes = std::uint64_t{128}
                        << 30;  // of the uncompressed stream, and of the files' sizes
  std::uint64_t entries = 8'000'000;
  // Of a compressed layer or archive: how many times its own size it may unpack to, once that is
  // more than `ratio_floor`; 0: as many as it will. gzip cannot do better than 1032, so this is about
  // zstd, which makes 4 GiB of zeros of 128 KiB.
  std::uint64_t ratio = 1100;
  std::uint64_t ratio_floor = std::uint64_t{4} << 30;  // bytes
  std::size_t path_length = 4095;
  std::size_t path_depth = 256;
};

enum class Ownership {
  archive,  // ids as the archive has them (needs CAP_CHOWN)
  caller,   // everything belongs to the caller, who can read and write it
};

enum class UnpackRule {
  path_empty,
  path_dotdot,
  path_length,
  path_depth,
  parent_escapes,
  parent_not_directory,
  root_not_directory,
  whiteout_name,
  link_target_dotdot,
  link_target_missing,
  link_target_symlink,
  link_target_kind,
  limit_bytes,
  limit_entries,
  limit_ratio,
};

struct UnpackRuleText {
  UnpackRule rule;
  std::string_view name;  // stable; appears in messages and in docs/images.md
  std::string_view sentence;
};
inline constexpr std::array<UnpackRuleText, 15> kRules{{
    {UnpackRule::path_empty, "path-empty", "the entry has no name, or one that cannot be read"},
    {UnpackRule::path_dotdot, "path-dotdot", "the entry's path holds \"..\""},
    {UnpackRule::path_length, "path-length", "the entry's path, or a part of it, is too long"},
    {UnpackRule::path_depth, "path-depth", "the entry lies too deep"},
    {UnpackRule::parent_escapes, "parent-escapes",
     "a symbolic link above the entry leads out of the layer"},
    {UnpackRule::parent_not_directory, "parent-not-directory",
     "something above the entry is not a directory"},
    {UnpackRule::root_not_directory, "root-not-directory",
     "the layer's root would not be a directory"},
    {UnpackRule::whiteout_name, "whiteout-name", "the whiteout names no entry of its directory"},
    {UnpackRule::link_target_dotdot, "link-target-dotdot",
     "the hard link's target is no plain path inside the layer"},
    {UnpackRule::link_target_missing, "link-target-missing",
     "the hard link's target is not in this layer"},
    {UnpackRule::link_target_symlink, "link-target-symlink",
     "the hard link's target lies behind a symbolic link"},
    {UnpackRule::link_target_kind, "link-target-kind",
     "the hard link's target is a directory or a device"},
    {UnpackRule::limit_bytes, "limit-bytes", "the image is larger than the limit"},
    {UnpackRule::limit_entries, "limit-entries", "the image has more entries than the limit"},
    {UnpackRule::limit_ratio, "limit-ratio",
     "the compressed data unpacks to more times its size than --max-ratio allows"},
}};

struct LayerResult {
  std::string diff_id;      // of the uncompressed stream
  std::uint64_t bytes = 0;  // counted against UnpackLimits::bytes
  std::uint64_t entries = 0;
  std::vector<std::string>
      opaque;  // directories that got the mark in user.*; trusted.* is the caller's to set
  // Directories that it uses and does not contain, its root ("") among them: made 0755 and the
  // caller's (implied.h).
  std::vector<std::string> implied;
  std::map<std::string, std::uint64_t> notes;  // what was dropped or changed -> how often
};

// Whether `compressed` bytes may have become `unpacked`.
bool within_ratio(const UnpackLimits& limits, std::uint64_t unpacked, std::uint64_t compressed);
// An image_invalid Error; `path` is shown, and may be empty.
Error refused(UnpackRule rule, std::string_view path);

// Unpacks `blob` (plain, gzip or zstd) into the empty directory `root`. umask must be 0. With
// `growth` the blob is still being written (byte_source.h). Errors: image_invalid,
// resource_exhausted (no space), setup_failed, network_failed (the writer gave up).
Result<LayerResult> unpack_layer(BorrowedFd blob, BorrowedFd growth, BorrowedFd root,
                                 const UnpackLimits& limits, Ownership ownership);

}  // namespace cove
