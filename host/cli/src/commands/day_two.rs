//! `ss logs`, `ss exec`, `ss ssh`: what a service is asked after its deploy.
//!
//! Through the vendor's API where the provisioner's manifest says how; over the system's `ssh` where the record says where.

use std::io::{IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use ss_core::diag::did_you_mean;
use ss_core::ident::ServiceId;
use ss_core::record::RunKind;
use ss_core::state::Recorded;
use ss_engine::{Failure, LogLine, LogPage, Offers, Run, Stop};

use crate::args;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::progress::{Output, Progress};
use crate::ssh::{Address, Terminal};
use crate::{local_cloud, wire};

/// The first wait between two looks for new lines; each look in vain doubles it.
const POLL_MIN: Duration = Duration::from_millis(250);
const POLL_MAX: Duration = Duration::from_secs(4);

/// A service, what is recorded of it, and a run to ask with.
struct Subject {
    run: Arc<Run>,
    id: ServiceId,
    record: Recorded,
}

impl Subject {
    async fn open(
        context: &Context,
        environment: &args::Environment,
        service: &str,
    ) -> Result<Self, CommandError> {
        let id = ServiceId::new(service).map_err(|error| CommandError::usage(error.to_string()))?;
        let project = Project::open(context, environment.env.as_deref())?;
        let catalog = project.catalog(context, &[])?;
        let config = project.config()?;
        let events = Arc::new(Progress::new(Output::Quiet, context.style));
        let wired = wire::wire(context, &project, &config, catalog, events, 1)?;
        let stored = wired.ports.store.load().await?;
        let Some(state) = stored.map(|stored| stored.state) else {
            return Err(nothing_recorded(&project, service).into());
        };
        let Some(record) = state.services.get(&id).cloned() else {
            let failure = nothing_recorded(&project, service);
            let names = state.services.keys().map(ServiceId::as_str);
            let hint = did_you_mean(service, names);
            return Err(hint.into_iter().fold(failure, Failure::hint).into());
        };
        local_cloud::ensure(context, &project, &wired.settings.connections)?;
        let run = wired.run(RunKind::Deploy, state.lineage, Stop::default(), None);
        Ok(Self { run, id, record })
    }

    fn address(&self) -> Result<Option<Address>, CommandError> {
        Address::of(&self.record.attributes).map_err(|why| {
            Failure::new("SS0804", format!("`{}`: {why}", self.id))
                .hint("nothing was started; `ss inspect --state` shows the record")
                .into()
        })
    }

    fn not_offered(&self, what: &str) -> CommandError {
        let message =
            format!("`{}` is a `{}`, which offers no {what}", self.id, self.record.provider);
        Failure::new("SS0801", message).into()
    }
}

fn nothing_recorded(project: &Project, service: &str) -> Failure {
    let env = project.env();
    Failure::new("SS0803", format!("nothing is recorded of `{service}` in `{env}`"))
        .hint(format!("`ss deploy --env={env}` first"))
}

/// Shows log lines.
pub async fn logs(context: &Context, args: &args::Logs) -> Result<Exit, CommandError> {
    let subject = Subject::open(context, &args.environment, &args.service).await?;
    let Subject { run, id, record } = &subject;
    if !Offers::of(run, &record.provider).logs {
        let words = subject.address()?.and_then(|address| {
            let words = address.journal(args.lines, args.follow)?;
            Some(address.command(Terminal::No, &words))
        });
        return Err(become_command(words.ok_or_else(|| subject.not_offered("log lines"))?));
    }
    let LogPage { mut lines, mut next } = ss_engine::logs(run, id, record, None).await?;
    lines.drain(..lines.len().saturating_sub(args.lines));
    if !args.follow {
        if context.json {
            let lines: Vec<Value> = lines.iter().map(line_json).collect();
            crate::render::answer(
                &json!({"version": 1, "kind": "logs", "service": id, "lines": lines}),
            );
        } else {
            print(context, &lines)?;
        }
        return Ok(Exit::Ok);
    }
    let mut wait = POLL_MIN;
    loop {
        wait = if lines.is_empty() { (wait * 2).min(POLL_MAX) } else { POLL_MIN };
        print(context, &lines)?;
        let Some(after) = next else { return Ok(Exit::Ok) };
        run.ports.clock.sleep(wait).await;
        LogPage { lines, next } = ss_engine::logs(run, id, record, Some(&after)).await?;
        next = next.or(Some(after));
    }
}

fn line_json(line: &LogLine) -> Value {
    json!({"time": line.time, "source": line.source, "message": line.message})
}

/// A closed pipe ends the command.
fn print(context: &Context, lines: &[LogLine]) -> Result<(), CommandError> {
    let mut text = String::new();
    for line in lines {
        if context.json {
            let mut value = line_json(line);
            value["version"] = json!(1);
            value["kind"] = json!("log");
            text.push_str(&format!("{}\n", ss_core::text::json(&value)));
        } else {
            let about = format!("{} {}", line.time, line.source);
            text.push_str(&format!("{} {}\n", context.style.dim(about.trim()), line.message));
        }
    }
    let mut out = std::io::stdout();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| {
        Failure::new("SS0002", format!("the lines cannot be written: {error}")).into()
    })
}

