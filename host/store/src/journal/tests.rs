//! What a journal survives, and what it does not let pass.

use proptest::prelude::*;
use ss_core::record::{CallEnd, DeployStatus};
use ss_testkit::sample::{begin, call, deploy, intent, recorded};
use tempfile::TempDir;

use super::*;

fn entries() -> Vec<Entry> {
    let end = CallEnd::Done { record: Box::new(recorded("quiet\nmountain \"é\" }")) };
    let record = Box::new(recorded("one"));
    vec![
        begin(1, "line", 7),
        intent(call(1, "db", 0)),
        Entry::Checkpoint { call: call(1, "db", 0), record },
        Entry::Outcome { call: call(1, "db", 0), end },
        Entry::Outcome { call: call(1, "x", 0), end: CallEnd::Failed { message: "no".into() } },
        Entry::End { deploy: deploy(1), status: DeployStatus::Failed },
    ]
}

/// A journal with these entries on disk, and its bytes.
fn written(entries: &[Entry]) -> (TempDir, PathBuf, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.jsonl");
    let journal = begin_at(&path);
    let mut writer = Writer::open(&path, journal).unwrap();
    for entry in entries {
        append(&mut writer, entry).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    (directory, path, bytes)
}

/// One entry by itself.
fn append(writer: &mut Writer, entry: &Entry) -> Result<(), StoreError> {
    writer.push(entry)?;
    writer.flush()
}

fn begin_at(path: &Path) -> Journal {
    super::begin(path, Origin::new("line", 7)).unwrap()
}

/// The same bytes without a disk.
fn lines(entries: &[Entry]) -> Vec<u8> {
    let origin = serde_json::to_string(&Origin::new("line", 7)).unwrap();
    let (mut text, mut sum) = make_line(&format!("\"journal\":{origin}"), "");
    for entry in entries {
        let (line, next) = make_line(&body(&[serde_json::to_string(entry).unwrap()]), &sum);
        text.push_str(&line);
        sum = next;
    }
    text.into_bytes()
}

/// Where each line ends.
fn ends(bytes: &[u8]) -> Vec<usize> {
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect()
}

#[test]
fn every_line_is_json() {
    let (_directory, path, bytes) = written(&entries());
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.lines().count(), 1 + entries().len());
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    assert_eq!(text.as_bytes(), lines(&entries()));
    let journal = read(&path).unwrap().unwrap();
    assert_eq!(journal.entries, entries());
    assert_eq!(journal.origin, Origin::new("line", 7));
}

#[test]
fn a_cut_at_any_byte_loses_only_what_it_cut() {
    let (_directory, path, bytes) = written(&entries());
    let ends = ends(&bytes);
    let whole = |length: usize| ends.iter().filter(|end| **end <= length).count() - 1;
    for length in ends[0]..=bytes.len() {
        let journal = parse(&bytes[..length]).unwrap().unwrap();
        assert_eq!(journal.entries, entries()[..whole(length)], "cut at {length}");
    }
    // The next entry follows the last whole one.
    for length in
        ends.iter().flat_map(|end| [*end, end + 1, end + 99]).filter(|end| *end <= bytes.len())
    {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let journal = read(&path).unwrap().unwrap();
        let next = begin(9, "line", 7);
        append(&mut Writer::open(&path, journal).unwrap(), &next).unwrap();
        let journal = read(&path).unwrap().unwrap();
        assert_eq!(journal.entries.len(), whole(length) + 1, "cut at {length}");
        assert_eq!(journal.entries.last(), Some(&next));
    }
}

#[test]
fn a_torn_block_of_zeros_or_rubbish_at_the_end_is_cut() {
    let (_directory, path, bytes) = written(&entries());
    let last = ends(&bytes)[entries().len() - 1];
    for tail in [vec![0; 4096], b"rubbish".to_vec(), vec![0xff; 3], b"\n".to_vec()] {
        std::fs::write(&path, [&bytes[..], &tail].concat()).unwrap();
        assert_eq!(read(&path).unwrap().unwrap().entries, entries(), "{tail:?}");
    }
    // The beginning of the last line never arrived, its end did.
    let mut torn = bytes.clone();
    torn[last..bytes.len() - 20].fill(0);
    std::fs::write(&path, torn).unwrap();
    assert_eq!(read(&path).unwrap().unwrap().entries, entries()[..entries().len() - 1]);
}

