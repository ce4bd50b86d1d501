// The process that talks to registries: HTTP, TLS and tokens are handled by a ConfinedProcess with
// no capability, which is nobody on the host where the caller is root. It never sees the store:
// what it downloads goes into descriptors that it is handed.
//
//   Result<Fetcher> fetcher = Fetcher::start(endpoints, settings, user_namespace);
//   Result<Document> manifest = fetcher->manifest("3.11");
//   Result<Fetcher::Ticket> ticket = fetcher->begin(layer, file, growing.writing);
//   Result<void> done = fetcher->wait(*ticket);
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cove/result.h"
#include "images/layout/documents.h"
#include "images/registry/client.h"
#include "images/registry/endpoints.h"
#include "images/unpack/confined.h"
#include "runtime/kernel/fd.h"

namespace cove {

struct FetchSettings {
  RetryPolicy retry;
  unsigned parallel = 3;  // downloads at a time, at least 1
};

class Fetcher {
 public:
  using Ticket = std::uint32_t;

  // The caller must have a single thread (confined.h).
  static Result<Fetcher> start(const std::vector<Endpoint>& endpoints,
                               const FetchSettings& settings, BorrowedFd user_namespace);

  // As RegistryClient's. Errors too: sandbox_lost where the process died.
  Result<Document> manifest(const std::string& version);
  Result<Document> small_blob(const std::string& digest);
  Result<void> check();

  // Begins to download a blob into `file`, from its current position. `growing` is the writing end
  // of a GrowingFile's pipe (byte_source.h), or none.
  Result<Ticket> begin(const Descriptor& descriptor, BorrowedFd file, BorrowedFd growing);
  // Waits for the end of a download, whose bytes were compared with size and digest.
  Result<void> wait(Ticket ticket);

 private:
  Fetcher(UniqueFd socket, ConfinedProcess process)
      : socket_(std::move(socket)), process_(std::move(process)) {}
  Result<Document> document(std::uint32_t kind, const std::string& name);
  Result<Ticket> ask(std::uint32_t kind, const Descriptor& descriptor,
                     const std::vector<BorrowedFd>& descriptors);
  Result<Document> answer_to(Ticket ticket);

  UniqueFd socket_;
  ConfinedProcess process_;
  Ticket last_ = 0;
  std::map<Ticket, std::string> answers_;  // that came while another was waited for
};

}  // namespace cove
