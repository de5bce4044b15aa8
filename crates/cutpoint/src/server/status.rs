//! Errors as gRPC statuses.

use crate::error::{Error, ErrorKind, Result};
use tokio::sync::oneshot;
use tonic::Status;

/// The answer of an executor, which gives none if the server stops before.
pub(super) async fn answer<T>(answer: oneshot::Receiver<Result<T>>) -> Result<T, Status> {
    answer.await.map_err(|_| stopping())?.map_err(|error| of_error(&error))
}

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

/// The status for a name that no model has.
pub(super) fn unknown_model(name: &str) -> Status {
    Status::not_found(format!("unknown model `{}`", name.escape_debug()))
}

/// The status for everything that comes after the server was told to stop.
pub(super) fn stopping() -> Status {
    Status::unavailable("the server is stopping")
}
