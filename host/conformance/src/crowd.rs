//! Somebody else's resource, which goes and comes back while one's own is looked for: lists shift between two pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Map, Value};

use crate::bench::Bench;
use crate::checks::{Broken, Kept, deploy, destroy};
use crate::subject::{Subject, Wanted};

/// A neighbour that moves.
pub struct Crowd {
    subject: Subject,
    target: Map<String, Value>,
    moves: AtomicUsize,
}

impl Crowd {
    /// Makes the neighbour of the case.
    pub(crate) async fn gather(bench: &Arc<Bench>) -> Result<Arc<Self>, Broken> {
        let subject = Subject::new(bench);
        let target = bench.case.with(&bench.case.neighbour);
        deploy(&subject, &target).await?;
        Ok(Arc::new(Self { subject, target, moves: AtomicUsize::new(0) }))
    }

    /// The first time it goes, the second time it comes back; then it stays.
    pub async fn shift(&self) {
        let wanted = match self.moves.fetch_add(1, Ordering::SeqCst) {
            0 => Wanted::Nothing,
            1 => Wanted::Target(&self.target),
            _ => return,
        };
        // One that does not move spoils nothing: what follows is then no harder than without it.
        let _ = self.subject.run(wanted, None).await;
    }

    /// Leaves it as it was.
    pub(crate) async fn settle(&self) -> Kept {
        self.moves.store(usize::MAX / 2, Ordering::SeqCst);
        deploy(&self.subject, &self.target).await.map(drop)
    }

    /// Removes it.
    pub(crate) async fn leave(&self) -> Kept {
        destroy(&self.subject).await
    }
}
