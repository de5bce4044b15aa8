"""Tests of scripts/tables on outcomes that are made up. Run: python3 -m unittest discover scripts/tests"""

import importlib.machinery
import importlib.util
import pathlib
import unittest

PATH = str(pathlib.Path(__file__).resolve().parent.parent / "tables")
loader = importlib.machinery.SourceFileLoader("tables", PATH)
tables = importlib.util.module_from_spec(importlib.util.spec_from_loader("tables", loader))
loader.exec_module(tables)


class Formatting(unittest.TestCase):
    def test_a_table_has_columns_rows_and_sentences(self):
        text = tables.markdown(["network", "ms"], [["a", tables.ms(12.345)], ["b", tables.ms(1.0)]], ["Joint wins."])
        self.assertEqual(text, "| network | ms |\n|---|---|\n| a | 12.3 |\n| b | 1.00 |\n\nJoint wins.\n")
        self.assertEqual([tables.change(ratio) for ratio in (-0.2, -0.0004, 0.01)], ["-20.0", "0.0", "+1.0"])

    def test_axes_end_at_round_numbers(self):
        found = [tables.number(tables.round_up(value)) for value in (0.0, 0.9, 1.0, 2.2, 2.6, 70.0)]
        self.assertEqual(found, ["1", "1", "1", "2.5", "3", "80"])

    def test_a_chart_has_every_line_and_only_valid_numbers(self):
        lines = {"one": [(1.0, 3.0), (100.0, 1.0)], "two": [(1.0, 0.0)]}
        drawn = tables.chart("a < b", "jobs", "ms", [1.0, 10.0, 100.0], lines)
        svg = tables.svg([drawn, drawn], ["seed 0 & more"])
        self.assertEqual(svg.count("<polyline"), 4)
        self.assertIn("a &lt; b", svg)
        self.assertIn("seed 0 &amp; more", svg)
        for wrong in ("nan", "inf", '"-'):
            self.assertNotIn(wrong, svg.lower())

    def test_a_logarithmic_chart_has_every_point_inside(self):
        svg = tables.svg([tables.growth_chart([(1e3, 1.0), (1e4, 20.0), (1e6, 900.0)])], [])
        self.assertEqual(svg.count("<polyline"), 2)
        for wrong in ("nan", "inf", '"-', ",-"):
            self.assertNotIn(wrong, svg.lower())


def gap(jobs, seed, makespan, bound, optimum=None, machines="three", **further):
    return {
        "machines": machines,
        "family": "wide",
        "granularity": "layer",
        "jobs": jobs,
        "seed": seed,
        "makespan_ns": makespan,
        "lower_bound_ns": bound,
        "proved_bound_ns": bound - (jobs == 20),
        "load_bound_ns": bound - (makespan > bound),
        "gap": (makespan - bound) / bound,
        "is_optimal": makespan == bound,
        "optimum": optimum and {"makespan_ns": optimum, "by": "program"},
        "gap_to_optimum": optimum and (makespan - optimum) / optimum,
        "behind": [],
        "refuted": [],
    } | further


class Gaps(unittest.TestCase):
    def test_rows_hold_means_and_worsts_and_lists_what_stands_out(self):
        # Gaps 0 and 10 %: mean 5 %. To the optimum 0 and 10 / 100: mean 5 %.
        outcomes = [gap(2, 7, 100, 100, 100), gap(2, 8, 110, 100, 100), gap(20, 7, 106, 100)]
        text = tables.gaps(outcomes)
        lines = text.splitlines()
        self.assertEqual(
            lines[2], "| wide | layer | 2 | 2 | 5.000 | 10.000 | 1 | 100.0 | 50.0 | 2 | 5.000 | 10.000 | 0 |"
        )
        self.assertEqual(lines[3], "| wide | layer | 20 | 1 | 6.000 | 6.000 | 0 | 0.0 | 0.0 | - | - | - | 0 |")
        self.assertEqual(
            lines[4], "| all | both | 2 | 2 | 5.000 | 10.000 | 1 | 100.0 | 50.0 | 2 | 5.000 | 10.000 | 0 |"
        )
        self.assertIn("Behind another policy: none.", text)
        self.assertIn("- wide, layer, 20 jobs, seed 7: 99 ns of 100 ns", text)
        self.assertIn("- wide, layer, 2 jobs, seed 8: 10.000 %", text)
        self.assertIn("at 20 jobs:\n\n- wide, layer, 20 jobs, seed 7: 6.000 %", text)
        outcomes[2] = gap(20, 7, 104, 100)
        self.assertTrue(tables.gaps(outcomes).endswith("Certified gap above 5 % at 20 jobs: none.\n"))
        text = tables.gaps([outcome | {"machines": "two"} for outcome in outcomes])
        self.assertIn("above 1 % at 20 jobs:\n\n- wide, layer, 20 jobs, seed 7: 4.000 %", text)

    def test_a_plan_behind_another_policy_is_counted_and_listed(self):
        text = tables.gaps([gap(2, 9, 110, 100, behind=["adjacent at layer: 109 ns"])])
        self.assertTrue(text.splitlines()[2].endswith("| 1 |"), text)
        self.assertIn("- wide, layer, 2 jobs, seed 9: adjacent at layer: 109 ns", text)

    def test_there_is_a_row_for_each_family_granularity_and_number_of_jobs(self):
        outcomes = [
            gap(jobs, 5, 100, 100, family=family, granularity=granularity)
            for family, granularity in [("general", "job"), ("general", "layer"), ("convex-line", "job")]
            for jobs in (2, 4)
        ]
        lines = tables.gaps(outcomes).splitlines()
        rows = [sum(line.startswith(f"| {name} |") for line in lines) for name in ("general", "convex-line", "all")]
        self.assertEqual(rows, [4, 2, 2])


