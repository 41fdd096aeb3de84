//! The changes that are interrupted.

use std::fs;

use serde_json::Value;

use crate::world::World;

/// A change of the walkthrough's system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// From nothing.
    Create,
    /// From nothing, and when that is interrupted, rather not.
    Abandon,
    /// Another image.
    Update,
    /// Another password at Neon, which reaches the vault and the API.
    Credential,
    /// Another region for the database, another name for the app: neither can be changed in place.
    Replace,
    /// Back to an earlier deploy, its configuration and its credentials included, and deployed.
    RollBack,
    /// Everything goes.
    Destroy,
}

pub const ALL: [Scenario; 7] = [
    Scenario::Create,
    Scenario::Abandon,
    Scenario::Update,
    Scenario::Credential,
    Scenario::Replace,
    Scenario::RollBack,
    Scenario::Destroy,
];

/// In the cloud's folder: the deploy that a rollback goes back to.
const BACK_TO: &str = "sandbox/back-to";

const IMAGES: [&str; 2] = ["my-app-api:latest", "my-app-api:v2"];
const REGIONS: [&str; 2] = ["region: us-east-2\n", "region: eu-central-1\n"];
const APPS: [&str; 2] = ["app: my-app-api\n", "app: my-app-web\n"];
const TIMEOUTS: [&str; 2] =
    ["project_name: my-app\n", "project_name: my-app\n      suspend_timeout_seconds: 600\n"];

impl Scenario {
    /// Brings the world to where the change begins, and the files to where it ends.
    pub fn arrange(self, world: &World<'_>) {
        let is_there = world.sandbox.holds().0 > 0;
        let from_nothing = matches!(self, Self::Create | Self::Abandon);
        if from_nothing && is_there {
            world.run(&Self::Destroy.command(world)).exits(0);
        } else if !from_nothing && !is_there {
            world.run(&Self::Create.command(world)).exits(0);
        }
        match self {
            Self::Create | Self::Abandon | Self::Destroy => {}
            Self::Update => swap(world, IMAGES),
            Self::Credential => {
                reset_password(world);
                swap(world, TIMEOUTS);
            }
            Self::Replace => {
                swap(world, REGIONS);
                swap(world, APPS);
            }
            Self::RollBack => {
                swap(world, IMAGES);
                world.run(&["deploy", "--env=sandbox"]).exits(0);
                let latest = world.run(&["inspect", "--env=sandbox", "--json"]).exits(0);
                let latest: Value = serde_json::from_str(&latest.stdout).expect("JSON");
                let id = latest["id"].as_str().expect("an id");
                fs::write(world.place.home().join(BACK_TO), id).expect("it can be written");
                reset_password(world);
                swap(world, TIMEOUTS);
                swap(world, IMAGES);
                world.run(&["deploy", "--env=sandbox"]).exits(0);
            }
        }
    }

    /// What the user types after it was interrupted: mostly the same again.
    pub fn next_command(self, world: &World<'_>) -> Vec<String> {
        if self == Self::Abandon { Self::Destroy.command(world) } else { self.command(world) }
    }

    /// What the user types.
    pub fn command(self, world: &World<'_>) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self {
            Self::Replace => words(&["deploy", "--env=sandbox", "--yes", "--allow-replace=app-db"]),
            Self::RollBack => {
                let id = fs::read_to_string(world.place.home().join(BACK_TO)).expect("an id");
                let to = format!("--to={id}");
                words(&["rollback", "--env=sandbox", &to, "--restore-config", "--deploy"])
            }
            Self::Destroy => words(&["destroy", "--env=sandbox", "--yes=sandbox"]),
            _ => words(&["deploy", "--env=sandbox"]),
        }
    }

    /// Insists on what the change was to bring about.
    pub fn is_done(self, world: &World<'_>) {
        if matches!(self, Self::Abandon | Self::Destroy) {
            return world.is_empty();
        }
        let overlay = world.place.read("starsystem.sandbox.yaml");
        world.is_whole(if overlay.contains(APPS[0]) { "my-app-api" } else { "my-app-web" });
    }
}

/// Another password at Neon, of which nobody here knows.
fn reset_password(world: &World<'_>) {
    let branches = format!("/neon/api/v2/projects/{}/branches", world.project());
    let branch = world.ask("GET", &branches)["branches"][0]["id"].clone();
    let branch = branch.as_str().expect("a branch").to_owned();
    let reset = format!("{branches}/{branch}/roles/neondb_owner/reset_password");
    world.ask("POST", &reset);
}

/// Puts the one in the place of the other, whichever is there.
fn swap(world: &World<'_>, [one, other]: [&str; 2]) {
    let overlay = world.place.read("starsystem.sandbox.yaml");
    let own = overlay.split("\n_state:").next().unwrap_or_default();
    // The longer may begin with the shorter.
    let has_other = own.contains(other);
    if has_other { world.edit(other, one) } else { world.edit(one, other) }
}
