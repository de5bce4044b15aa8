//! Errors as gRPC statuses.

use super::repository::RepositoryError;
use crate::error::{Error, ErrorKind};
use tonic::Status;

/// The status for an error of this crate. What the client gave is the client's fault.
pub(super) fn of_error(error: &Error) -> Status {
    let message = match error.advice() {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    };
    match error.kind() {
        ErrorKind::Input | ErrorKind::Model | ErrorKind::Cut | ErrorKind::Usage => {
            Status::invalid_argument(message)
        }
        ErrorKind::Network => Status::unavailable(message),
        _ => Status::internal(message),
    }
}

/// The status for a refusal of the repository.
pub(super) fn of_repository(error: &RepositoryError) -> Status {
    match error {
        RepositoryError::NameTaken(name) => Status::already_exists(format!(
            "model `{name}` is there already, with other content; choose another name"
        )),
        RepositoryError::Full => Status::resource_exhausted("too many models; unload some"),
        RepositoryError::Unknown(name) => unknown_model(name),
        RepositoryError::Given(name) => Status::failed_precondition(format!(
            "model `{name}` was given when the server started, and stays"
        )),
        RepositoryError::Model(error) => of_error(error),
    }
}

/// The status for a name that no model has.
pub(super) fn unknown_model(name: &str) -> Status {
    Status::not_found(format!("unknown model `{}`", name.escape_debug()))
}

/// The status for everything that comes after the server was told to stop.
pub(super) fn stopping() -> Status {
    Status::unavailable("the server is stopping")
}