def run(policy, predicted, measured, **further):
    return {
        "model": "alexnet",
        "link": {"shaped": {"uplink_mbps": 18.88, "rtt_ms": 5.0}},
        "device_fraction": 0.25,
        "jobs": 20,
        "granularity": "layer",
        "policy": policy,
        "turn": 1,
        "predicted_ms": predicted,
        "measured_ms": measured,
        "cuts": f"20 {policy}",
        "bottleneck": "uplink",
        "busy": 0.95,
        "planned_busy": 0.97,
    } | further


class Grid(unittest.TestCase):
    def test_a_report_has_medians_errors_and_who_is_ahead(self):
        joint = [run("joint", 80.0, measured) for measured in (84.0, 80.0, 96.0)]
        text = tables.grid([run("local-only", 100.0, 110.0), *joint])
        self.assertIn("| joint | layer | 3 | 80.0 | 84.0 | 84.0 | +5.0 | uplink | 95.0 | 97.0 |", text)
        self.assertIn("7.5 % in the median of 2 cells, 10.0 % at worst", text)
        self.assertIn("ahead of the best other policy in 1 of 1 settings", text)

    def test_one_plan_run_twice_counts_as_equal(self):
        def same(policy, measured, jobs):
            return run(policy, 100.0, measured, jobs=jobs, cuts="20 device")

        text = tables.grid(
            [
                run("joint", 90.0, 90.0),
                run("local-only", 100.0, 100.0),
                same("joint", 104.0, 7),
                same("local-only", 100.0, 7),
                same("joint", 99.0, 8),
                same("local-only", 100.0, 8),
                run("server-only", 100.0, 120.0),
            ]
        )
        self.assertIn("in 1 of 3 settings (by 10.0 % in the median)", text)
        self.assertIn("equal to it by the same plan in 2, and behind it in 0;", text)
        self.assertIn("at worst it is +0.0 % over it", text)
        self.assertIn("ahead in 2, and at worst +4.0 % over.", text)

    def test_nothing_run_is_an_empty_table(self):
        self.assertEqual(len(tables.grid([]).splitlines()), 2)

    def test_a_plan_takes_the_same_time_whatever_policy_chose_it(self):
        def of(policy, jobs, measured, cuts):
            return run(policy, 10.0, measured, jobs=jobs, cuts=cuts)

        runs = [
            of("joint", 3, 104.0, "3 device"),
            of("local-only", 3, 98.0, "3 device"),
            of("local-only", 3, 100.0, "3 device"),
            of("server-only", 3, 150.0, "3 data"),
            # Of another setting.
            of("joint", 4, 500.0, "3 device"),
        ]
        [(by_plan, by_runs)] = tables.comparisons(tables.cell_medians(runs))
        self.assertAlmostEqual(by_plan, 0)
        self.assertAlmostEqual(by_runs, 104 / 99 - 1)
        # In two turns more joint runs another plan, which takes longer.
        runs += [of("joint", 3, measured, "2 device, 1 data") for measured in (120.0, 130.0)]
        [(by_plan, _)] = tables.comparisons(tables.cell_medians(runs))
        self.assertAlmostEqual(by_plan, 0.25)
        # Older files do not say what was run.
        unknown = [of("joint", 3, 104.0, ""), of("local-only", 3, 100.0, "")]
        [(by_plan, _)] = tables.comparisons(tables.cell_medians(unknown))
        self.assertAlmostEqual(by_plan, 0.04)

    def test_references_stand_beside_the_policies_of_their_setting(self):
        references = [run("local", 0, 20.0, jobs=6), run("local", 0, 24.0, jobs=6), run("offload", 0, 50.0, jobs=6)]
        runs = [run("joint", 10.0, 11.0, jobs=6), run("joint", 10.0, 77.0, jobs=7)]
        text = tables.grid(runs, references)
        self.assertTrue(text.endswith("| 6 | 22.0 | ? | 50.0 | ? | 11.0 | -50.0 |\n"), text)
        self.assertNotIn("reference", tables.grid(runs, []))


class Accuracy(unittest.TestCase):
    def test_a_link_has_a_row_and_a_missing_emulator_a_dash(self):
        link = dict.fromkeys(
            ["uplink_rate_error", "downlink_rate_error", "rtt_expected_ms", "rtt_median_ms", "rtt_p5_ms"], 0.0012
        )
        link |= {"mbps": 1.1, "rtt_ms": 100.0, "rtt_p95_ms": 2.0, "rtt_error_ms": -0.2}
        link |= {"queue_drops": 0, "late_mean_ms": None, "emulator_cpu": 0.05}
        targets = {"rate_error_target": 0.01, "rtt_error_ms_target": 1.0, "within_targets": False}
        text = tables.accuracy({"links": [link], **targets})
        self.assertIn("| 1.1 Mbit/s, 100 ms | +0.12 % |", text)
        self.assertIn("| -0.20 ms | 0 | - | 5.0 % of a core |", text)
        self.assertTrue(text.endswith("targets (rate within 1 %, median round trip within 1 ms): missed\n"))


if __name__ == "__main__":
    unittest.main()
