#!/usr/bin/env python3
"""Tests of report.py."""

import json
import sys
import unittest

sys.dont_write_bytecode = True
import report  # noqa: E402


def row(role, ms, ours=False, program="/bin/true"):
    return {"name": role, "role": role, "program": program, "ours": ours, "ms": ms}


def missing(role):
    return {"name": role, "role": role, "program": "/bin/true", "ours": False, "unavailable": "not installed"}


def good_rows():
    return [row("bare", [1.0]), row("library", [4.0], ours=True), row("cove", [3.0], ours=True),
            row("bwrap", [5.0]), row("runc", [30.0])]


class Statistics(unittest.TestCase):
    def test_median_of_an_even_number_lies_between_the_middle_two(self):
        self.assertEqual(report.median([4, 1, 3, 2]), 2.5)
        self.assertEqual(report.median([3, 1, 2]), 2)

    def test_p95_is_the_nearest_rank(self):
        self.assertEqual(report.p95(list(range(1, 101))), 95)
        self.assertEqual(report.p95([7]), 7)
        self.assertEqual(report.p95([1, 2, 3]), 3)

    def test_nothing_is_rounded_in_our_favour(self):
        self.assertEqual(report.rounded(0.6001, ours=True), "0.61")
        self.assertEqual(report.rounded(0.6099, ours=False), "0.60")
        self.assertEqual(report.rounded(0.6, ours=True), "0.60")
        self.assertEqual(report.rounded(1.1, ours=True), "1.10")


class Table(unittest.TestCase):
    def test_ratios_are_to_rows_of_the_same_program(self):
        rows = good_rows() + [row("bare", [10.0], program="python3"), row("cove", [15.0], True, "python3")]
        self.assertEqual(report.ratio(rows, rows[-1], "bare"), 1.5)
        self.assertIsNone(report.ratio(rows, rows[-1], "bwrap"))

    def test_a_missing_peer_has_a_reason_and_no_figure(self):
        line = report.table([row("bare", [1.0]), missing("crun")]).splitlines()[-1]
        self.assertEqual([cell.strip() for cell in line.strip("|").split("|")],
                         ["crun", "`/bin/true`", "not installed", "", "", ""])


    def test_a_reason_is_given_once_for_all_rows_of_a_tool(self):
        refused = missing("crun") | {"unavailable": "refuses this host", "reason": "hybrid"}
        self.assertEqual(report.reasons([refused, refused | {"program": "python3"}, missing("podman")]),
                         ["crun refuses this host: hybrid"])


class Steps(unittest.TestCase):
    def test_medians_are_per_step_and_the_sums_come_last(self):
        one = {"steps": {"plan": 1.0}, "startup_ms": 5.0, "duration_ms": 2.0}
        other = {"steps": {"plan": 3.0, "groups": 2.0}, "startup_ms": 7.0, "duration_ms": 4.0}
        lines = report.steps_table({"a": [one], "b": [other]}).splitlines()[2:]
        self.assertEqual([[cell.strip() for cell in line.strip("|").split("|")] for line in lines],
                         [["plan", "1.000", "3.000"], ["groups", "", "2.000"],
                          ["all, up to the program's exec", "5.000", "7.000"], ["the program itself", "2.000", "4.000"]])


class Budgets(unittest.TestCase):
    def test_are_kept_at_the_limit_itself(self):
        self.assertTrue(all(budget["met"] for budget in report.budgets(good_rows())))

    def test_are_missed_just_beyond_it_though_it_would_round_to_it(self):
        rows = good_rows()
        rows[2]["ms"] = [3.0001]
        self.assertEqual([budget["met"] for budget in report.budgets(rows)], [False, False, True])
        self.assertIn("0.601, at most 0.6", list(report.budget_lines(report.budgets(rows)))[0])

    def test_are_not_met_where_a_peer_is_missing(self):
        rows = good_rows()[:4] + [missing("runc")]
        self.assertEqual([budget["met"] for budget in report.budgets(rows)], [True, False, True])
        self.assertIn("NOT MEASURED", list(report.budget_lines(report.budgets(rows)))[1])


class Json(unittest.TestCase):
    def test_holds_every_sample_and_the_reason_of_a_missing_row(self):
        document = json.loads(report.to_json([row("bare", [1.0, 2.0]), missing("crun")], {}, [], {"rounds": 2}))
        self.assertEqual(document["rounds"], 2)
        self.assertEqual(document["rows"][0]["samples_ms"], [1.0, 2.0])
        self.assertEqual(document["rows"][1]["unavailable"], "not installed")


if __name__ == "__main__":
    unittest.main()
