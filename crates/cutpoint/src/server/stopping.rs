//! When a server stops: at a signal, or when it is told to.

use tokio::sync::watch;

#[cfg(unix)]
pub(super) async fn stop_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        signal = tokio::signal::ctrl_c() => signal,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
pub(super) async fn stop_signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

/// Waits until the server is to stop.
pub(super) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // Ends with an error only if the server itself is gone.
    let _ = stopping.wait_for(|&is_stopping| is_stopping).await;
}
