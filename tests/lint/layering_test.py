"""The layering check finds what it is there for."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import layering
from source_tree import source_tree

ARROWS = """
include/cove -> only <tl/expected.hpp>
runtime/kernel ->
runtime/mount -> include/cove runtime/kernel
runtime/engine -> runtime/*
runtime -> runtime/*
cli -> include/cove  # a comment
cli/generator_main.cc -> runtime/kernel
"""


class Layering(unittest.TestCase):
    def problems(self, files):
        with source_tree(files) as root:
            return list(layering.check(root, ARROWS))

    def test_allows_what_has_an_arrow(self):
        self.assertEqual([], self.problems({
            "include/cove/spec.h": "#include <vector>\n#include <tl/expected.hpp>\n",
            "runtime/kernel/fd.h": "#include <unistd.h>\n",
            "runtime/mount/mount.h": '#include "runtime/kernel/fd.h"\n#include "cove/spec.h"\n',
            "runtime/mount/mount.cc": '#include "runtime/mount/mount.h"\n',
            "runtime/engine/engine.cc": '#include "runtime/mount/mount.h"\n',
            "runtime/launcher_main.cc": '#include "runtime/mount/mount.h"\n',
            "cli/main.cc": "#include <cove/spec.h>\n",
        }))

    def test_refuses_an_arrow_against_the_direction(self):
        self.assertEqual(["runtime/kernel/fd.cc:2: runtime/kernel may not include runtime/mount/mount.h"], self.problems({
            "runtime/mount/mount.h": "",
            "runtime/kernel/fd.cc": '\n#include "runtime/mount/mount.h"\n',
        }))

    def test_refuses_a_front_end_that_reaches_into_the_engine(self):
        self.assertEqual(["cli/main.cc:1: cli may not include runtime/kernel/fd.h"], self.problems({
            "runtime/kernel/fd.h": "",
            "cli/main.cc": '#  include <runtime/kernel/fd.h>\n',
        }))

    def test_a_line_for_one_file_wins_over_its_folder(self):
        self.assertEqual(["cli/main.cc:1: cli may not include runtime/kernel/fd.h"], self.problems({
            "runtime/kernel/fd.h": "",
            "cli/generator_main.cc": '#include "runtime/kernel/fd.h"\n',
            "cli/main.cc": '#include "runtime/kernel/fd.h"\n',
        }))

    def test_refuses_a_library_in_a_public_header(self):
        self.assertEqual(["include/cove/spec.h:1: include/cove may not include <nlohmann/json.hpp>"], self.problems({
            "include/cove/spec.h": "#include <nlohmann/json.hpp>\n",
        }))

    def test_refuses_a_folder_without_a_line(self):
        self.assertEqual(["runtime/util/x.h: folder runtime/util has no line in layering.txt"],
                         self.problems({"runtime/util/x.h": ""}))

    def test_refuses_a_path_relative_to_the_file(self):
        self.assertEqual(['runtime/mount/a.cc:1: "a.h" is no path from the project\'s root'], self.problems({
            "runtime/mount/a.h": "",
            "runtime/mount/a.cc": '#include "a.h"\n',
        }))


if __name__ == "__main__":
    unittest.main()
