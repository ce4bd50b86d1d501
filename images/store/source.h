// Where an image comes from: an archive, copied into staging member by member, or an OCI layout's
// directory. Both answer by paths of the layout, and hash whatever they hand out.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <string>

#include "cove/result.h"
#include "images/layout/documents.h"
#include "images/store/store.h"
#include "images/store_index/reference.h"
#include "images/unpack/layer.h"
#include "runtime/kernel/fd.h"

namespace cove {

// How a blob is fetched that is not all there yet.
struct Arrival {
  UniqueFd growth;           // the reading end of its pipe (growing_file.h); may be none
  std::uint32_t ticket = 0;  // of who fetches it
};

// A blob that was compared with its digest: in the staging directory or, `staged` being empty, in
// the store.
struct Blob {
  Descriptor descriptor;
  std::string staged;
  std::shared_ptr<Arrival> arrival;  // of a layer that is still being fetched
};

// Where files of an image come from. Paths are those of an image layout or of a `docker save`
// archive.
class Source {
 public:
  Source(const Store& store, const Staging& staging, KeepBlobs keep = KeepBlobs::yes)
      : store_(store), staging_(staging), keep_(keep) {}
  virtual ~Source() = default;

  virtual bool has(const std::string& path) = 0;
  // The file, hashed: in staging or, where a digest is known to be there, in the store.
  virtual Result<Blob> take(const std::string& path, const std::string& digest) = 0;

  // A document, whole; at most kDocumentCap.
  Result<std::string> read(const Blob& blob) const;
  virtual Result<UniqueFd> open(const Blob& blob) const;
  // A blob of an image layout, compared with its descriptor.
  virtual Result<Blob> take(const Descriptor& descriptor);
  // A layer, which may still be on its way: its bytes are read with open(), and nothing is relied on
  // before complete(). Of one that is unpacked already, while blobs are not kept, nothing comes.
  Result<Blob> layer(const Descriptor& descriptor, const std::string& diff_id);
  // All layers that are wanted have been begun.
  virtual Result<void> begun() { return {}; }
  // Waits until the blob is all there, compared with its descriptor.
  virtual Result<void> complete(const Blob&) { return {}; }

 protected:
  virtual Result<Blob> begin(const Descriptor& layer) { return take(layer); }
  Blob stored(const std::string& digest) const;

  const Store& store_;
  const Staging& staging_;

 private:
  const KeepBlobs keep_;
};

// Blobs that are in the store already.
class StoredSource : public Source {
 public:
  using Source::Source;
  bool has(const std::string&) override { return false; }
  Result<Blob> take(const std::string&, const std::string& digest) override {
    return stored(digest);
  }
};

// An opened archive or layout, and its state when it was opened.
struct Opened {
  Transport transport;
  UniqueFd file;         // the archive, or the layout's directory
  UniqueFd stamped;      // layouts: index.json
  bool lasting = false;  // it can be found again: not a pipe
  struct stat state {};
};

// Errors: image_not_found, permission_denied, image_invalid (a directory for an archive, or the
// reverse).
Result<Opened> open_transport(Transport transport);

// The state is still that of the beginning: what was read is what the stamp says.
bool unchanged(const Opened& opened);

// Takes an archive in, in a process of its own. Uses up opened.file.
Result<std::unique_ptr<Source>> make_source(const Store& store, const Staging& staging,
                                            Opened& opened, const UnpackLimits& limits,
                                            KeepBlobs keep);

Error digest_error(const std::string& where, const std::string& expected, const std::string& found);
// From errno, for the store's own files.
Error io_error(const char* action, const std::string& where);

}  // namespace cove
