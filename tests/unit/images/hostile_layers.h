// Layers that try to leave their directory, or to be more than they may: each with the rule that
// refuses it (images/unpack/layer.h). Beside the layer's directory there is one that is called
// "outside", with a file "secret".
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "tests/unit/images/archives.h"

namespace cove::testing {

struct Hostile {
  const char* name;
  std::vector<Entry> entries;
  const char* rule;
};

inline void PrintTo(const Hostile& hostile, std::ostream* out) { *out << hostile.name; }

inline std::vector<Hostile> hostile_layers() {
  std::string deep = "d";
  for (int i = 0; i < 300; ++i) deep += "/d";
  return {
      {"dotdot", {file("../outside/secret", "x")}, "path-dotdot"},
      {"dotdot_in_the_middle", {directory("a"), file("a/../../outside/new")}, "path-dotdot"},
      {"dotdot_directory", {directory("..", 0777)}, "path-dotdot"},
      {"absolute_dotdot", {file("/../outside/new")}, "path-dotdot"},
      {"absolute_link_as_parent",
       {symlink("a", "/etc"), file("a/cove-was-here")},
       "parent-not-directory"},
      {"absolute_link_and_dotdot",
       {directory("etc"), symlink("a", "/etc/../../outside"), file("a/new")},
       "parent-escapes"},
      {"absolute_links_in_a_loop",
       {symlink("a", "/b"), symlink("b", "/a/x"), file("a/x")},
       "parent-escapes"},
      {"relative_link_as_parent", {symlink("a", "../outside"), file("a/new")}, "parent-escapes"},
      {"chain_of_links",
       {symlink("a", "b"), symlink("b", "../outside"), file("a/secret", "x")},
       "parent-escapes"},
      {"link_loop", {symlink("a", "b"), symlink("b", "a"), file("a/x")}, "parent-escapes"},
      {"directory_through_link",
       {symlink("a", "../outside"), directory("a/new")},
       "parent-escapes"},
      {"new_parents_through_link",
       {symlink("a", "../outside"), file("a/new/deep")},
       "parent-escapes"},
      {"link_through_link", {symlink("a", "../outside"), symlink("a/l", "x")}, "parent-escapes"},
      {"whiteout_through_link",
       {symlink("a", "../outside"), file("a/.wh.secret", "")},
       "parent-escapes"},
      {"opaque_through_link",
       {symlink("a", "../outside"), file("a/.wh..wh..opq", "")},
       "parent-escapes"},
      {"hard_link_through_link",
       {file("f"), symlink("a", "../outside"), hard_link("a/l", "f")},
       "parent-escapes"},
      {"file_as_parent", {file("f"), file("f/x")}, "parent-not-directory"},
      {"dangling_link_as_parent", {symlink("a", "nowhere"), file("a/x")}, "parent-not-directory"},
      {"root_is_a_link", {symlink(".", "../outside")}, "root-not-directory"},
      {"root_is_a_file", {file(".")}, "root-not-directory"},
      {"root_is_a_hard_link", {file("f"), hard_link(".", "f")}, "root-not-directory"},
      {"whiteout_of_nothing", {file("a/.wh.", "")}, "whiteout-name"},
      {"whiteout_of_dot", {file("a/.wh..", "")}, "whiteout-name"},
      {"whiteout_of_dotdot", {file("a/.wh...", "")}, "whiteout-name"},
      {"whiteout_as_directory", {file(".wh.a/x")}, "whiteout-name"},
      {"hard_link_to_dotdot", {hard_link("l", "../outside/secret")}, "link-target-dotdot"},
      {"hard_link_to_the_root", {hard_link("l", "/")}, "link-target-dotdot"},
      {"hard_link_to_itself", {file("l"), hard_link("l", "l")}, "link-target-dotdot"},
      {"hard_link_behind_link",
       {symlink("a", "../outside"), hard_link("l", "a/secret")},
       "link-target-symlink"},
      {"hard_link_behind_inner_link",
       {file("d/f"), symlink("a", "d"), hard_link("l", "a/f")},
       "link-target-symlink"},
      {"hard_link_to_host_path", {hard_link("l", "/etc/passwd")}, "link-target-missing"},
      {"hard_link_to_directory", {directory("d"), hard_link("l", "d")}, "link-target-kind"},
      {"hard_link_to_whiteout", {file(".wh.w", ""), hard_link("l", "w")}, "link-target-kind"},
      {"long_component", {file(std::string(256, 'n'))}, "path-length"},
      {"long_path",
       {file(std::string(200, 'n') + "/" + std::string(4000, '/') + "x")},
       "path-length"},
      {"deep_path", {file(deep)}, "path-depth"},
  };
}

}  // namespace cove::testing
