use super::*;
use crate::format::{read_plan, read_workload};
use crate::gantt::chart::Axis;
use crate::options::Granularity;
use crate::plan::Schedule;
use crate::testing::{Sample, arb_workload, list_plan};
use crate::units::Time;
use expect_test::{Expect, expect};
use proptest::prelude::*;

fn ms(milliseconds: f64) -> Time {
    Time::from_milliseconds(milliseconds).unwrap()
}

fn two_jobs() -> Chart {
    let testdata = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let workload = std::fs::read(testdata.join("workloads/two-jobs.json")).unwrap();
    let workload = read_workload(&workload).unwrap();
    let plan = std::fs::read(testdata.join("plans/two-jobs.json")).unwrap();
    Chart::of_plan(&workload, &read_plan(&plan, &workload).unwrap())
}

/// `jobs` jobs of 3 ms on the device, 2 ms on the uplink, 5 ms on a server without limit.
fn pipeline(jobs: usize) -> Chart {
    let lane = |name: &str, delay: f64, length: f64| ChartLane {
        name: name.to_string(),
        bars: (0..jobs)
            .map(|job| {
                let start = 3.0 * job as f64 + delay;
                let label = format!("{name} of {job}");
                Bar { start: ms(start), end: ms(start + length), job, label }
            })
            .collect(),
    };
    Chart {
        title: format!("{jobs} jobs"),
        lanes: vec![lane("device", 0.0, 3.0), lane("uplink", 3.0, 2.0), lane("server", 5.0, 5.0)],
        end: ms(3.0 * jobs as f64 + 7.0),
        marks: vec![],
    }
}

fn check_text(chart: &Chart, width: usize, expected: Expect) {
    expected.assert_eq(&render_text(chart, &TextOptions { width, color: false }));
}

