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

    /// An error of a JSON reader at a path. Serde's errors are texts: their first words say which
    /// rule is broken, and those of [`coded`] begin with the code itself.
    pub(crate) fn from_json(path: &str, error: &serde_json::Error) -> InputError {
        let text = error.to_string();
        let coded = text.split_once(": ").and_then(|(code, message)| {
            let code = JSON_CODES.into_iter().find(|known| *known == code)?;
            Some((code, message.rsplit_once(" at line ").map_or(message, |(message, _)| message)))
        });
        let code_of_serde = || match text.split_whitespace().next() {
            Some("unknown") => "unknown-key",
            Some("missing") => "missing-key",
            Some("duplicate") => "duplicate-key",
            _ if text.starts_with("number out of range") => "not-finite",
            _ if error.is_data() => "wrong-type",
            _ => "syntax",
        };
        let (code, message) = coded.unwrap_or_else(|| (code_of_serde(), &text));
        let message = match code {
            "not-finite" => "the number is not finite".to_owned(),
            "syntax" => format!("not JSON: {message}"),
            _ => message.to_owned(),
        };
        // "." is the whole file, and "?" stands for what was not reached.
        InputError::new(path.trim_end_matches(['.', '?']), Rule::Json { code, message })
    }
}

/// An error of a JSON reader with one of the [`JSON_CODES`].
pub(crate) fn coded<E: serde::de::Error>(code: &str, message: impl fmt::Display) -> E {
    E::custom(format_args!("{code}: {message}"))
}

/// The codes of [`Rule::Json`].
pub(crate) const JSON_CODES: [&str; 12] = [
    "syntax",
    "wrong-type",
    "unknown-key",
    "missing-key",
    "duplicate-key",
    "schema",
    "negative",
    "not-finite",
    "not-whole",
    "too-large",
    "too-long",
    "unknown-name",
];

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        self.rule.fmt(f)
    }
}

impl std::error::Error for InputError {}

/// A name that nothing of its kind has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    what: &'static str,
    found: String,
    expected: Vec<&'static str>,
}

impl UnknownName {
    /// The one of `all` with this name; `what` they are is for the message.
    pub(crate) fn find<T: Copy>(
        what: &'static str,
        all: &[T],
        name_of: impl Fn(T) -> &'static str,
        name: &str,
    ) -> Result<T, UnknownName> {
        all.iter().copied().find(|&one| name_of(one) == name).ok_or_else(|| UnknownName {
            what,
            found: name.to_owned(),
            expected: all.iter().map(|&one| name_of(one)).collect(),
        })
    }
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = match self.expected.as_slice() {
            [one, other] => format!("{one} or {other}"),
            all => format!("one of {}", all.join(", ")),
        };
        write!(f, "unknown {} {:?}; expected {expected}", self.what, self.found)
    }
}

impl std::error::Error for UnknownName {}

/// The rules that a workload or a plan can break.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// The text is not JSON, or a value is not one that the format has in this place.
    Json {
        /// The stable code.
        code: &'static str,
        /// What was found and what was expected.
        message: String,
    },
    /// A number is above its limit.
    TooLarge {
        /// The number.
        found: u64,
        /// The largest value allowed.
        limit: u64,
    },
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
    /// Two models have one name.
    DuplicateModel {
        /// The name.
        name: String,
    },
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
    /// A tensor is read, wanted or sent, but it is not an input and no layer writes it.
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
            Rule::Json { code, .. } => code,
            Rule::TooLarge { .. } => "too-large",
            Rule::TooMany { .. } => "too-many",
            Rule::TotalTime => "total-time",
            Rule::DuplicateModel { .. } => "duplicate-key",
            Rule::DuplicateLayer { .. } => "duplicate-layer",
            Rule::WrittenTwice { .. } => "written-twice",
            Rule::UnknownTensor { .. } => "unknown-tensor",
            Rule::Cycle { .. } => "cycle",
            Rule::UnknownModel { .. } => "unknown-model",
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
            Rule::Json { message, .. } => f.write_str(message),
            Rule::TooLarge { found, limit } => {
                write!(f, "found {found}, expected at most {limit}")
            }
            Rule::TooMany { what, found, limit } => {
                write!(f, "found {found} {what}, expected at most {limit}")
            }
            Rule::TotalTime => f.write_str(
                "all operations of all jobs together may take longer than 2^61 ns (73 years)",
            ),
            Rule::DuplicateModel { name } => write!(f, "duplicate model {name:?}"),
            Rule::DuplicateLayer { name, first } => {
                write!(f, "layer {name:?} is already at position {first}")
            }
            Rule::WrittenTwice { tensor } => {
                write!(f, "tensor {tensor:?} is already an input or written by another layer")
            }
            Rule::UnknownTensor { tensor } => {
                write!(f, "tensor {tensor:?} is not an input and no layer writes it")
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
