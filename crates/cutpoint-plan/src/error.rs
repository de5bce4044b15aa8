//! Why a workload or a plan is refused, and where.

use std::fmt;

/// A rule that a workload or a plan breaks, with the place where it does.
#[derive(Clone, Debug, PartialEq)]
pub struct InputError {
    /// A path from the top of the file, for example `models.alexnet.layers[3].device_ms`; empty
    /// for the file as a whole.
    pub place: String,
    /// What is wrong there.
    pub rule: Rule,
}

impl InputError {
    pub(crate) fn new(place: impl Into<String>, rule: Rule) -> InputError {
        InputError { place: place.into(), rule }
    }

    /// The stable code of the broken rule, for example `unknown-tensor`.
    pub fn code(&self) -> &'static str {
        self.rule.code()
    }

    /// An error of a JSON reader. Its message says which rule is broken: serde has no other way.
    pub(crate) fn from_json(path: String, error: &serde_json::Error) -> InputError {
        let message = error.to_string();
        let rule = if message.starts_with("unknown field") {
            Rule::UnknownKey(message)
        } else if message.starts_with("missing field") {
            Rule::MissingKey(message)
        } else if message.starts_with("duplicate") {
            Rule::DuplicateKey(message)
        } else if message.starts_with("number out of range") {
            Rule::NotFinite
        } else if error.is_data() {
            Rule::WrongType(message)
        } else {
            Rule::Syntax(message)
        };
        // "." is the whole file, and "?" stands for what was not reached.
        InputError::new(path.trim_end_matches(['.', '?']), rule)
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        self.rule.fmt(f)
    }
}

impl std::error::Error for InputError {}

/// The rules that a workload or a plan can break.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// The text is not JSON.
    Syntax(String),
    /// A value of another type is expected.
    WrongType(String),
    /// The format has no such key.
    UnknownKey(String),
    /// A key that must be there is not.
    MissingKey(String),
    /// A key is there twice.
    DuplicateKey(String),
    /// The schema is not one that this version reads.
    Schema {
        /// What the file says.
        found: String,
        /// What it should say.
        expected: &'static str,
    },
    /// A number is below zero.
    Negative(f64),
    /// A number is infinite, not a number, or beyond 64-bit floating point.
    NotFinite,
    /// A count or a size is not a whole number.
    NotWhole(f64),
    /// A number is above its limit.
    TooLarge {
        /// What the file says.
        found: f64,
        /// The largest value allowed.
        limit: u64,
    },
    /// A time is longer than [`crate::units::TIME_MAX`], in milliseconds.
    TooLong(f64),
    /// There are more things than a file may hold.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many there may be.
        limit: u64,
    },
    /// All operations of all jobs together may take longer than [`crate::units::TIME_MAX`].
    TotalTime,
    /// Two layers of a model have one name.
    DuplicateLayer {
        /// The name.
        name: String,
        /// The position of the first.
        first: usize,
    },
    /// A tensor is written by two layers, or by a layer though it is an input.
    WrittenTwice {
        /// Its name.
        tensor: String,
    },
    /// A tensor is read, wanted or sent, but no layer writes it and it is no input.
    UnknownTensor {
        /// Its name.
        tensor: String,
    },
    /// Layers wait for each other.
    Cycle {
        /// The layers on one cycle, each reading from the one before it, the first from the last.
        layers: Vec<String>,
    },
    /// A job asks for a model that the workload does not have.
    UnknownModel {
        /// Its name.
        model: String,
    },
    /// No policy or granularity has this name.
    UnknownName(String),
    /// A plan has not one entry for each job of its workload.
    JobCount {
        /// Entries in the plan.
        found: usize,
        /// Jobs in the workload.
        expected: usize,
    },
    /// The entries of a plan's jobs are not numbered 0, 1, 2, ...
    JobNumber {
        /// The number of the entry.
        found: u64,
        /// Its position.
        expected: usize,
    },
    /// A plan's job has another model than in the workload.
    WrongModel {
        /// In the plan.
        found: String,
        /// In the workload.
        expected: String,
    },
    /// An operation belongs to a job that the workload does not have.
    UnknownJob {
        /// Its number.
        job: u64,
    },
    /// The job's model has no such layer.
    UnknownLayer {
        /// Its name.
        layer: String,
    },
    /// The tensor has no such encoding.
    UnknownEncoding {
        /// Its name.
        encoding: String,
    },
    /// A layer is listed twice in a job's `device_layers`.
    RepeatedLayer {
        /// Its name.
        layer: String,
    },
    /// A device operation has neither or both of `layer` and `encode`.
    LayerOrEncode,
    /// The gap is not what makespan and lower bound say.
    WrongGap {
        /// In the plan.
        found: f64,
        /// From makespan and lower bound.
        expected: f64,
    },
}

