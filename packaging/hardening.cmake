# What is installed is hardened; tests/lint/hardening.py reads it back from the built files.
include(CheckCXXCompilerFlag)
include(CheckLinkerFlag)

# -U: a distribution's own flags may define it as well, as another number.
target_compile_options(cove_flags INTERFACE
  -fstack-protector-strong
  -fstack-clash-protection
  $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3>
  -D_GLIBCXX_ASSERTIONS)
# Targets of indirect branches are marked: x86-64's IBT and shadow stacks, arm64's BTI and PAC. Debian 12's libc is built
# without, so that its processors' checks stay off in our executables; our objects are ready for one that is.
foreach(flag -fcf-protection=full -mbranch-protection=standard)
  string(MAKE_C_IDENTIFIER "COVE_COMPILER_HAS${flag}" known)
  check_cxx_compiler_flag(${flag} ${known})
  if(${known})
    target_compile_options(cove_flags INTERFACE ${flag})
  endif()
endforeach()
target_link_options(cove_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code)

# The static executables are position independent as well. Their 6,000 relative relocations are written compactly, where the
# linker can, so that a start reads one page of them and not 37. What is left of the price, 16 page faults or 0.02 ms, does not show in a run.
check_linker_flag(CXX -Wl,-z,pack-relative-relocs COVE_LINKER_PACKS_RELOCATIONS)
set(COVE_STATIC_LINK_OPTIONS -static-pie $<$<BOOL:${COVE_LINKER_PACKS_RELOCATIONS}>:-Wl,-z,pack-relative-relocs>)
