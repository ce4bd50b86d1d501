// Why cgroups cannot be used: clauses around these words, by which cure_for_cgroup knows them again.
#pragma once

namespace cove {

inline constexpr const char* kNoHierarchy = "no cgroup hierarchy is mounted that has it";
inline constexpr const char* kReadOnly = " is mounted read-only";
inline constexpr const char* kMissing = " does not exist";
inline constexpr const char* kNotWritable = " may not be written by this user";
inline constexpr const char* kNotDivisible = " holds processes, so it may not be divided";
inline constexpr const char* kNotHandedDown = " is not among the controllers of ";
inline constexpr const char* kOutside =
    "the caller's own group lies outside of what is mounted at ";
inline constexpr const char* kAncestor =
    " may not be written by this user, so processes cannot move below it";
// Of the service manager.
inline constexpr const char* kNoManager = "no user manager of systemd's runs";
inline constexpr const char* kNoBus = "no bus leads to systemd's user manager";
inline constexpr const char* kRefused = "systemd's user manager gives no scope: ";
inline constexpr const char* kNoWeight =
    "cgroup v1 has no I/O weight that holds for buffered writes";

}  // namespace cove
