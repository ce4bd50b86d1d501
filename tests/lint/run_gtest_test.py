"""The judge of skipped tests finds what it is there for."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import run_gtest


def report(*cases):
    return run_gtest.Report("<testsuites><testsuite>" + "".join(cases) + "</testsuite></testsuites>")


def case(name, skip=None):
    inner = f'<skipped message="a.cc:3&#x0A;{skip}&#x0A;"/>' if skip is not None else ""
    return f'<testcase name="{name}" status="run" classname="Memory">{inner}</testcase>'


class Skips(unittest.TestCase):
    allowed = run_gtest.read_allowed("# comment\n\nhost .*: needs cgroup-v2 memory\n")

    def test_no_skip_is_fine(self):
        self.assertEqual([], run_gtest.judge(report(case("Holds")), "host", self.allowed))

    def test_a_run_without_tests_fails(self):
        self.assertEqual(["no test was run"], run_gtest.judge(report(), "host", None))

    def test_a_listed_skip_is_fine(self):
        self.assertEqual([], run_gtest.judge(report(case("Holds", "needs cgroup-v2 memory")), "host", self.allowed))

    def test_a_skip_listed_for_the_other_tier_fails(self):
        self.assertEqual(1, len(run_gtest.judge(report(case("Holds", "needs cgroup-v2 memory")), "vm", self.allowed)))

    def test_an_unlisted_skip_fails_only_where_a_list_holds(self):
        skipped = report(case("Holds", "needs root"))
        self.assertEqual(["Memory.Holds: this skip is not in tests/allowed_skips.txt: host Memory.Holds: needs root"],
                         run_gtest.judge(skipped, "host", self.allowed))
        self.assertEqual([], run_gtest.judge(skipped, "host", None))

    def test_a_skip_that_names_no_fact_fails_everywhere(self):
        self.assertEqual(1, len(run_gtest.judge(report(case("Holds", "flaky")), "host", None)))


if __name__ == "__main__":
    unittest.main()
