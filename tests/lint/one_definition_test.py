"""The check of definitions finds what it is there for."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import one_definition
from source_tree import source_tree


class OneDefinition(unittest.TestCase):
    def problems(self, files):
        with source_tree(files) as root:
            return list(one_definition.check(root))

    def test_finds_two_of_one_name(self):
        self.assertEqual(
            ["cove::Rule is defined in runtime/policy.h and in images/layer.h: give one of them another name"],
            self.problems({
                "runtime/policy.h": "namespace cove {\nstruct Rule {\n  int a;\n};\n}\n",
                "images/layer.h": "namespace cove {\nenum class Rule : int { one };\n}\n",
            }))

    def test_lets_the_others_be(self):
        self.assertEqual([], self.problems({
            "runtime/a.h": "namespace cove {\nstruct Rule;\nclass Engine {\n  struct Impl;\n  struct Rule {};\n};\n}\n",
            "runtime/a.cc": "namespace cove {\nstruct Engine::Impl {};\nvoid f() { struct Rule {}; }\n"
                            "namespace {\nstruct Rule {};\n}\nRule* g(struct Rule);\n}\n",
            "runtime/b.cc": "namespace cove {\n// struct Rule {\nconst char* t = \"struct Rule {\";\n"
                            "namespace {\nstruct Rule {};\n}\n}\n",
            "runtime/c.h": "namespace cove::kernel {\nstruct Rule {};\n}\n",
        }))

    def test_knows_where_a_namespace_ends(self):
        files = {name: "namespace cove {\nnamespace {\nstruct A { int b; };\n}\nstruct B : A {};\n}\n"
                 for name in ("runtime/a.cc", "runtime/b.cc")}
        self.assertEqual(["cove::B is defined in runtime/a.cc and in runtime/b.cc: give one of them another name"],
                         self.problems(files))


if __name__ == "__main__":
    unittest.main()
