//! Making exactly once, waiting, and reading all pages.

use std::time::Duration;

use starsystem_provisioner::testing::Phase;
use starsystem_provisioner::{
    Attempt, CallError, CallErrorKind, Ensured, Failure, FailureKind, clock, ensure, pages, poll,
};

use crate::manifest::script;

fn answers<T>(mut answers: Vec<T>) -> impl FnMut() -> T {
    answers.reverse();
    move || answers.pop().expect("not asked more often")
}

fn lost() -> Attempt {
    CallError { kind: CallErrorKind::OutcomeUnknown, message: "lost".into() }.into()
}

#[test]
fn what_is_there_is_not_made() {
    let run = script(Phase::Create).run(|| ensure(|| Ok(Some(1)), || unreachable!("it is there")));
    assert_eq!(run.result, Ok(Ensured::Found(1)));
}

#[test]
fn what_is_absent_is_made() {
    let run = script(Phase::Create).run(|| ensure(|| Ok(None), || Ok(2)));
    assert_eq!(run.result, Ok(Ensured::Created(2)));
    assert_eq!(run.waited_ms, 0);
}

#[test]
fn a_lost_answer_is_looked_for_and_then_tried_again() {
    let found = script(Phase::Create)
        .run(|| ensure(answers(vec![Ok(None), Ok(None), Ok(Some(3))]), answers(vec![Err(lost())])));
    assert_eq!(found.result, Ok(Ensured::Found(3)));
    assert_eq!(found.waited_ms, 1_500);

    let again =
        script(Phase::Create).run(|| ensure(|| Ok(None), answers(vec![Err(lost()), Ok(4)])));
    assert_eq!(again.result, Ok(Ensured::Created(4)));
    assert_eq!(again.waited_ms, 15_500);
}

#[test]
fn answers_that_are_always_lost_end_as_unavailable() {
    let run = script(Phase::Create).run(|| ensure::<u8>(|| Ok(None), || Err(lost())));
    assert_eq!(run.result.unwrap_err().kind, FailureKind::Unavailable);
    assert_eq!(run.waited_ms, 3 * 15_500);
}

#[test]
fn a_conflict_is_looked_for_but_never_tried_again() {
    let taken = || Attempt::from(Failure::conflict("the name is taken"));
    let ours = script(Phase::Create)
        .run(|| ensure(answers(vec![Ok(None), Ok(Some(5))]), answers(vec![Err(taken())])));
    assert_eq!(ours.result, Ok(Ensured::Found(5)));

    let theirs =
        script(Phase::Create).run(|| ensure::<u8>(|| Ok(None), answers(vec![Err(taken())])));
    assert_eq!(theirs.result.unwrap_err().message, "the name is taken");
}

#[test]
fn any_other_refusal_stops_at_once() {
    for kind in [CallErrorKind::Denied, CallErrorKind::TimedOut, CallErrorKind::Unreachable] {
        let error = CallError { kind, message: "no".into() };
        let run = script(Phase::Create)
            .run(|| ensure::<u8>(answers(vec![Ok(None)]), answers(vec![Err(error.into())])));
        assert!(run.result.is_err());
        assert_eq!(run.waited_ms, 0);
    }
}

#[test]
fn polls_until_an_answer_or_the_end_of_patience() {
    let (patience, interval) = (Duration::from_millis(2_500), Duration::from_secs(1));
    let run = script(Phase::Read)
        .run(|| poll(patience, interval, answers(vec![Ok(None), Ok(None), Ok(Some(6))])));
    assert_eq!((run.result, run.waited_ms), (Ok(Some(6)), 2_000));

    let mut asked = 0;
    let run = script(Phase::Read).run(|| {
        poll::<u8>(patience, interval, || {
            asked += 1;
            Ok(None)
        })
    });
    assert_eq!((run.result, run.waited_ms, asked), (Ok(None), 2_500, 4));

    let mut asked = 0;
    let run = script(Phase::Read).run(|| {
        poll::<u8>(Duration::ZERO, interval, || {
            asked += 1;
            Ok(None)
        })
    });
    assert_eq!((run.result, run.waited_ms, asked), (Ok(None), 0, 1));
}

#[test]
fn reads_pages_until_the_cursor_ends_or_stands_still() {
    let run = script(Phase::Read).run(|| {
        pages(|cursor| {
            Ok(match cursor {
                None => (vec![1, 2], Some("b".to_owned())),
                Some("b") => (vec![], Some("c".to_owned())),
                Some("c") => (vec![3], Some("c".to_owned())),
                Some(other) => panic!("{other}"),
            })
        })
    });
    assert_eq!(run.result, Ok(vec![1, 2, 3]));
}

#[test]
fn a_list_without_end_is_broken_not_endless() {
    let mut page = 0;
    let run = script(Phase::Read).run(|| {
        pages::<u8>(|_| {
            page += 1;
            Ok((vec![], Some(page.to_string())))
        })
    });
    assert_eq!(run.result.unwrap_err().kind, FailureKind::Broken);
}

#[test]
fn time_is_virtual_and_chance_is_the_same_each_time() {
    let run = script(Phase::Read).run(|| {
        let before = clock::now_ms();
        clock::wait(Duration::from_secs(60));
        (clock::now_ms() - before, clock::random(3))
    });
    assert_eq!(run.result, (60_000, vec![1, 2, 3]));
}
