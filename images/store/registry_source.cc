#include "images/store/registry_source.h"

#include "images/layout/sha256.h"
#include "runtime/kernel/io.h"

namespace cove {

Result<Blob> RegistrySource::keep(const Document& document, const Descriptor& descriptor) {
  // The process that fetched it is not relied on.
  const std::string digest = sha256_of(document.text);
  if (digest != descriptor.digest) return fail(digest_error("", descriptor.digest, digest));
  if (document.text.size() != descriptor.size) {
    return fail(invalid_image(descriptor.digest,
                              "is of " + std::to_string(document.text.size()) + " bytes, of " +
                                  std::to_string(descriptor.size) + " by what names it"));
  }
  Blob blob;
  blob.descriptor = descriptor;
  blob.staged = "document-" + std::to_string(taken_.size());
  if (Result<void> written = staging_.write_file(blob.staged, document.text); !written)
    return fail(written.error());
  taken_[descriptor.digest] = blob;
  return blob;
}

Result<Descriptor> RegistrySource::resolve(const std::string& version) {
  const Result<Document> document = fetcher_.manifest(version);
  if (!document) return fail(document.error());
  Descriptor descriptor;
  descriptor.media_type = document->media_type;
  descriptor.digest = sha256_of(document->text);
  descriptor.size = document->text.size();
  const Result<Blob> kept = keep(*document, descriptor);
  if (!kept) return fail(kept.error());
  return descriptor;
}

Result<Blob> RegistrySource::take(const std::string& path, const std::string&) {
  return fail(invalid_image(path, "is not asked of a registry"));
}

Result<Blob> RegistrySource::take(const Descriptor& descriptor) {
  if (const auto found = taken_.find(descriptor.digest); found != taken_.end())
    return found->second;
  if (store_.has(blob_path(descriptor.digest))) {
    Blob blob = stored(descriptor.digest);
    blob.descriptor = descriptor;
    return blob;
  }
  if (descriptor.size > kDocumentCap)
    return fail(invalid_image(descriptor.digest, "is larger than 8 MiB"));
  const Result<Document> document = kind_of(descriptor.media_type)
                                        ? fetcher_.manifest(descriptor.digest)
                                        : fetcher_.small_blob(descriptor.digest);
  if (!document) return fail(document.error());
  return keep(*document, descriptor);
}

Result<Blob> RegistrySource::begin(const Descriptor& layer) {
  if (const auto found = taken_.find(layer.digest); found != taken_.end()) return found->second;
  if (store_.has(blob_path(layer.digest))) {
    Blob blob = stored(layer.digest);
    blob.descriptor = layer;
    return blob;
  }
  if (layer.size > left_) return fail(refused(UnpackRule::limit_bytes, layer.digest));
  left_ -= layer.size;
  Blob blob;
  blob.descriptor = layer;
  blob.staged = "blob-" + std::to_string(taken_.size());
  const Result<UniqueFd> file = staging_.create_file(blob.staged);
  if (!file) return fail(file.error());
  kernel::Pipe growth = kernel::make_pipe();
  if (!growth) return fail(errno_error(ErrorCode::resource_exhausted, "image store", "pipe"));
  const Result<Fetcher::Ticket> ticket = fetcher_.begin(layer, *file, growth.writing);
  if (!ticket) return fail(ticket.error());
  blob.arrival = std::make_shared<Arrival>();
  blob.arrival->growth = std::move(growth.reading);
  blob.arrival->ticket = *ticket;
  taken_[layer.digest] = blob;
  return blob;
}

Result<void> RegistrySource::complete(const Blob& blob) {
  if (!blob.arrival) return {};
  const Fetcher::Ticket ticket = blob.arrival->ticket;
  auto known = completed_.find(ticket);
  if (known == completed_.end()) known = completed_.emplace(ticket, fetcher_.wait(ticket)).first;
  return known->second;
}

}  // namespace cove
