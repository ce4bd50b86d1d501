// SHA-256 as digests: "sha256:<64 hex>". One hasher per stream; not for use by several threads at
// once.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace cove {

class Sha256 {
 public:
  Sha256();
  void update(std::string_view bytes);
  // The digest of all bytes so far; the hasher is spent then.
  std::string finish();

 private:
  struct Free {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Free> context_;  // EVP_MD_CTX
};

std::string sha256_of(std::string_view bytes);

}  // namespace cove