/// Runs a command; its exit code is ours.
pub async fn exec(context: &Context, args: &args::Exec) -> Result<Exit, CommandError> {
    if args.command.is_empty() {
        return Err(CommandError::usage("say what to run: `ss exec SERVICE -- COMMAND`"));
    }
    let subject = Subject::open(context, &args.environment, &args.service).await?;
    let Subject { run, id, record } = &subject;
    if !Offers::of(run, &record.provider).exec {
        let Some(address) = subject.address()? else { return Err(subject.not_offered("commands")) };
        return Err(become_command(address.command(terminal(), &args.command)));
    }
    let ended = ss_engine::exec(run, id, record, &args.command).await?;
    if context.json {
        crate::render::answer(
            &json!({"version": 1, "kind": "exec", "service": id, "exit_code": ended.code, "stdout": ended.stdout, "stderr": ended.stderr}),
        );
    } else {
        print!("{}", ended.stdout);
        eprint!("{}", ended.stderr);
    }
    // Whoever reads may have gone; the exit code stands all the same.
    let _ = std::io::stdout().flush();
    // A process that ended by a signal has no code of its own.
    std::process::exit(if (0..=255).contains(&ended.code) { ended.code } else { 255 });
}

/// Opens a shell, or runs a command, over ssh.
pub async fn ssh(context: &Context, args: &args::Exec) -> Result<Exit, CommandError> {
    let subject = Subject::open(context, &args.environment, &args.service).await?;
    let Some(address) = subject.address()? else {
        let Subject { run, id, record } = &subject;
        let mut failure = Failure::new(
            "SS0801",
            format!("`{id}` is a `{}`, which no ssh leads to", record.provider),
        );
        if Offers::of(run, &record.provider).exec {
            failure = failure.hint(format!("`ss exec {id} -- COMMAND` runs a command in it"));
        }
        return Err(failure.into());
    };
    // Without a command, ssh itself asks for a terminal when there is one.
    let terminal = if args.command.is_empty() { Terminal::No } else { terminal() };
    Err(become_command(address.command(terminal, &args.command)))
}

fn terminal() -> Terminal {
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        Terminal::Yes
    } else {
        Terminal::No
    }
}

/// Becomes the command, so that it gets the terminal, the signals and the exit code. Comes back only with the reason why
/// it could not.
fn become_command(mut command: std::process::Command) -> CommandError {
    let error = command.exec();
    Failure::new("SS0002", format!("`ssh` cannot be started: {error}"))
        .hint("install OpenSSH's client")
        .into()
}
