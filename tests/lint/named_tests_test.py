"""The check of named tests finds what it is there for."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import named_tests

TESTS = named_tests.defined_tests(
    ["TEST(Escape, Holds) {\n}\nTEST_F(Bind, Shows) {}\n", "TEST(Escape, DISABLED_Known) {\nTEST_P(EveryFilter,\n  Kills) {}"]
)


def complaints(text):
    return named_tests.check_text("a.md", text, TESTS)


class NamedTests(unittest.TestCase):
    def test_those_that_are_there_are_fine(self):
        self.assertEqual([], complaints("`Escape.Holds`, `Bind.*`, `EveryFilter.Kills`, `Escape.Ho*`"))

    def test_one_that_is_not_is_found_with_its_place(self):
        self.assertEqual(["a.md:2: there is no test Escape.Held"], complaints("x\n`Escape.Held`"))

    def test_a_pattern_that_nothing_fits_and_an_unknown_suite_are_found(self):
        self.assertEqual(2, len(complaints("`Escape.Cve*` `Gone.Holds`")))

    def test_a_disabled_one_is_none(self):
        self.assertEqual(1, len(complaints("`Escape.Known`")))

    def test_other_words_with_dots_are_not_looked_at(self):
        self.assertEqual([], complaints("`memory.max`, `cpu.stat`, Escape.Held, `runtime/init/init.cc`"))


if __name__ == "__main__":
    unittest.main()
