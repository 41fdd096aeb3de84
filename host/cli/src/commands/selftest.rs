//! `ss sandbox selftest`: hostile provisioners, let loose on this very binary.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::json;
use ss_core::text::printable;
use ss_engine::Failure;
use ss_selftest::{Arena, Canary, Group, Trial, behaviours, try_all};
use ss_wasm::{Attempt, Walls};

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::plugins;

/// What was tried and what became of it.
#[derive(Debug, Serialize)]
struct Answer {
    version: u32,
    kind: &'static str,
    wall: Option<Walls>,
    attempts: Vec<Attempt>,
    components: Vec<Component>,
    search: Search,
    through: usize,
}

/// One hostile component.
#[derive(Debug, Serialize)]
struct Component {
    behaviour: &'static str,
    group: Group,
    stopped: &'static str,
    through: Option<String>,
}

/// The search for secrets in everything that was written.
#[derive(Debug, Serialize)]
struct Search {
    files: usize,
    secrets: usize,
    spellings: usize,
    found: Vec<String>,
}

/// Tries everything, in a directory of its own that is removed afterwards.
pub fn run(context: &Context) -> Result<Exit, CommandError> {
    let (wall, attempts) = wall()?;
    let directory = Scratch::new(context)?;
    let program = plugins::this_program()
        .ok_or_else(|| Failure::new("SS0612", "`ss` does not find itself, to run itself"))?;
    let failed = |error: std::io::Error| {
        Failure::new("SS0702", format!("the trials cannot be held: {error}"))
    };
    let arena = Arena::new(&program, &directory.0).map_err(failed)?;
    let behaviours = behaviours();
    if !context.quiet {
        eprintln!("{} hostile components, each in a deploy of its own …", behaviours.len());
    }
    let trials = try_all(&arena, &behaviours, |trial| tell(context, trial));
    let (files, found) = arena.search().map_err(failed)?;
    let search = Search { files, secrets: arena.secrets(), spellings: Canary::SPELLINGS, found };
    let stands = wall.is_some_and(|walls| walls.are_whole());
    let out = attempts.iter().filter(|attempt| stands && attempt.refused.is_none()).count();
    let components: Vec<Component> = trials.iter().map(component).collect();
    let through = out + trials.iter().filter(|trial| trial.through.is_some()).count();
    let through = through + search.found.len();
    let answer =
        Answer { version: 1, kind: "selftest", wall, attempts, components, search, through };
    if context.json {
        crate::render::answer(&json!(answer));
    } else {
        print(context, &answer);
    }
    Ok(if through == 0 { Exit::Ok } else { Exit::Failed })
}

/// The second wall as it stands, and what was tried behind it; nothing where the user wants none.
fn wall() -> Result<(Option<Walls>, Vec<Attempt>), CommandError> {
    let Some(wall) = plugins::wall()? else { return Ok((None, Vec::new())) };
    let (walls, attempts) = wall.attempt().map_err(|why| Failure::new("SS0612", why))?;
    Ok((Some(walls), attempts))
}

fn component(trial: &Trial) -> Component {
    Component {
        behaviour: trial.behaviour.name,
        group: trial.behaviour.group,
        stopped: trial.behaviour.stopped.as_str(),
        through: trial.through.as_ref().map(|why| printable(why, 2_000)),
    }
}

fn tell(context: &Context, trial: &Trial) {
    if let (Some(why), false) = (&trial.through, context.quiet) {
        let name = trial.behaviour.name;
        eprintln!("{} {name}: {}", context.style.red("✗"), printable(why, 2_000));
    }
}

fn print(context: &Context, answer: &Answer) {
    let mark =
        |is_good| if is_good { context.style.green("✓") } else { context.style.red("✗") };
    for group in Group::ALL {
        let tried: Vec<_> = answer.components.iter().filter(|one| one.group == group).collect();
        let stopped = tried.iter().filter(|one| one.through.is_none()).count();
        let is_good = stopped == tried.len();
        println!("{} {}: {stopped} of {} stopped", mark(is_good), group.title(), tried.len());
    }
    match answer.wall {
        None => println!("! the second wall is turned off (STARSYSTEM_WALL=off)"),
        Some(walls) if !walls.are_whole() => {
            println!("! this kernel lacks a part of the second wall; `ss doctor` says which");
        }
        Some(_) => {
            let refused = answer.attempts.iter().filter(|attempt| attempt.refused.is_some());
            let (refused, tried) = (refused.count(), answer.attempts.len());
            let is_good = refused == tried;
            println!("{} ways out of the second wall: {refused} of {tried} shut", mark(is_good));
        }
    }
    let Search { files, secrets, spellings, found } = &answer.search;
    let searched = format!("{secrets} secrets in {spellings} spellings, in {files} files");
    println!("{} {searched}: {} found", mark(found.is_empty()), found.len());
    found.iter().for_each(|found| println!("    {}", printable(found, 400)));
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    for component in &answer.components {
        *ends.entry(component.stopped).or_default() += 1;
    }
    let ends: Vec<String> = ends.iter().map(|(end, count)| format!("{count} {end}")).collect();
    let tried = answer.components.len();
    println!("\n{tried} components tried ({}), {} through", ends.join(", "), answer.through);
}

/// A directory that goes with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(context: &Context) -> Result<Self, CommandError> {
        let path = context.home()?.join(format!("selftest-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| {
            Failure::new("SS0702", format!("`{}` cannot be made: {error}", path.display()))
        })?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left of it is in the way of nothing.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
