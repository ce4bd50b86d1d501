"""The cppcheck lint fails where there is something to find."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).parent / "cppcheck.sh"


@unittest.skipUnless(shutil.which("cppcheck"), "lint_cppcheck itself fails then")
class Cppcheck(unittest.TestCase):
    def check(self, text):
        with tempfile.TemporaryDirectory() as root:
            source = pathlib.Path(root, "runtime")
            source.mkdir()
            (source / "file.cc").write_text(text)
            return subprocess.run([SCRIPT, root], capture_output=True, text=True, check=False)

    def test_a_clean_file_passes(self):
        done = self.check("int first(const int* numbers) { return numbers[0]; }\n")
        self.assertEqual((0, ""), (done.returncode, done.stderr))

    def test_a_mistake_fails_and_is_named(self):
        done = self.check("int last() { int numbers[3] = {1, 2, 3}; return numbers[3]; }\n")
        self.assertEqual(1, done.returncode)
        self.assertIn("runtime/file.cc:1: Array 'numbers[3]' accessed at index 3", done.stderr)


if __name__ == "__main__":
    unittest.main()
