//! The user's wish to stop: once means finish what is in flight, twice means now.

use ss_engine::Stop;
use tokio::signal::unix::{SignalKind, signal};

/// Listens for SIGINT and SIGTERM until the process ends.
pub fn listen(stop: &Stop) {
    let stop = stop.clone();
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    tokio::spawn(async move {
        let mut asked = false;
        loop {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            if asked {
                // Everything that matters is on disk already; the next run goes on from there.
                std::process::exit(crate::exit::Exit::Interrupted as i32);
            }
            asked = true;
            stop.stop();
            eprintln!(
                "\nstopping: requests in flight are finished and recorded; once more to stop at once"
            );
        }
    });
}
