//! The progress bar of a run.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that counts jobs.
pub(crate) fn progress_bar(count: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} jobs {elapsed}")
        .expect("a valid template");
    ProgressBar::new(count as u64).with_style(style)
}