#[test]
fn a_damaged_line_is_named_and_nothing_is_changed() {
    let (_directory, path, bytes) = written(&entries());
    let ends = ends(&bytes);
    for line in 1..=entries().len() {
        let start = if line == 1 { 0 } else { ends[line - 2] };
        // The line ending before the last line stays: without it both would be the torn end.
        let end = ends[line - 1] - if line == entries().len() { 3 } else { 1 };
        for at in [start, start + 9, start + 30, ends[line - 1] - 2, end] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            let Err(StoreError::Damaged(text)) = read(&path) else {
                panic!("line {line}, byte {at}")
            };
            assert!(text.contains(&format!("in line {line};")), "{text}");
            assert!(text.contains("journal.jsonl") && text.contains("backup"), "{text}");
            assert_eq!(std::fs::read(&path).unwrap(), damaged);
        }
    }
}

#[test]
fn lines_lost_doubled_or_moved_are_found() {
    let (_directory, path, bytes) = written(&entries());
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let mut lost = lines.clone();
    lost.remove(3);
    let mut doubled = lines.clone();
    doubled.insert(3, lines[3]);
    let mut moved = lines.clone();
    moved.swap(2, 3);
    let mut headless = lines.clone();
    headless.remove(0);
    for (lines, line) in [(lost, 4), (doubled, 5), (moved, 3), (headless, 1)] {
        std::fs::write(&path, lines.concat()).unwrap();
        let Err(StoreError::Damaged(text)) = read(&path) else { panic!("line {line}") };
        assert!(text.contains(&format!("in line {line};")), "{text}");
    }
}

/// Entries of one batch stand or fall together, wherever the file is cut.
#[test]
fn a_batch_is_whole_or_not_there() {
    let (_directory, path, before) = written(&entries()[..2]);
    let mut writer = Writer::open(&path, read(&path).unwrap().unwrap()).unwrap();
    let batches: Vec<Batch> = entries()[2..].iter().map(|it| writer.push(it).unwrap()).collect();
    assert!(batches.iter().all(|batch| batch.get().is_none()));
    assert_eq!(std::fs::read(&path).unwrap(), before, "nothing is written yet");
    writer.flush().unwrap();
    assert!(batches.iter().all(|batch| matches!(batch.get(), Some(Ok(())))));
    append(&mut writer, &begin(9, "line", 7)).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let all = [entries(), vec![begin(9, "line", 7)]].concat();
    for length in before.len()..=bytes.len() {
        let found = parse(&bytes[..length]).unwrap().unwrap().entries;
        assert!([2, 6, 7].contains(&found.len()), "cut at {length}");
        assert_eq!(found, all[..found.len()]);
    }
}

#[test]
fn a_journal_of_the_first_version_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.jsonl");
    let first = Origin { version: 1, ..Origin::new("line", 7) };
    super::begin(&path, first.clone()).unwrap();
    assert!(read(&path).unwrap().unwrap().origin.is_same_state(&Origin::new("line", 7)));
    assert!(!first.is_same_state(&Origin::new("line", 8)));
}

#[test]
fn a_newer_journal_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.jsonl");
    let origin = Origin { version: 3, ..Origin::new("line", 7) };
    super::begin(&path, origin).unwrap();
    let refused = read(&path).unwrap_err();
    assert!(refused.to_string().contains("version 3"), "{refused}");
}

#[test]
fn an_absent_or_empty_file_is_no_journal() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.jsonl");
    assert_eq!(read(&path).unwrap(), None);
    std::fs::write(&path, "").unwrap();
    assert_eq!(read(&path).unwrap(), None);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_said_in_words() {
    let (_directory, path, _) = written(&[]);
    let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut writer = Writer { file, ..Writer::open(&path, read(&path).unwrap().unwrap()).unwrap() };
    let StoreError::Io(text) = append(&mut writer, &begin(1, "line", 7)).unwrap_err() else {
        panic!()
    };
    assert_eq!(text, format!("cannot append to {}: the disk is full", path.display()));
}

proptest! {
    /// Whatever one change does to the file, the entries that are read are those from its start, or none are.
    #[test]
    fn never_reads_what_was_not_written(
        picks in prop::collection::vec(0..6_usize, 0..12),
        at in any::<prop::sample::Index>(),
        change in prop_oneof![
            any::<u8>().prop_map(|byte| (1, vec![byte])),
            Just((1, Vec::new())),
            (0..300_usize, prop::collection::vec(any::<u8>(), 0..40)),
        ],
    ) {
        let all: Vec<Entry> = picks.iter().map(|pick| entries()[*pick].clone()).collect();
        let mut bytes = lines(&all);
        let at = at.index(bytes.len());
        let end = bytes.len().min(at + change.0);
        bytes.splice(at..end, change.1);
        if let Ok(Some(journal)) = parse(&bytes) {
            prop_assert_eq!(&journal.entries[..], &all[..journal.entries.len()]);
        }
    }
}
