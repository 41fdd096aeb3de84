//! `ss doctor`: whether this machine and this project are ready for a deploy. Reads only.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde::Serialize;
use serde_json::json;
use ss_core::redact::Secret;
use ss_core::text::printable;
use ss_egress::{EgressOptions, HttpEgress};
use ss_engine::{Override, Verdict, try_token};
use ss_gate::manifest::{Credential, Manifest};

use crate::args;
use crate::catalog::Catalog;
use crate::clock::SystemClock;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::plugins;
use crate::project::{Project, environments};
use crate::wire;

/// How one check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    Ok,
    /// Something will not work, and much will.
    Warning,
    /// A deploy would fail.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    name: String,
    health: Health,
    message: String,
    hint: Option<String>,
}

impl Finding {
    fn new(name: impl Into<String>, health: Health, message: impl Into<String>) -> Self {
        let message = printable(&message.into(), 1_000);
        Self { name: name.into(), health, message, hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(printable(&hint.into(), 1_000));
        self
    }
}

/// Looks at everything and prints what it finds.
pub async fn run(context: &Context, args: &args::Doctor) -> Result<Exit, CommandError> {
    let mut findings = vec![Finding::new("ss", Health::Ok, env!("CARGO_PKG_VERSION"))];
    findings.push(home(context));
    findings.push(vault(context));
    findings.push(wall());
    let surroundings = project(context, args, &mut findings);
    if args.offline {
        let skipped = "not tried: --offline";
        findings.push(Finding::new("provider tokens", Health::Warning, skipped));
    } else {
        credentials(context, &surroundings, &mut findings).await;
    }
    findings.push(postgres());
    findings.push(ssh());
    print(context, &findings);
    let broken = findings.iter().any(|finding| finding.health == Health::Problem);
    Ok(if broken { Exit::Failed } else { Exit::Ok })
}

fn print(context: &Context, findings: &[Finding]) {
    if context.json {
        crate::render::answer(&json!({"version": 1, "kind": "doctor", "checks": findings}));
        return;
    }
    let style = context.style;
    for finding in findings {
        let mark = match finding.health {
            Health::Ok => style.green("✓"),
            Health::Warning => style.yellow("!"),
            Health::Problem => style.red("✗"),
        };
        println!("{mark} {}: {}", finding.name, finding.message);
        if let Some(hint) = &finding.hint {
            println!("    {hint}");
        }
    }
}

fn home(context: &Context) -> Finding {
    let home = match context.home() {
        Ok(home) => home,
        Err(error) => return failing("home", &error),
    };
    let shown = home.display().to_string();
    let Ok(metadata) = std::fs::metadata(home) else {
        return match nearest_is_writable(home) {
            true => {
                Finding::new("home", Health::Ok, format!("{shown} (made with the first write)"))
            }
            false => Finding::new("home", Health::Problem, format!("{shown} cannot be made"))
                .hint("set STARSYSTEM_HOME to a directory that only you can read"),
        };
    };
    if !metadata.is_dir() {
        return Finding::new("home", Health::Problem, format!("{shown} is not a directory"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return Finding::new("home", Health::Warning, format!("others can look into {shown}"))
            .hint(format!("chmod 700 '{shown}'"));
    }
    if metadata.permissions().readonly() {
        return Finding::new("home", Health::Problem, format!("{shown} cannot be written"));
    }
    Finding::new("home", Health::Ok, shown)
}

fn nearest_is_writable(path: &Path) -> bool {
    let metadata = path.ancestors().find_map(|above| std::fs::metadata(above).ok());
    metadata.is_some_and(|metadata| metadata.is_dir() && !metadata.permissions().readonly())
}

fn vault(context: &Context) -> Finding {
    let opened = context.vault().and_then(|vault| Ok((vault.public_key()?, vault.token_names()?)));
    match opened {
        Ok((Some(key), names)) => {
            Finding::new("vault", Health::Ok, format!("{} provider tokens, key {key}", names.len()))
        }
        Ok((None, _)) => Finding::new("vault", Health::Ok, "empty so far"),
        Err(error) => failing("vault", &error),
    }
}

/// What stands between this machine and a plugin that somebody else wrote. The wall is built and tried.
fn wall() -> Finding {
    let name = "wall around plugins";
    let wall = match plugins::wall() {
        Ok(Some(wall)) => wall,
        Ok(None) => {
            return Finding::new(name, Health::Warning, "turned off (STARSYSTEM_WALL=off)")
                .hint("plugins that are not part of `ss` run in its own process, behind WebAssembly alone");
        }
        Err(error) => return failing(name, &error),
    };
    let (walls, attempts) = match wall.attempt() {
        Ok(tried) => tried,
        Err(why) => return Finding::new(name, Health::Problem, why),
    };
    let open = attempts.iter().find(|attempt| attempt.refused.is_none());
    if let (true, Some(open)) = (walls.are_whole(), open) {
        let what = &open.what;
        return Finding::new(name, Health::Problem, format!("it stands, and yet it could {what}"));
    }
    if walls.are_whole() {
        let tried = attempts.len();
        let message = format!("Landlock and seccomp; {tried} ways out were tried and are shut");
        return Finding::new(name, Health::Ok, message);
    }
    let lacks = match (walls.landlock, walls.seccomp) {
        (false, false) => "neither Landlock nor seccomp",
        (false, true) => "no Landlock",
        _ => "no seccomp",
    };
    let (health, then) = if wall.required {
        (Health::Problem, "plugins that are not part of `ss` do not run (STARSYSTEM_WALL=required)")
    } else {
        (Health::Warning, "plugins run behind what there is; STARSYSTEM_WALL=required refuses them")
    };
    Finding::new(name, health, format!("this kernel has {lacks}")).hint(then)
}

fn failing(name: &str, error: &CommandError) -> Finding {
    let mut text = error.text();
    let hint = text.split_off(text.find('\n').unwrap_or(text.len()));
    let finding = Finding::new(name, Health::Problem, text);
    let hint = hint.trim();
    if hint.is_empty() { finding } else { finding.hint(hint) }
}

/// Whose tokens are tried, and where.
struct Surroundings {
    catalog: Catalog,
    overrides: BTreeMap<String, Override>,
    /// Tokens in variables that the overlay names, by their provisioner.
    variables: BTreeMap<String, (String, Option<Secret>)>,
}

impl Surroundings {
    fn none() -> Self {
        let (overrides, variables) = (BTreeMap::new(), BTreeMap::new());
        Self { catalog: Catalog::first_party(), overrides, variables }
    }
}

fn project(context: &Context, args: &args::Doctor, findings: &mut Vec<Finding>) -> Surroundings {
    let env = args.environment.env.as_deref();
    if env.is_none() && !context.directory.join("starsystem.yaml").is_file() {
        let text = "no starsystem.yaml here";
        findings.push(Finding::new("project", Health::Warning, text).hint("`ss init` writes one"));
        return Surroundings::none();
    }
    let several = environments(&context.directory);
    if env.is_none() && several.len() > 1 {
        let names: Vec<String> = several.iter().map(ToString::to_string).collect();
        let text = format!("environments: {}", names.join(", "));
        findings.push(Finding::new("project", Health::Ok, text).hint("`--env=ENV` looks into one"));
        return Surroundings::none();
    }
    match read(context, env) {
        Ok((surroundings, text)) => {
            findings.push(Finding::new("project", Health::Ok, text));
            surroundings
        }
        Err(error) => {
            findings.push(failing("project", &error));
            Surroundings::none()
        }
    }
}

fn read(context: &Context, env: Option<&str>) -> Result<(Surroundings, String), CommandError> {
    let project = Project::open(context, env)?;
    let catalog = project.catalog(context, &[])?;
    let checked = project.checked(context, &catalog)?;
    let config = checked.config.as_ref().expect("a usable configuration is there");
    let overrides = wire::overrides(context, config, &catalog)?;
    let types = catalog.types();
    let variables = wire::credentials(config)
        .into_iter()
        .filter_map(|(service, credential)| {
            let kind = &config.services.get(&service)?.target.as_ref()?.kind;
            let plugin = types.get(kind.value.as_str())?.facts.plugin.name.to_string();
            Some((plugin, (credential.variable, credential.value)))
        })
        .collect();
    let text =
        format!("{} in {}, {} services", config.system, project.env(), config.services.len());
    Ok((Surroundings { catalog, overrides, variables }, text))
}

async fn credentials(context: &Context, found: &Surroundings, findings: &mut Vec<Finding>) {
    let egress = HttpEgress::new(EgressOptions::default(), Arc::new(SystemClock));
    for manifest in found.catalog.manifests() {
        for (index, credential) in manifest.credentials.iter().enumerate() {
            let variable = found.variables.get(manifest.name.as_str()).filter(|_| index == 0);
            let finding = match token(context, found, variable, credential) {
                Ok(Some(token)) => tried(&egress, found, manifest, credential, &token).await,
                Ok(None) => missing(variable, credential),
                Err(error) => failing(&credential.name, &error),
            };
            findings.push(finding);
        }
    }
}

fn token(
    context: &Context,
    found: &Surroundings,
    variable: Option<&(String, Option<Secret>)>,
    credential: &Credential,
) -> Result<Option<Secret>, CommandError> {
    if let Some((_, Some(value))) = variable {
        return Ok(Some(value.clone()));
    }
    if let Some(token) = crate::local_cloud::token(&credential.name, &found.overrides) {
        return Ok(Some(token));
    }
    Ok(context.vault()?.token(&credential.name)?)
}

async fn tried(
    egress: &HttpEgress,
    found: &Surroundings,
    manifest: &Manifest,
    credential: &Credential,
    token: &Secret,
) -> Finding {
    let name = &credential.name;
    let tried = try_token(egress, manifest, &found.overrides, credential, token, None).await;
    match tried.map(|tried| tried.verdict()) {
        None => Finding::new(name, Health::Ok, "there; its provisioner names no way to try it"),
        Some(Verdict::Good) => Finding::new(name, Health::Ok, "accepted"),
        Some(Verdict::Refused(answered)) => {
            Finding::new(name, Health::Problem, format!("refused: {answered}"))
                .hint(format!("`ss auth {}` takes a new one", manifest.name))
        }
        Some(Verdict::Unreachable(message)) => Finding::new(name, Health::Problem, message),
    }
}

fn missing(variable: Option<&(String, Option<Secret>)>, credential: &Credential) -> Finding {
    let name = &credential.name;
    let place = variable.map(|(variable, _)| format!("{variable} is not set, and "));
    let message = format!("{}the vault has none", place.unwrap_or_default());
    Finding::new(name, Health::Warning, message).hint(credential.description.clone())
}

fn postgres() -> Finding {
    let name = "Postgres for the sandbox";
    match ss_sandbox::postgres::on_this_machine() {
        Some(Ok(text)) => Finding::new(name, Health::Ok, text),
        Some(Err(error)) => Finding::new(name, Health::Warning, error.to_string()),
        None => {
            Finding::new(name, Health::Warning, "not on this machine; the first start fetches it")
        }
    }
}

fn ssh() -> Finding {
    let quiet = || Stdio::null();
    let ran = Command::new("ssh").arg("-V").stdin(quiet()).stdout(quiet()).stderr(quiet()).status();
    match ran {
        Ok(status) if status.success() => Finding::new("ssh", Health::Ok, "there"),
        _ => Finding::new("ssh", Health::Warning, "not found; `ss ssh` needs it"),
    }
}
