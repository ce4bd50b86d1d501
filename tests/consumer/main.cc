// A program that embeds Cove: runs the host's own shell in a sandbox, and looks at what came of it.
//
//   consumer [LIBEXEC]     where cove-launcher is, if not where Cove was configured to be installed
//
// Exit status: 0 where all is as it should be.
#include <cove/engine.h>
#include <cove/json.h>
#include <cove/version.h>

#include <iostream>
#include <string>

namespace {

int complain(const std::string& what) {
  std::cerr << "consumer: " << what << '\n';
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  cove::EngineOptions options;
  if (argc > 1) options.libexec = argv[1];
  auto engine = cove::Engine::create(options);
  if (!engine) return complain(engine.error().message());

  cove::SandboxSpec spec;
  spec.rootfs = "/";
  spec.command = {"/bin/sh", "-c", "read word; echo $word from $$; exit 7"};
  spec.stdin_source = cove::StdinData{"hello\n"};
  spec.timeout = std::chrono::seconds(20);
  const cove::SandboxResult result = engine->run(spec);

  if (result.cause != cove::Cause::exited || result.exit_code != 7)
    return complain("the program did not run: " + cove::to_json(result));
  // Process 1 of the sandbox is Cove's own.
  if (result.stdout_stream.bytes != "hello from 2\n")
    return complain("it said something else: " + cove::to_json(result));

  spec.command = {"/nowhere/to/be/found"};
  const cove::SandboxResult refused = engine->run(spec);
  if (refused.cause != cove::Cause::sandbox_error || !refused.error ||
      refused.error->code != cove::ErrorCode::command_not_found)
    return complain("a program that is not there is not reported: " + cove::to_json(refused));

  std::cout << "cove " << cove::version() << " ran a sandbox\n";
  return 0;
}
