//! Running before other programs: what stands for hardware must not wait for its turn.
//!
//! A real-time class wakes at once where a favoured ordinary program still waits for the running
//! one to use up its slice, which takes milliseconds on a busy machine.

use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs;
use std::process::{Command, Stdio};

/// The lowest real-time priorities are enough to go before all ordinary programs.
const REALTIME: [&str; 3] = ["chrt", "--fifo", "10"];
/// The next best, where real time is not allowed.
const NICE: i32 = -15;

/// How the kernel lets this process go before others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Priority {
    /// Like any other program, or after it.
    Normal,
    /// Favoured among ordinary programs.
    Favoured,
    /// Before all ordinary programs.
    Realtime,
}

/// `words`, to be run in real time if `chrt` can do that here; otherwise this thread, and so what
/// it becomes, is favoured as far as is allowed.
pub(crate) fn before_others(words: Vec<OsString>) -> Vec<OsString> {
    let [program, flags @ ..] = REALTIME;
    let quiet = Stdio::null;
    let mut trial = Command::new(program);
    trial.args(flags).arg("true").stdin(quiet()).stdout(quiet()).stderr(quiet());
    if trial.status().is_ok_and(|status| status.success()) {
        return REALTIME.iter().map(OsString::from).chain(words).collect();
    }
    // Without the right to it the program runs like any other, and the report says so.
    let _ = rustix::process::setpriority_process(None, NICE);
    words
}

/// The priority of this process.
pub(crate) fn of_this_process() -> Priority {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    priority_in_stat(&stat).unwrap_or(Priority::Normal)
}

/// From the 18th field of a `/proc/PID/stat`: 20 and the nice value, negative in real time.
fn priority_in_stat(stat: &str) -> Option<Priority> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let priority: i64 = after_name.split_whitespace().nth(15)?.parse().ok()?;
    Some(match priority {
        ..0 => Priority::Realtime,
        0..20 => Priority::Favoured,
        20.. => Priority::Normal,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_are_distinguished() {
        let stat = |priority: &str| {
            priority_in_stat(&format!("7 (a b) R 1 7 7 0 -1 4 1 2 3 4 5 6 7 8 {priority} 0 1 0 9"))
        };
        assert_eq!(stat("20"), Some(Priority::Normal));
        assert_eq!(stat("39"), Some(Priority::Normal));
        assert_eq!(stat("5"), Some(Priority::Favoured));
        assert_eq!(stat("-11"), Some(Priority::Realtime));
        assert_eq!(priority_in_stat(""), None);
    }
}