#[test]
fn two_jobs_as_text() {
    check_text(
        &two_jobs(),
        80,
        expect![[r#"
            partition-only at granularity layer: 2 jobs in 14.000 ms, lower bound 8.000 ms
            device     0━━━━━━━━━━━━━━━1━━━━━━━━━━━━··································  46 %
            uplink     ················0━━━━━━━━····1━━━━━━━━━━━━━━━━━················  43 %
            server     ·····························0━━━━━·················1━━━·······  16 %
            downlink   ···································0━···················1━━····   7 %
                       └─────────────────────┴──────────────────────┴────────────────┘
                       0                     5                      10              14.00 ms
            a number begins its job; · idle
        "#]],
    );
}

#[test]
fn a_run_is_drawn_below_its_plan_on_one_axis() {
    let testdata = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let workload = std::fs::read(testdata.join("workloads/two-jobs.json")).unwrap();
    let workload = read_workload(&workload).unwrap();
    let plan = std::fs::read(testdata.join("plans/two-jobs.json")).unwrap();
    let plan = read_plan(&plan, &workload).unwrap();
    // Everything took half as long again, and nothing was measured of the downlink.
    let slower = |time: Time| Time::from_nanoseconds(time.nanoseconds() * 3 / 2);
    let mut measured = plan.schedule.clone();
    let Schedule { device, uplink, server, downlink } = &mut measured;
    downlink.clear();
    for op in device.iter_mut().chain(uplink).chain(server) {
        (op.start, op.end) = (slower(op.start), slower(op.end));
    }
    let chart = Chart::of_run(&workload, &plan, &measured, slower(plan.makespan));
    assert_eq!(chart.end, slower(plan.makespan));
    check_text(
        &chart,
        80,
        expect![[r#"
        partition-only at granularity layer: 2 jobs in 21.000 ms, planned 14.000 ms
        device planned      0━━━━━━━━1━━━━━━━·····································  31 %
        device measured     0━━━━━━━━━━━━━1━━━━━━━━━━·····························  46 %
        uplink planned      ·········0━━━━···1━━━━━━━━━···························  29 %
        uplink measured     ··············0━━━━━━····1━━━━━━━━━━━━━━━·············  43 %
        server planned      ·················0━━··········1━······················  11 %
        server measured     ·························0━━━━··············1━━━······  16 %
        downlink planned    ····················█···········█·····················   5 %
                                          0             1
        downlink measured   ······················································   0 %
                            └────────────────────────┴─────────────────────────┴─┘
                            0                        10                         21.00 ms
        a number begins its job; ░▒▓█ short or several jobs, by share of time busy; · idle
    "#]],
    );
}

#[test]
fn five_jobs_as_text() {
    check_text(
        &pipeline(5),
        80,
        expect![[r#"
            5 jobs
            device   0━━━━━━━━1━━━━━━━━2━━━━━━━━3━━━━━━━4━━━━━━━━·····················  68 %
            uplink   ·········0━━━━━···1━━━━━···2━━━━━··3━━━━━···4━━━━━···············  45 %
            server 1 ···············0━━━━━━━━━━━━━━··2━━━━━━━━━━━━━━···4━━━━━━━━━━━━━━  77 %
            server 2 ························1━━━━━━━━━━━━━···3━━━━━━━━━━━━━━·········
                     └─────────────┴──────────────┴──────────────┴──────────────┴────┘
                     0             5              10             15             20  22.00 ms
            a number begins its job; · idle
        "#]],
    );
}

#[test]
fn five_hundred_jobs_as_text() {
    check_text(
        &pipeline(500),
        100,
        expect![[r#"
        500 jobs
        device   ████████████████████████████████████████████████████████████████████████████████████▓ 100 %
                 0..82         82..165       165..248      248..330      330..413      413..496      496..499
        uplink   ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▒  66 %
                 0..81         82..164       164..247      247..329      330..412      413..495      495..499
        server 1 ▓███████████████████████████████████████████████████████████████████████████████████▓ 100 %
                 0..80         80..162       164..246      246..328      328..412      412..494      494..498
        server 2 ▒████████████████████████████████████████████████████████████████████████████████████
                 1..81         81..163       163..245      245..329      329..411      411..493      495..499
                 └───────────────────────────┴───────────────────────────┴───────────────────────────┘
                 0                           500                         1000                        1507 ms
        ░▒▓█ short or several jobs, by share of time busy; · idle
    "#]],
    );
}

#[test]
fn nothing_to_do_as_text() {
    let lanes = vec![ChartLane { name: "device".into(), bars: vec![] }];
    let chart = Chart { title: "nothing".into(), lanes, end: Time::ZERO, marks: vec![] };
    check_text(
        &chart,
        60,
        expect![[r#"
        nothing
        device   ·············································   0 %
                 └───────────────────────────────────────────┘
                                                             0 ns
        · idle
    "#]],
    );
}

#[test]
fn concurrent_operations_share_one_row() {
    let bars = (0..7).map(|job| {
        let (start, end) = (ms(job as f64), ms(10.0));
        Bar { start, end, job, label: String::new() }
    });
    let lanes = vec![ChartLane { name: "server".into(), bars: bars.collect() }];
    let chart = Chart { title: "seven".into(), lanes, end: ms(10.0), marks: vec![] };
    check_text(
        &chart,
        60,
        expect![[r#"
        seven
        server   ░░░░░▒▒▒▒▒▒▒▒▒▓▓▓▓▓▓▓▓███████████████████████ 100 %
                 up to 7 at a time
                 └─────────────────────┴─────────────────────┘
                 0                     5                    10.00 ms
        ░▒▓█ short or several jobs, by share of time busy; · idle
    "#]],
    );
}

/// The picture without its colours is the same.
#[test]
fn colour_changes_only_escape_sequences() {
    let chart = pipeline(20);
    let plain = render_text(&chart, &TextOptions { width: 120, color: false });
    let colored = render_text(&chart, &TextOptions { width: 120, color: true });
    assert!(colored.contains("\u{1b}[38;5;"));
    let mut stripped = String::new();
    let mut parts = colored.split('\u{1b}');
    stripped.push_str(parts.next().unwrap());
    parts.for_each(|part| stripped.push_str(part.split_once('m').unwrap().1));
    assert_eq!(stripped, plain);
}

#[test]
fn two_jobs_as_svg() {
    let svg = render_svg(&two_jobs());
    let bars: Vec<&str> = svg.lines().filter(|line| line.contains("rect class=\"b")).collect();
    // 3 on the device, 2 on each other machine.
    assert_eq!(bars.len(), 9);
    expect![[r#"<rect class="b c0" x="344.29" y="48.0" width="35.71" height="34.0"><title>job 0: encode mid"#]].assert_eq(bars[1]);
    assert!(svg.contains("prefers-color-scheme:dark"));
}

#[test]
fn names_cannot_break_the_svg() {
    let mut chart = pipeline(2);
    chart.title = "a <b> & \"c\" \u{1}".into();
    chart.lanes[0].bars[0].label = "</title><script>".into();
    let svg = render_svg(&chart);
    assert!(svg.contains("<title>a &lt;b&gt; &amp; &quot;c&quot; \u{fffd}</title>"));
    assert!(!svg.contains("<script>"));
}

#[test]
fn the_svg_of_many_jobs_stays_small() {
    let svg = render_svg(&pipeline(100_000));
    assert!(svg.len() < 1_000_000, "{} bytes", svg.len());
}

#[test]
fn axes_have_round_numbers_and_the_end() {
    let axis = |nanoseconds, ticks| {
        let axis = Axis::new(Time::from_nanoseconds(nanoseconds), ticks);
        let ticks: Vec<_> = axis.ticks.into_iter().map(|(_, label)| label).collect();
        format!("{} | {}", ticks.join(" "), axis.end)
    };
    assert_eq!(axis(23_400_000, 6), "0 5 10 15 20 | 23.40 ms");
    assert_eq!(axis(7, 10), "0 1 2 3 4 5 6 | 7 ns");
    assert_eq!(axis(12_000_000_000, 3), "0 5 10 | 12.00 s");
    assert_eq!(axis(0, 3), " | 0 ns");
}

proptest! {
    #[test]
    fn every_plan_fits_its_width(Sample(workload) in arb_workload(), seed: u64, width in 40usize..200) {
        let plan = list_plan(&workload, Granularity::Layer, seed);
        let chart = Chart::of_plan(&workload, &plan);
        let text = render_text(&chart, &TextOptions { width, color: false });
        for line in text.lines().skip(1).filter(|l| !l.contains("; ")) {
            prop_assert!(line.chars().count() <= width, "{line}");
        }
        prop_assert!(render_svg(&chart).ends_with("</svg>\n"));
    }
}
