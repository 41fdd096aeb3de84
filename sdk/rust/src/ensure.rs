//! The three loops that every provisioner needs: make once, wait until, and read all pages.

use std::time::Duration;

use crate::{CallError, CallErrorKind, Failure, FailureKind, clock, log};

/// How a try at creating went wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Attempt {
    /// It may or may not exist now: look before trying again.
    Unknown(Failure),
    /// It does not exist, or someone else's does (a failure of kind `Conflict`).
    Failed(Failure),
}

impl From<Failure> for Attempt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<CallError> for Attempt {
    fn from(error: CallError) -> Self {
        match error.kind {
            // An answer that is too large was sent by someone who did something.
            CallErrorKind::OutcomeUnknown | CallErrorKind::TooLarge => Self::Unknown(error.into()),
            _ => Self::Failed(error.into()),
        }
    }
}

/// What [`ensure`] came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ensured<T> {
    /// It was there already.
    Found(T),
    /// It was made now.
    Created(T),
}

impl<T> Ensured<T> {
    /// The thing, wherever it came from.
    pub fn into_inner(self) -> T {
        match self {
            Self::Found(thing) | Self::Created(thing) => thing,
        }
    }
}

/// How often creating is tried when its answer gets lost every time.
const CREATE_ATTEMPTS: u32 = 3;
/// Waits before each look after a lost answer: vendors' lists lag behind.
const LOOKS_MS: [u64; 5] = [500, 1_000, 2_000, 4_000, 8_000];

/// Makes something exactly once.
///
/// Looks first, because an earlier run may have made it and died. Then creates. When the answer is lost, or
/// the vendor says that it exists already, looks several times over some seconds; what is found is taken,
/// and only what is surely absent is created again. `find` must recognise its own by [`Service::mark`],
/// never by name alone.
///
/// [`Service::mark`]: crate::Service::mark
pub fn ensure<T>(
    mut find: impl FnMut() -> Result<Option<T>, Failure>,
    mut create: impl FnMut() -> Result<T, Attempt>,
) -> Result<Ensured<T>, Failure> {
    if let Some(found) = find()? {
        return Ok(Ensured::Found(found));
    }
    let mut last = None;
    for _ in 0..CREATE_ATTEMPTS {
        let (failure, open) = match create() {
            Ok(created) => return Ok(Ensured::Created(created)),
            Err(Attempt::Unknown(failure)) => (failure, true),
            Err(Attempt::Failed(failure)) => (failure, false),
        };
        if !open && failure.kind != FailureKind::Conflict {
            return Err(failure);
        }
        log(format!("{}; looking whether it exists", failure.message));
        if let Some(found) = look(&mut find)? {
            return Ok(Ensured::Found(found));
        }
        if !open {
            return Err(failure);
        }
        last = Some(failure);
    }
    Err(last.unwrap_or_else(|| Failure::unavailable("nothing was tried")))
}

fn look<T>(find: &mut impl FnMut() -> Result<Option<T>, Failure>) -> Result<Option<T>, Failure> {
    for ms in LOOKS_MS {
        clock::wait(Duration::from_millis(ms));
        if let Some(found) = find()? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Asks until there is an answer or `patience` is over (`None`). Asks at least once, and once more at the end.
pub fn poll<T>(
    patience: Duration,
    interval: Duration,
    mut ask: impl FnMut() -> Result<Option<T>, Failure>,
) -> Result<Option<T>, Failure> {
    let deadline = clock::now_ms().saturating_add(millis(patience));
    loop {
        let now = clock::now_ms();
        if let Some(answer) = ask()? {
            return Ok(Some(answer));
        }
        if now >= deadline {
            return Ok(None);
        }
        clock::wait(interval.min(Duration::from_millis(deadline - now)));
    }
}

/// Reads all pages. `page` gets the cursor of the page to read (`None` for the first) and answers with its
/// items and the next cursor. A cursor that does not move ends it.
pub fn pages<T>(
    mut page: impl FnMut(Option<&str>) -> Result<(Vec<T>, Option<String>), Failure>,
) -> Result<Vec<T>, Failure> {
    const PAGES_MAX: usize = 1000;
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let (items, next) = page(cursor.as_deref())?;
        all.extend(items);
        match next {
            Some(next) if !next.is_empty() && Some(&next) != cursor.as_ref() => cursor = Some(next),
            _ => return Ok(all),
        }
    }
    Err(Failure::broken(format!("the list has no end: gave up after {PAGES_MAX} pages")))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
