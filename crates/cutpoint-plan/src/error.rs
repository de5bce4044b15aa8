//! Why a workload or a plan is refused, and where.

use std::fmt;

/// An enum of rules with their stable codes; docs/errors.md has a paragraph on each.
macro_rules! rules {
    ($(#[$of_all:meta])* $rules:ident { $($(#[$doc:meta])* $name:ident => $code:literal,)* }) => {
        $(#[$of_all])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $rules {
            $($(#[$doc])* $name,)*
        }

        impl $rules {
            /// All rules.
            pub const ALL: &[$rules] = &[$($rules::$name),*];

            /// The stable code; docs/errors.md has a paragraph on each.
            pub fn code(self) -> &'static str {
                match self {
                    $($rules::$name => $code,)*
                }
            }
        }
    };
}
pub(crate) use rules;

/// A rule that a workload or a plan breaks, with the place where it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputError {
    /// Which rule.
    pub rule: Rule,
    /// A path from the top of the file, for example `models.alexnet.layers[3].device_ms`; empty
    /// for the file as a whole.
    pub place: String,
    /// What was found and what was expected.
    pub message: String,
}

impl InputError {
    pub(crate) fn new(
        place: impl Into<String>,
        rule: Rule,
        message: impl Into<String>,
    ) -> InputError {
        InputError { rule, place: place.into(), message: message.into() }
    }

    pub(crate) fn too_many(place: &str, what: &str, found: u64, limit: u64) -> InputError {
        let message = format!("found {found} {what}, expected at most {limit}");
        InputError::new(place, Rule::TooMany, message)
    }

    pub(crate) fn too_large(place: impl Into<String>, found: u64, limit: u64) -> InputError {
        let message = format!("found {found}, expected at most {limit}");
        InputError::new(place, Rule::TooLarge, message)
    }

    pub(crate) fn unknown_tensor(place: impl Into<String>, tensor: &str) -> InputError {
        let message = format!("tensor {tensor:?} is neither an input nor written by a layer");
        InputError::new(place, Rule::UnknownTensor, message)
    }

    /// The stable code of the broken rule, for example `unknown-tensor`.
    pub fn code(&self) -> &'static str {
        self.rule.code()
    }

    /// An error of a JSON reader at a path. Serde's errors are texts: their first words say which
    /// rule is broken, and those of [`Rule::in_json`] begin with its code.
    pub(crate) fn from_json(path: &str, error: &serde_json::Error) -> InputError {
        let text = error.to_string();
        let coded = text.split_once(": ").and_then(|(code, message)| {
            let rule = *Rule::ALL.iter().find(|rule| rule.code() == code)?;
            Some((rule, message.rsplit_once(" at line ").map_or(message, |(message, _)| message)))
        });
        let of_serde = || match text.split_whitespace().next() {
            Some("unknown") => (Rule::UnknownKey, text.clone()),
            Some("missing") => (Rule::MissingKey, text.clone()),
            Some("duplicate") => (Rule::DuplicateKey, text.clone()),
            _ if text.starts_with("number out of range") => {
                (Rule::NotFinite, "the number is not finite".to_owned())
            }
            _ if error.is_data() => (Rule::WrongType, text.clone()),
            _ => (Rule::Syntax, format!("not JSON: {text}")),
        };
        let (rule, message) =
            coded.map_or_else(of_serde, |(rule, message)| (rule, message.to_owned()));
        // "." is the whole file, and "?" stands for what was not reached.
        InputError::new(path.trim_end_matches(['.', '?']), rule, message)
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for InputError {}

rules! {
    /// The rules that a workload or a plan can break.
    Rule {
        /// The text is not JSON.
        Syntax => "syntax",
        /// A value of another type is expected.
        WrongType => "wrong-type",
        /// The format has no such key.
        UnknownKey => "unknown-key",
        /// A key that must be there is not.
        MissingKey => "missing-key",
        /// A key is there twice, or two models have one name.
        DuplicateKey => "duplicate-key",
        /// The schema is not one that this version reads.
        Schema => "schema",
        /// A number is below zero.
        Negative => "negative",
        /// A number is infinite, not a number, or beyond 64-bit floating point.
        NotFinite => "not-finite",
        /// A count or a size is not a whole number.
        NotWhole => "not-whole",
        /// A number is above its limit.
        TooLarge => "too-large",
        /// A time is longer than [`crate::units::TIME_MAX`].
        TooLong => "too-long",
        /// There are more things than a file may hold.
        TooMany => "too-many",
        /// All operations of all jobs together may take longer than [`crate::units::TIME_MAX`].
        TotalTime => "total-time",
        /// Two layers of a model have one name.
        DuplicateLayer => "duplicate-layer",
        /// A tensor is written by two layers, or by a layer though it is an input.
        WrittenTwice => "written-twice",
        /// A tensor is read, wanted or sent, but it is neither an input nor written by a layer.
        UnknownTensor => "unknown-tensor",
        /// Layers wait for each other.
        Cycle => "cycle",
        /// A job asks for a model that the workload does not have.
        UnknownModel => "unknown-model",
        /// No policy, objective or granularity has this name.
        UnknownName => "unknown-name",
        /// A plan does not have one entry for each job of its workload.
        JobCount => "job-count",
        /// The entries of a plan's jobs are not numbered 0, 1, 2, ...
        JobNumber => "job-number",
        /// A plan's job has another model than in the workload.
        WrongModel => "wrong-model",
        /// An operation belongs to a job that the workload does not have.
        UnknownJob => "unknown-job",
        /// The job's model has no such layer.
        UnknownLayer => "unknown-layer",
        /// The tensor has no such encoding.
        UnknownEncoding => "unknown-encoding",
        /// A layer is listed twice in a job's `device_layers`.
        RepeatedLayer => "repeated-layer",
        /// A device operation has neither or both of `layer` and `encode`.
        LayerOrEncode => "layer-or-encode",
        /// The gap is not what makespan and lower bound say.
        WrongGap => "wrong-gap",
    }
}

impl Rule {
    /// An error of a JSON reader, which holds nothing but a text.
    pub(crate) fn in_json<E: serde::de::Error>(self, message: impl fmt::Display) -> E {
        E::custom(format_args!("{}: {message}", self.code()))
    }
}

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
