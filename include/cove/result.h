// Result<T>: a T, or the Error that says why there is none.
//
// It is tl::expected (Debian package libexpected-dev), which has the interface of C++23's
// std::expected. Functions of Cove return Result and do not throw; std::bad_alloc is not caught.
#pragma once

#include <tl/expected.hpp>

#include "cove/error.h"

namespace cove {

template <typename T>
using Result = tl::expected<T, Error>;

// `return fail(error)` from any function that returns a Result.
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace cove
