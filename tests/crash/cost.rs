//! What it costs that a run can be killed anywhere: how often the walkthrough's deploy waits for the disk, and how much
//! its tapes hold.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::Place;
use crate::strace::{self, Point};
use crate::world::World;

const DEPLOY: [&str; 2] = ["deploy", "--env=sandbox"];
const DESTROY: [&str; 3] = ["destroy", "--env=sandbox", "--yes=sandbox"];
/// Times that the deploy of two services may wait for the disk, in all and for its tapes.
const SYNCS_MAX: usize = 120;
const TAPE_SYNCS_MAX: usize = 40;
const TAPE_BYTES_MAX: u64 = 256 << 10;

#[test]
fn a_deploy_waits_for_the_disk_no_more_often_than_it_must() {
    if !strace::is_there() {
        return;
    }
    let place = Place::new();
    let world = World::new(&place);
    let sandbox = place.home().join("sandbox");
    let log = sandbox.join("calls");
    world.disturbed(&strace::watching(&log), &DEPLOY, None).exits(0);
    let points = strace::points(&log, place.path(), &sandbox);
    let syncs = |of: &str| {
        let is_sync = |point: &&Point| matches!(point.call, "fsync" | "fdatasync");
        points.iter().filter(is_sync).filter(|point| point.what.contains(of)).count()
    };
    let (all, of_tapes) = (syncs(""), syncs("/tapes/"));
    let bytes = size(&place.home().join("systems/my-app/sandbox/tapes"));
    eprintln!("{all} syncs, {of_tapes} of them of tapes, which hold {bytes} bytes");
    assert!((1..=SYNCS_MAX).contains(&all), "{all} syncs");
    assert!((1..=TAPE_SYNCS_MAX).contains(&of_tapes), "{of_tapes} syncs of tapes");
    assert!((1..=TAPE_BYTES_MAX).contains(&bytes), "{bytes} bytes of tapes");
    tell_how_long(&world);
}

/// The same deploy with disks that sync and with one that only says so; a number to look at, not one to fail on.
fn tell_how_long(world: &World<'_>) {
    let time = |below: &[String]| {
        world.run(&DESTROY).exits(0);
        let begun = Instant::now();
        world.disturbed(below, &DEPLOY, None).exits(0);
        begun.elapsed()
    };
    let (mut synced, mut unsynced) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        synced.push(time(&strace::counting_syncs()));
        unsynced.push(time(&strace::skipping_syncs()));
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64()
    };
    let (synced, unsynced) = (median(&mut synced), median(&mut unsynced));
    eprintln!("{synced:.2}s with syncs, {unsynced:.2}s without, ratio {:.3}", synced / unsynced);
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    entries
        .map(|entry| {
            let file = entry.metadata().expect("it is there");
            if file.is_dir() { size(&entry.path()) } else { file.len() }
        })
        .sum()
}
