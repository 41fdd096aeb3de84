//! `ss state`: where the state is, out of it, back into it, and to another place.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use ss_core::config::Config;
use ss_core::state::{STATE_VERSION, State};
use ss_core::text::printable;
use ss_engine::Failure;
use ss_ports::{StateStore, Stored, Vault};

use crate::args;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::project::Project;
use crate::shared_state::{self, Shared, Whom};
use crate::wire;

/// Longest file that `push` reads.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Does what is asked of the state.
pub async fn run(context: &Context, command: &args::State) -> Result<Exit, CommandError> {
    let env = match command {
        args::State::Push(args) => &args.environment,
        args::State::Show(env)
        | args::State::Pull(env)
        | args::State::Migrate(env)
        | args::State::Reseal(env) => env,
    };
    let project = Project::open(context, env.env.as_deref())?;
    let place = Place { context, config: project.config()?, project };
    match command {
        args::State::Show(_) => place.show().await,
        args::State::Pull(_) => place.pull().await,
        args::State::Push(args) => place.push(&args.file, args.force).await,
        args::State::Migrate(_) => place.migrate().await,
        args::State::Reseal(_) => place.reseal().await,
    }
}

struct Place<'c> {
    context: &'c Context,
    config: Config,
    project: Project,
}

impl Place<'_> {
    fn store(&self) -> Result<Arc<dyn StateStore>, CommandError> {
        let overlay = Some(self.project.overlay_path());
        Ok(wire::store_and_vault(self.context, &self.config, self.project.env(), overlay)?.0)
    }

    fn own_vault(&self) -> Result<Arc<dyn Vault>, CommandError> {
        Ok(Arc::new(self.context.vault()?.system(&self.config.system, self.project.env())))
    }

    fn backend(&self) -> &'static str {
        self.config.state_backend.as_ref().map_or("local", |backend| backend.value.name())
    }

    fn name(&self) -> Result<String, CommandError> {
        let env = self.project.env();
        if let Some(backend) = &self.config.state_backend {
            return Ok(shared_state::place(&self.config, &backend.value, env));
        }
        let systems = self.context.home()?.join("systems");
        Ok(systems.join(self.config.system.as_str()).join(env.as_str()).display().to_string())
    }

    fn nothing(&self) -> CommandError {
        let env = self.project.env();
        Failure::new("SS0407", format!("nothing is recorded for `{env}`"))
            .hint(format!("`ss deploy --env={env}` begins a state"))
            .into()
    }

    /// Opens the shared place, which must be configured.
    fn shared(&self, vault: Arc<dyn Vault>, whom: Whom) -> Result<Shared, CommandError> {
        let Some(backend) = &self.config.state_backend else {
            let failure = Failure::new(
                "SS0212",
                format!("{} names no place for the state", self.project.overlay_path().display()),
            );
            let failure = failure
                .hint("`state: { backend: s3, bucket: NAME, region: REGION }` at its top level names a bucket");
            return Err(CommandError::new(Exit::Invalid, failure));
        };
        // Noted when something is there.
        Shared::open(
            self.context,
            &self.config,
            &backend.value,
            self.project.env(),
            None,
            vault,
            whom,
        )
    }

    async fn show(&self) -> Result<Exit, CommandError> {
        let place = self.name()?;
        let stored = self.store()?.load().await?;
        if self.context.json {
            crate::render::answer(&self.shown(&place, stored.as_ref()));
            return Ok(Exit::Ok);
        }
        println!("  place:    {}", printable(&place, 400));
        let Some(Stored { state, unfinished, .. }) = stored else {
            println!("  nothing is recorded yet");
            return Ok(Exit::Ok);
        };
        println!("  lineage:  {}", printable(&state.lineage, 64));
        println!("  serial:   {}", state.serial);
        if let Some(deploy) = &state.deploy {
            println!("  deploy:   {deploy}");
        }
        if let Some(run) = unfinished {
            println!("  {} run {} did not end", self.context.style.yellow("!"), run.id);
        }
        for (id, record) in &state.services {
            let resource = record.resource_id.as_deref().unwrap_or("-");
            println!("  {id}  {}  {}", printable(&record.provider, 64), printable(resource, 200));
        }
        Ok(Exit::Ok)
    }

    fn shown(&self, place: &str, stored: Option<&Stored>) -> Value {
        let state = stored.map(|stored| &stored.state);
        let services: Vec<Value> = state
            .iter()
            .flat_map(|state| &state.services)
            .map(|(id, record)| json!({"service": id, "provider": record.provider, "resource_id": record.resource_id}))
            .collect();
        json!({
            "version": 1, "kind": "state", "environment": self.project.env(), "backend": self.backend(), "place": place,
            "lineage": state.map(|state| &state.lineage), "serial": state.map(|state| state.serial),
            "deploy": state.and_then(|state| state.deploy.as_ref()), "services": services,
            "unfinished": stored.and_then(|stored| stored.unfinished.as_ref()).map(|run| &run.id),
        })
    }

    async fn pull(&self) -> Result<Exit, CommandError> {
        let Some(stored) = self.store()?.load().await? else { return Err(self.nothing()) };
        if let Some(run) = &stored.unfinished {
            eprintln!("warning: run {} did not end; what it did so far is in this state", run.id);
        }
        let file = File { version: 1, kind: File::KIND.to_owned(), state: stored.state };
        let value = json!({"version": file.version, "kind": file.kind, "environment": self.project.env(), "state": file.state});
        crate::render::answer(&value);
        Ok(Exit::Ok)
    }

    async fn push(&self, path: &Path, force: bool) -> Result<Exit, CommandError> {
        let state = read(path)?;
        let store = self.store()?;
        let lease = store.lock(wire::holder(self.command("push"))).await?;
        let found = match store.load().await {
            Ok(found) => found,
            Err(_) if force => None,
            Err(error) => return Err(error.into()),
        };
        if !force && let Some(found) = &found {
            may_follow(&state, found)?;
        }
        if force && let Some(found) = &found {
            // The last copy of it: whoever forced the wrong one finds it here.
            eprintln!("replaced: {}", serde_json::to_value(&found.state).unwrap_or_default());
        }
        let serial = store.replace(&state).await?;
        drop(lease);
        self.tell("push", &state.lineage, serial, &format!("{} services", state.services.len()));
        Ok(Exit::Ok)
    }

    async fn migrate(&self) -> Result<Exit, CommandError> {
        let (own, env) = (self.own_vault()?, self.project.env());
        let shared = self.shared(own.clone(), Whom::AllReaders)?;
        let overlay = self.project.overlay_path();
        if ss_core::overlay::read(&self.project.overlay.as_ref().expect("there is one").1.text)
            .is_ok_and(|noted| noted.is_some_and(|noted| noted.backend.is_some()))
        {
            let message =
                format!("`_state` in {} says that the state was moved already", overlay.display());
            return Err(Failure::new("SS0403", message).hint("`ss state show` looks there").into());
        }
        let local =
            wire::local_store(self.context, &self.config, env, Some(overlay.clone()), own.clone())?;
        let _local_lease = local.lock(wire::holder(self.command("migrate"))).await?;
        let Some(stored) = local.load().await? else { return Err(self.nothing()) };
        if stored.unfinished.is_some() || !stored.open.is_empty() {
            return Err(Failure::new(
                "SS0403",
                "a run on this machine did not end; nothing was moved",
            )
            .hint(format!(
                "take `state` out of the overlay, let `ss deploy --env={env}` finish it, then move"
            ))
            .into());
        }
        let place = shared.place.clone();
        if let Some(there) = shared.store.load().await? {
            // One that was cut short may be begun again.
            let ours = there.state.lineage == stored.state.lineage
                && there.state.serial <= stored.state.serial + 1;
            if !ours {
                let message = format!("{place} holds a state already; nothing was moved");
                return Err(Failure::new("SS0403", message)
                    .hint("name another `prefix`, or go on with that state: remove `_state` from the overlay")
                    .into());
            }
        }
        let store = shared.store.noted_in(overlay, self.backend(), place);
        let lease = store.lock(wire::holder(self.command("migrate"))).await?;
        let runs = copy_runs(&local, &store).await?;
        shared.vault.take_over(&*own).await?;
        // From here on the place is the truth; before, this machine is.
        let serial = store.replace(&stored.state).await?;
        local.set_aside()?;
        drop(lease);
        let what = format!("{} services, {runs} receipts", stored.state.services.len());
        self.tell("migrate", &stored.state.lineage, serial, &what);
        Ok(Exit::Ok)
    }

    async fn reseal(&self) -> Result<Exit, CommandError> {
        let shared = self.shared(self.own_vault()?, Whom::Anybody)?;
        let lease = shared.store.lock(wire::holder(self.command("reseal"))).await?;
        let Some(stored) = shared.store.load().await? else { return Err(self.nothing()) };
        let count = shared.store.reseal(&shared.readers).await?;
        drop(lease);
        let State { lineage, serial, .. } = &stored.state;
        self.tell("reseal", lineage, *serial, &format!("{count} objects encrypted again"));
        Ok(Exit::Ok)
    }

    fn command(&self, verb: &str) -> String {
        format!("ss state {verb} --env={}", self.project.env())
    }

    fn tell(&self, action: &str, lineage: &str, serial: u64, what: &str) {
        let place = self.name().unwrap_or_default();
        if self.context.json {
            crate::render::answer(&json!({
                "version": 1, "kind": "state-change", "action": action, "environment": self.project.env(),
                "backend": self.backend(), "place": place, "lineage": lineage, "serial": serial, "summary": what,
            }));
        } else {
            let mark = self.context.style.green("✓");
            println!("{mark} {} is at serial {serial}: {what}", printable(&place, 400));
        }
    }
}

