"""The hardening check notices each flag that is taken away: small programs are built without it."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import hardening

# One function with an array that a stranger fills, and one with a frame of many pages.
PROGRAM = r"""
#include <cstdio>
#include <cstring>
#include <vector>
#ifdef WRITABLE_CODE
asm(".section .writable_code,\"awx\",@progbits\n .byte 0xc3\n .previous");
#endif
extern "C" void fill(char*);
void copy(const char* text) { char small[16]; fill(small); std::strcpy(small, text); std::puts(small); }
void large() { char pages[40000]; fill(pages); std::puts(pages); }
int at(std::vector<int>& numbers, unsigned long index) { return numbers[index]; }
extern "C" void fill(char* bytes) { bytes[0] = 0; }
int main(int argc, char**) { std::vector<int> numbers(1); copy("x"); large(); return at(numbers, argc - 1); }
"""
COMPILED = ["-O2", "-fno-inline", "-fPIE", "-fstack-protector-strong", "-fstack-clash-protection", "-fcf-protection=full",
            "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3", "-D_GLIBCXX_ASSERTIONS"]
LINKED = ["-pie", "-Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code"]


class Built(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "program.cc").write_text(PROGRAM)

    def compile(self, *flags):
        built = self.folder / "program.o"
        subprocess.run(["g++", *COMPILED, *flags, "-c", self.folder / "program.cc", "-o", built], check=True)
        return str(built)

    def link(self, *flags, compiled=()):
        built = self.folder / "program"
        subprocess.run(["g++", *LINKED, self.compile(*compiled), *flags, "-o", built], check=True, stderr=subprocess.DEVNULL)
        return hardening.check_executable(hardening.read_executable(built))


class Executables(Built):
    def test_with_all_flags_there_is_nothing_to_say(self):
        self.assertEqual([], self.link())
        self.assertEqual([], self.link("-static-pie"))

    def test_a_fixed_address_is_noticed(self):
        self.assertIn("not position independent (-pie or -static-pie)", self.link("-no-pie"))
        self.assertIn("not position independent (-pie or -static-pie)", self.link("-no-pie", "-static"))

    def test_writable_relocations_are_noticed(self):
        self.assertIn("relocations stay writable (-z relro)", self.link("-Wl,-z,norelro"))
        self.assertIn("functions are bound lazily, so that their table stays writable (-z now)", self.link("-Wl,-z,lazy"))

    def test_an_executable_stack_is_noticed(self):
        self.assertIn("its stack can be executed (-z noexecstack)", self.link("-Wl,-z,execstack"))

    def test_executable_constants_are_noticed(self):
        self.assertIn("constants can be executed (-z separate-code)", self.link("-Wl,-z,noseparate-code"))

    def test_a_segment_to_write_and_execute_is_noticed(self):
        self.assertTrue([what for what in self.link(compiled=["-DWRITABLE_CODE"])
                         if what.endswith("can be written and executed")])

    def test_search_paths_are_noticed(self):
        self.assertIn("RUNPATH Library runpath: [/tmp/x]", self.link("-Wl,-rpath,/tmp/x"))
        self.assertIn("RPATH Library rpath: [/tmp/x]", self.link("-Wl,--disable-new-dtags,-rpath,/tmp/x"))

    def test_relocated_code_is_noticed(self):
        self.assertIn("code is relocated, and so written, at its start (compile with -fPIC or -fPIE)",
                      self.link("-Wl,-z,notext", compiled=["-fno-pie", "-mcmodel=large"]))


@unittest.skipUnless(hardening.os.uname().machine == "x86_64", "the marks of another processor")
class Objects(Built):
    def check(self, *flags):
        return hardening.check_objects([self.compile(*flags)])

    def test_with_all_flags_there_is_nothing_to_say(self):
        self.assertEqual([], self.check())

    def test_each_missing_flag_is_noticed(self):
        self.assertEqual(["no stack protector (-fstack-protector-strong)"], self.check("-fno-stack-protector"))
        self.assertEqual(["no checked functions of the C library (_FORTIFY_SOURCE)"], self.check("-U_FORTIFY_SOURCE"))
        self.assertEqual(["no checked containers (_GLIBCXX_ASSERTIONS)"], self.check("-U_GLIBCXX_ASSERTIONS"))
        self.assertEqual(["large(): a large stack frame without probes (-fstack-clash-protection)"],
                         [what.replace("_Z5largev", "large()") for what in self.check("-fno-stack-clash-protection")])
        complaints = self.check("-fcf-protection=none")
        self.assertEqual(1, len(complaints))
        self.assertTrue(complaints[0].endswith("program.o: targets of indirect branches are not marked"))

    def test_one_unmarked_object_of_an_archive_is_noticed(self):
        marked = self.compile()
        pathlib.Path(marked).rename(self.folder / "marked.o")
        self.compile("-fcf-protection=none")
        subprocess.run(["ar", "rc", "lib.a", "marked.o", "program.o"], cwd=self.folder, check=True)
        archive = str(self.folder / "lib.a")
        self.assertEqual([f"{archive}(program.o): targets of indirect branches are not marked"],
                         hardening.check_objects([archive]))


if __name__ == "__main__":
    unittest.main()