impl Rule {
    /// The stable code; docs/errors.md has a paragraph on each.
    pub fn code(&self) -> &'static str {
        match self {
            Rule::Syntax(_) => "syntax",
            Rule::WrongType(_) => "wrong-type",
            Rule::UnknownKey(_) => "unknown-key",
            Rule::MissingKey(_) => "missing-key",
            Rule::DuplicateKey(_) => "duplicate-key",
            Rule::Schema { .. } => "schema",
            Rule::Negative(_) => "negative",
            Rule::NotFinite => "not-finite",
            Rule::NotWhole(_) => "not-whole",
            Rule::TooLarge { .. } => "too-large",
            Rule::TooLong(_) => "too-long",
            Rule::TooMany { .. } => "too-many",
            Rule::TotalTime => "total-time",
            Rule::DuplicateLayer { .. } => "duplicate-layer",
            Rule::WrittenTwice { .. } => "written-twice",
            Rule::UnknownTensor { .. } => "unknown-tensor",
            Rule::Cycle { .. } => "cycle",
            Rule::UnknownModel { .. } => "unknown-model",
            Rule::UnknownName(_) => "unknown-name",
            Rule::JobCount { .. } => "job-count",
            Rule::JobNumber { .. } => "job-number",
            Rule::WrongModel { .. } => "wrong-model",
            Rule::UnknownJob { .. } => "unknown-job",
            Rule::UnknownLayer { .. } => "unknown-layer",
            Rule::UnknownEncoding { .. } => "unknown-encoding",
            Rule::RepeatedLayer { .. } => "repeated-layer",
            Rule::LayerOrEncode => "layer-or-encode",
            Rule::WrongGap { .. } => "wrong-gap",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Syntax(message) => write!(f, "not JSON: {message}"),
            Rule::WrongType(message)
            | Rule::UnknownKey(message)
            | Rule::MissingKey(message)
            | Rule::DuplicateKey(message)
            | Rule::UnknownName(message) => f.write_str(message),
            Rule::Schema { found, expected } => {
                write!(f, "schema is {found:?}, expected {expected:?}")
            }
            Rule::Negative(value) => write!(f, "found {value}, expected 0 or more"),
            Rule::NotFinite => f.write_str("the number is not finite"),
            Rule::NotWhole(value) => write!(f, "found {value}, expected a whole number"),
            Rule::TooLarge { found, limit } => {
                write!(f, "found {found}, expected at most {limit}")
            }
            Rule::TooLong(found) => {
                write!(f, "{found} ms is longer than the longest time, 2^61 ns (73 years)")
            }
            Rule::TooMany { what, found, limit } => {
                write!(f, "found {found} {what}, expected at most {limit}")
            }
            Rule::TotalTime => f.write_str(
                "all operations of all jobs together may take longer than 2^61 ns (73 years)",
            ),
            Rule::DuplicateLayer { name, first } => {
                write!(f, "layer {name:?} is already at position {first}")
            }
            Rule::WrittenTwice { tensor } => {
                write!(f, "tensor {tensor:?} is already an input or written by another layer")
            }
            Rule::UnknownTensor { tensor } => {
                write!(f, "tensor {tensor:?} is no input and no layer writes it")
            }
            Rule::Cycle { layers } => {
                write!(f, "layers wait for each other: {} -> {}", layers.join(" -> "), layers[0])
            }
            Rule::UnknownModel { model } => write!(f, "the workload has no model {model:?}"),
            Rule::JobCount { found, expected } => {
                write!(f, "the plan has {found} jobs, the workload {expected}")
            }
            Rule::JobNumber { found, expected } => {
                write!(f, "found job {found}, expected job {expected}")
            }
            Rule::WrongModel { found, expected } => {
                write!(f, "the plan says model {found:?}, the workload {expected:?}")
            }
            Rule::UnknownJob { job } => write!(f, "the workload has no job {job}"),
            Rule::UnknownLayer { layer } => write!(f, "the job's model has no layer {layer:?}"),
            Rule::UnknownEncoding { encoding } => {
                write!(f, "the tensor has no encoding {encoding:?}")
            }
            Rule::RepeatedLayer { layer } => write!(f, "layer {layer:?} is listed twice"),
            Rule::LayerOrEncode => f.write_str("expected either `layer` or `encode`"),
            Rule::WrongGap { found, expected } => {
                write!(
                    f,
                    "the gap is {expected} by makespan and lower bound, the plan says {found}"
                )
            }
        }
    }
}
