//! The one error of the crate: what went wrong, where, and what to do about it.

use std::error::Error as StdError;
use std::fmt;

/// The kind of an error, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A model file cannot be used.
    Model,
    /// An input, or a tensor's shape or element type, does not fit.
    Input,
    /// A set of tensors or layers is not a cut.
    Cut,
    /// An inference engine is missing, too old, or cannot run the model.
    Engine,
    /// A workload, plan or jobs file breaks a rule.
    Workload,
    /// A file cannot be read or written.
    File,
    /// The other side cannot be reached, or the connection broke.
    Network,
    /// The other side answered, and what it said is an error or breaks the protocol.
    Protocol,
    /// The arguments do not make sense together.
    Usage,
}

impl ErrorKind {
    /// The stable code in messages and in docs/errors.md.
    pub fn code(self) -> &'static str {
        match self {
            ErrorKind::Model => "model",
            ErrorKind::Input => "input",
            ErrorKind::Cut => "cut",
            ErrorKind::Engine => "engine",
            ErrorKind::Workload => "workload",
            ErrorKind::File => "file",
            ErrorKind::Network => "network",
            ErrorKind::Protocol => "protocol",
            ErrorKind::Usage => "usage",
        }
    }
}

/// What went wrong, where, and a hint where there is one.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: String,
    place: Option<String>,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of a kind: what was found and what was expected, in lower case, no full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        let inner = Inner { kind, message: message.into(), place: None, hint: None, source: None };
        Error { inner: Box::new(inner) }
    }

    /// An input, tensor or file that does not fit, or bytes that are not what they claim to be.
    pub(crate) fn input(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Input, message)
    }

    /// An error for what a feature of this crate would do, had it been compiled in.
    #[cfg(not(all(feature = "rten", feature = "onnxruntime", feature = "images")))]
    pub(crate) fn without_feature(kind: ErrorKind, feature: &str) -> Error {
        Error::new(kind, format!("built without the feature {feature:?}"))
            .hint(format!("build cutpoint with the feature {feature:?}, one of its defaults"))
    }

    /// Says where: a file and field, a node, a peer. An inner place is kept behind an outer one.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Error {
        self.inner.place = Some(match self.inner.place.take() {
            Some(inner) => format!("{place}: {inner}"),
            None => place.to_string(),
        });
        self
    }

    /// Says what the user can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.inner.hint = Some(hint.into());
        self
    }

    /// Keeps the error beneath.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        self.inner.source = Some(source.into());
        self
    }

    /// A copy of the error; its source is kept as text.
    #[must_use]
    pub fn again(&self) -> Error {
        let Inner { kind, message, place, hint, source } = &*self.inner;
        let source = source.as_ref().map(|source| source.to_string().into());
        let (message, place, hint) = (message.clone(), place.clone(), hint.clone());
        Error { inner: Box::new(Inner { kind: *kind, message, place, hint, source }) }
    }

    /// The kind, for programs.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The hint, if there is one.
    pub fn advice(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.inner.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.inner.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {self}", self.inner.kind.code())?;
        if let Some(source) = &self.inner.source {
            write!(f, ": {source}")?;
        }
        if let Some(hint) = &self.inner.hint {
            write!(f, "\n\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|s| s as _)
    }
}
