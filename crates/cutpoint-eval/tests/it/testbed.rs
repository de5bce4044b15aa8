//! The testbed for real: namespaces, link, bytes, exit codes, and nothing left behind.
//!
//! These tests need root and TUN devices; elsewhere they say on standard error that they did
//! nothing.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cutpoint-eval");

/// Whether `testbed run` works here, as the program itself says.
fn works_here() -> bool {
    let check = testbed(&["check", "--format", "json"]).output().unwrap();
    let text = String::from_utf8_lossy(&check.stdout).into_owned();
    let offer: serde_json::Value = serde_json::from_str(&text).expect(&text);
    let works = check.status.success();
    if !works {
        eprintln!("skipped: the testbed needs root, namespaces and TUN devices; here: {offer}");
    }
    works
}

fn testbed(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("testbed").args(arguments).stdin(Stdio::null());
    command
}

/// A testbed that serves probes, on a link that is quick so that the test is.
fn run(device_command: &str, further: &[&str]) -> Command {
    let server_command = format!("{PROGRAM} testbed probe-serve --listen {{server}}:7070");
    let mut command = testbed(&["run", "--uplink-mbps=50", "--downlink-mbps=50", "--rtt-ms=2"]);
    command.args(["--server-command", &server_command, "--device-command", device_command]);
    command.args(further);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Names of namespaces and control groups made by the process `pid`.
fn left_by(pid: u32) -> Vec<String> {
    let prefix = format!("cutpoint-{pid}-");
    let folders = ["/run/netns", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup"];
    let entries = folders.iter().filter_map(|folder| Path::new(folder).read_dir().ok()).flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(&prefix)).collect()
}

/// Runs to the end and checks that nothing is left.
fn finish(mut command: Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    assert_eq!(left_by(pid), Vec::<String>::new(), "{}", text(&output.stderr));
    output
}

#[test]
fn bytes_cross_the_link_both_ways() {
    if !works_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let measure = format!(
        "{PROGRAM} testbed probe-measure --server={{server}}:7070 --bulk-ms=200 --warm-up-ms=20 \
         --send-buffer-bytes=20000 --pings=5"
    );
    let output = finish(run(&measure, &["-o", report.to_str().unwrap()]));
    assert!(output.status.success(), "{}", text(&output.stderr));

    let measured: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let uplink = &measured["uplink"];
    assert!(uplink["sent_bytes"].as_u64().unwrap() > 0, "{measured}");
    assert_eq!(uplink["sent_bytes"], uplink["received"]["bytes"], "{measured}");
    assert!(measured["downlink"]["received"]["bytes"].as_u64().unwrap() > 0, "{measured}");
    // No lower limit is a matter of timing: a packet cannot be early.
    let fastest = measured["rtt_ms"][0].as_f64().unwrap();
    assert!(fastest >= 2.0, "{measured}");

    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let carried = report["carried"]["uplink"]["bytes"].as_u64().unwrap();
    assert!(carried > uplink["sent_bytes"].as_u64().unwrap(), "{report}");
    assert_eq!(report["device"]["exit_code"], 0);
    assert_eq!(report["server"]["stopped"], true);
}

#[test]
fn the_devices_exit_code_is_the_testbeds_and_its_settings_are_in_force() {
    if !works_here() {
        return;
    }
    let show = "cat /proc/sys/net/ipv4/tcp_congestion_control \
                /proc/sys/net/ipv4/tcp_slow_start_after_idle; echo {device} {server}; exit 7";
    let output = finish(run(show, &["--slow-start-after-idle=off"]));
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "cubic\n0\n10.78.0.1 10.78.0.2\n");
}

#[test]
fn a_server_that_ends_before_it_listens_is_an_error() {
    if !works_here() {
        return;
    }
    let mut command = testbed(&["run", "--server-command=exit 5", "--device-command=echo ran"]);
    command.args(["--ready-port=7070"]);
    let output = finish(command);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("ended before it listened"), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "");
}

/// Starts a run whose device tells its process id and then stays; gives the child and that id.
fn start_endless() -> (std::process::Child, String) {
    let mut command = run("echo $$; exec tail -f /dev/null > /dev/null", &[]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(!left_by(child.id()).is_empty(), "a run in progress has namespaces");
    (child, line.trim().to_owned())
}

fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

#[test]
fn an_interrupted_run_cleans_up() {
    if !works_here() {
        return;
    }
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let (mut child, device) = start_endless();
        signal(name, child.id());
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert_eq!(left_by(child.id()), Vec::<String>::new());
        assert!(!Path::new("/proc").join(device).exists(), "the device's command goes on");
    }
}

#[test]
fn leftovers_of_a_killed_run_are_removed() {
    if !works_here() {
        return;
    }
    let (mut child, _) = start_endless();
    signal("-KILL", child.id());
    child.wait().unwrap();
    // Another test's run may have cleaned already; that is as good.
    let clean = testbed(&["clean"]).output().unwrap();
    assert!(clean.status.success(), "{}", text(&clean.stderr));
    assert_eq!(left_by(child.id()), Vec::<String>::new());
}

#[test]
fn a_wrong_flag_is_refused_before_anything_is_made() {
    for (flag, named) in [("--loss=2", "--loss is 2"), ("--device-cores=0", "--device-cores is 0")]
    {
        let output = run("echo ran", &[flag]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(named), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "");
    }
}
