"""The size check finds what it is there for."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import sizes


class Sizes(unittest.TestCase):
    def test_a_short_file_is_fine(self):
        self.assertEqual(([], []), sizes.check_text("a.cc", "int x;\n" * 400))

    def test_a_long_file_gets_a_note(self):
        self.assertEqual(([], ["note: a.cc: 401 lines"]), sizes.check_text("a.cc", "int x;\n" * 401))

    def test_a_very_long_file_has_to_say_why(self):
        failures, _ = sizes.check_text("a.cc", "int x;\n" * 701)
        self.assertEqual(["a.cc: 701 lines; split it, or say `// long because: ...`"], failures)
        failures, _ = sizes.check_text("a.cc", "// long because: a table\n" + "int x;\n" * 700)
        self.assertEqual([], failures)

    def test_a_long_function_gets_a_note(self):
        body = "  step();\n" * 60
        text = f"namespace cove {{\n\nint short_one() {{\n  return 1;\n}}\n\nvoid long_one(int a,\n    int b) {{\n{body}}}\n\n}}  // namespace\n"
        self.assertEqual(([], ["note: a.cc:7: a function of 63 lines"]), sizes.check_text("a.cc", text))


if __name__ == "__main__":
    unittest.main()
