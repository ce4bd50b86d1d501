// The payload of the escape tests: attacks, and all that the probe can do.
#include "tests/support/attacks/attacks.h"

namespace cove::payload {
namespace {

constexpr Command kAttacks[] = {
    {"clone3", 1, clone_by_clone3},
    {"create-by-io-uring", 2, create_by_io_uring},
    {"enter-namespace", 1, enter_namespace},
    {"give-capabilities", 1, give_capabilities},
    {"int80", 2, call_by_int80},
    {"kill-by-descriptor", 1, kill_by_descriptor},
    {"limit", 3, limit_process},
    {"naive-container", 1, naive_container},
    {"open-handle", 3, open_handle},
    {"orphans", 1, make_orphans},
    {"overwrite", 2, overwrite},
    {"overwrite-runtime", 0, overwrite_runtime},
    {"overwrite-runtime-from-child", 0, overwrite_runtime_from_child},
    {"print-handle", 1, print_handle},
    {"push-characters", 1, push_characters},
    {"raise-inheritable", 0, raise_inheritable},
    {"remount-writable", 1, remount_writable},
    {"search-memory", 2, search_memory},
    {"signal-storm", 2, signal_storm},
    {"slow-down", 1, slow_down},
    {"slurp", 1, slurp},
    {"subreaper-daemon", 1, make_subreaper_daemon},
};

}  // namespace
}  // namespace cove::payload

int main(int argc, char** argv) {
  using namespace cove::payload;
  run_commands(argc, argv, {kAttacks, probe_commands()});
}
