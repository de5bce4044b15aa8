//! How results are printed.

use crate::files::print;
use cutpoint::error::Result;
use serde::Serialize;

/// Text or JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Text for people.
    #[default]
    Text,
    /// JSON for programs.
    Json,
}

impl Format {
    /// Prints a result on standard output, as JSON or in the words of `text`.
    pub(crate) fn print<T: Serialize>(self, result: &T, text: fn(&T) -> String) -> Result<()> {
        match self {
            Format::Text => print(&text(result)),
            Format::Json => {
                let json = serde_json::to_string_pretty(result).expect("keys are strings");
                print(&(json + "\n"))
            }
        }
    }
}
