// The commands of the attacker, the payload of the escape tests, by subject. attacker.cc has them in
// one table, with what they take.
#pragma once

#include "tests/support/payload.h"

namespace cove::payload {

// containers.cc
void naive_container(const Arguments& a);
void remount_writable(const Arguments& a);
void enter_namespace(const Arguments& a);
void clone_by_clone3(const Arguments& a);

// processes.cc
void search_memory(const Arguments& a);
void limit_process(const Arguments& a);
void slow_down(const Arguments& a);
void kill_by_descriptor(const Arguments& a);
void signal_storm(const Arguments& a);
void make_orphans(const Arguments& a);
void make_subreaper_daemon(const Arguments& a);
void raise_inheritable(const Arguments& a);
void overwrite_runtime(const Arguments& a);
void overwrite_runtime_from_child(const Arguments& a);

// files.cc
void overwrite(const Arguments& a);
void print_handle(const Arguments& a);
void open_handle(const Arguments& a);
void give_capabilities(const Arguments& a);
void slurp(const Arguments& a);

// kernel.cc
void call_by_int80(const Arguments& a);
void create_by_io_uring(const Arguments& a);
void push_characters(const Arguments& a);

}  // namespace cove::payload