/// What `pull` prints and `push` takes.
#[derive(Deserialize)]
struct File {
    version: u32,
    kind: String,
    state: State,
}

impl File {
    const KIND: &'static str = "state-file";
}

fn read(path: &Path) -> Result<State, CommandError> {
    let refused = |why: String| {
        CommandError::from(
            Failure::new("SS0413", format!("`{}` is not a pulled state: {why}", path.display()))
                .hint("`ss state pull > state.json` makes one"),
        )
    };
    let mut text = String::new();
    let mut read =
        |mut from: Box<dyn Read>| from.by_ref().take(FILE_BYTES_MAX).read_to_string(&mut text);
    if path == Path::new("-") {
        read(Box::new(std::io::stdin()))
    } else {
        std::fs::File::open(path).map(|file| Box::new(file) as Box<dyn Read>).and_then(read)
    }
    .map_err(|error| refused(error.to_string()))?;
    let file: File = serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
    let newer = file.version > 1 || file.state.version > STATE_VERSION;
    if file.kind != File::KIND || newer || file.state.backend.is_some() {
        let why = if newer { "it is of a newer `ss`" } else { "it holds something else" };
        return Err(refused(why.to_owned()));
    }
    Ok(file.state)
}

/// Whether a state may take the place of another without a word of force.
fn may_follow(state: &State, found: &Stored) -> Result<(), CommandError> {
    let there = &found.state;
    let why = if state.lineage != there.lineage {
        format!(
            "it is of lineage {}, and what is there of {}: not the same system",
            printable(&state.lineage, 64),
            printable(&there.lineage, 64)
        )
    } else if state.serial < there.serial {
        format!("it is at serial {}, and what is there at {}", state.serial, there.serial)
    } else if found.unfinished.is_some() || !found.open.is_empty() {
        "a run that did not end is recorded there".to_owned()
    } else {
        return Ok(());
    };
    Err(Failure::new("SS0413", format!("the state was not pushed: {why}; nothing was changed"))
        .hint("pull again and make the change there; `--force` forgets what is there now")
        .into())
}

/// Copies what is kept of each run but the tapes, which matter only while a call is open.
async fn copy_runs(from: &dyn StateStore, to: &dyn StateStore) -> Result<usize, CommandError> {
    let receipts = from.receipts().await?.found;
    for receipt in &receipts {
        if let Some(snapshot) = from.snapshot(&receipt.header.id).await? {
            to.put_snapshot(&snapshot).await?;
        }
        to.put_receipt(receipt).await?;
    }
    Ok(receipts.len())
}
