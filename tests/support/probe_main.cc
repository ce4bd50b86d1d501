// The payload of the integration tests: tries things, and prints what came of them.
#include "tests/support/payload.h"

int main(int argc, char** argv) {
  cove::payload::run_commands(argc, argv, {cove::payload::probe_commands()});
}
