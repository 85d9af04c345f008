//! Ctrl-C and its like.

/// Waits for Ctrl-C or a polite request to end.
pub(crate) async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // An error means that no signal can be received; then only killing helps.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// From here on, the next Ctrl-C ends the process at once.
pub(crate) fn end_at_next() {
    tokio::spawn(async {
        interrupted().await;
        std::process::exit(130);
    });
}
