//! Reading a manifest, and every rule its text must keep before anything stands on it.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use ss_core::ident::PluginName;
use ss_core::plan::{Operations, TargetFacts};
use ss_core::state::PluginPin;
use ss_core::text::{has_unsafe, printable};

use crate::manifest::{
    Auth, ChangePhase, Connection, MANIFEST_VERSION, Manifest, Operation, Target,
};
use crate::pointer::Pattern;
use crate::rights::rights;

/// Why a manifest cannot be used: every problem, one a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the manifest cannot be used:\n{}", .problems.iter().map(|problem| format!("  - {problem}")).collect::<Vec<_>>().join("\n"))]
pub struct ManifestError {
    /// The problems, in reading order.
    pub problems: Vec<String>,
}

/// Longest line of rights that a person is asked to read, in bytes.
const RIGHT_MAX: usize = 2_000;
/// Most problems that are told, and most characters of each.
const PROBLEMS_MAX: usize = 50;
const PROBLEM_MAX: usize = 1_000;

impl ManifestError {
    /// Says as much as a person will read, whatever the manifest holds.
    fn new(problems: Vec<String>) -> Self {
        let more = problems.len().saturating_sub(PROBLEMS_MAX);
        let told =
            problems.iter().take(PROBLEMS_MAX).map(|problem| printable(problem, PROBLEM_MAX));
        let rest = (more > 0).then(|| format!("and {more} more"));
        Self { problems: told.chain(rest).collect() }
    }
}

/// Longest timeout an operation may ask for.
pub const TIMEOUT_MS_MAX: u32 = 120_000;

impl Manifest {
    /// Reads and checks a manifest.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let broken = |error: serde_json::Error| ManifestError {
            problems: vec![printable(&error.to_string(), 400)],
        };
        let document: Value = serde_json::from_str(text).map_err(broken)?;
        if let Some(shown) = unprintable(&document) {
            let problem = format!("`{shown}` holds characters that cannot be printed");
            return Err(ManifestError { problems: vec![problem] });
        }
        // The text is read once; only its own parser can say where a mistake stands.
        let manifest =
            Self::deserialize(&document).or_else(|_| serde_json::from_str(text)).map_err(broken)?;
        let problems = manifest.problems();
        if problems.is_empty() { Ok(manifest) } else { Err(ManifestError::new(problems)) }
    }

    /// The operation of that name and its connection.
    pub fn operation(&self, name: &str) -> Option<(&Connection, &Operation)> {
        self.connections.iter().find_map(|connection| {
            connection
                .operations
                .iter()
                .find(|operation| operation.name == name)
                .map(|operation| (connection, operation))
        })
    }

    /// What deciding needs of a target type. `immutable` are the schema's `x-immutable` paths.
    pub fn facts(
        &self,
        kind: &str,
        pin: &PluginPin,
        immutable: BTreeSet<String>,
    ) -> Option<TargetFacts> {
        let target = self.targets.iter().find(|target| target.kind == kind)?;
        Some(TargetFacts {
            kind: target.kind.clone(),
            plugin: pin.clone(),
            creates: target.creates.clone(),
            data: target.data,
            immutable,
            outputs: target.outputs.iter().map(|output| output.name.clone()).collect(),
            operations: Operations {
                create: self.operations_in(ChangePhase::Create),
                update: self.operations_in(ChangePhase::Update),
                destroy: self.operations_in(ChangePhase::Destroy),
            },
        })
    }

    /// Names of the unsafe operations of a change.
    pub fn operations_in(&self, phase: ChangePhase) -> Vec<String> {
        self.connections
            .iter()
            .flat_map(|connection| &connection.operations)
            .filter(|operation| operation.phases.contains(&phase))
            .map(|operation| operation.name.clone())
            .collect()
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.manifest != MANIFEST_VERSION {
            problems.push(format!(
                "`manifest` is {}, this `ss` reads {MANIFEST_VERSION}",
                self.manifest
            ));
        }
        if let Err(error) = PluginName::new(self.name.clone()) {
            problems.push(error.to_string());
        }
        if self.version.is_empty() || self.version.len() > 64 {
            problems.push("`version` must be 1 to 64 characters".to_owned());
        }
        unique(
            self.targets.iter().map(|target| target.kind.as_str()),
            "target type",
            &mut problems,
        );
        unique(
            self.connections.iter().map(|connection| connection.name.as_str()),
            "connection",
            &mut problems,
        );
        unique(
            self.credentials.iter().map(|credential| credential.name.as_str()),
            "credential",
            &mut problems,
        );
        let operations = self.connections.iter().flat_map(|connection| &connection.operations);
        unique(operations.map(|operation| operation.name.as_str()), "operation", &mut problems);
        for target in &self.targets {
            if PluginName::new(target.kind.clone()).is_err() {
                problems.push(format!("`{}` cannot be a target type", target.kind));
            }
            if !target.schema.is_object() {
                problems.push(format!("target `{}`: `schema` must be an object", target.kind));
            }
            self.day_two_problems(target, &mut problems);
        }
        for credential in &self.credentials {
            let verify = credential.verify.as_deref().map(|name| (name, self.operation(name)));
            if let Some((name, found)) = verify
                && !found.is_some_and(|(_, operation)| {
                    operation.route.is_read() && operation.route.params().next().is_none()
                })
            {
                problems.push(format!(
                    "credential `{}`: `verify` must name a GET without parameters, not `{name}`",
                    credential.name
                ));
            }
        }
        for connection in &self.connections {
            self.connection_problems(connection, &mut problems);
        }
        if rights(self).iter().any(|line| line.len() > RIGHT_MAX) {
            problems.push(format!(
                "what it asks for cannot be read: a line of its rights is longer than {RIGHT_MAX} bytes"
            ));
        }
        problems
    }

    /// `logs` reads and nothing else; `exec` uses an operation that nothing else may use.
    fn day_two_problems(&self, target: &Target, problems: &mut Vec<String>) {
        let mut problem = |text: String| problems.push(format!("target `{}`: {text}", target.kind));
        let known = |name: &str| self.operation(name).map(|(_, operation)| operation);
        if let Some(logs) = &target.logs {
            match known(&logs.operation).filter(|operation| operation.route.is_read()) {
                Some(operation) if !operation.secrets.is_empty() => {
                    problem("`logs` cannot use an operation whose reply holds secrets".to_owned());
                }
                Some(operation) => unbound(operation, logs.params.keys(), &mut problem),
                None => problem(format!("`logs` must name a GET, not `{}`", logs.operation)),
            }
            let optional = [&logs.time, &logs.source].into_iter().flatten();
            let pointers = [&logs.lines, &logs.message].into_iter().chain(optional);
            let token = logs.next.as_ref().map(|next| &next.token);
            not_pointers(pointers.chain(token).chain(logs.params.values()), &mut problem);
        }
        if let Some(exec) = &target.exec {
            match known(&exec.operation).filter(|found| found.phases == [ChangePhase::Exec]) {
                Some(operation) => unbound(operation, exec.params.keys(), &mut problem),
                None => problem(format!(
                    "`exec` must name an operation with `\"in\": [\"exec\"]`, not `{}`",
                    exec.operation
                )),
            }
            let pointers = [&exec.exit_code, &exec.stdout, &exec.stderr];
            not_pointers(pointers.into_iter().chain(exec.params.values()), &mut problem);
        }
    }

    fn connection_problems(&self, connection: &Connection, problems: &mut Vec<String>) {
        let name = &connection.name;
        if !base_url_is_good(connection) {
            problems.push(format!("connection `{name}`: `base_url` must be https://host/path, with at most its first label as {{param}}"));
        }
        if connection.base_param().is_some() && connection.auth.is_some() {
            problems.push(format!(
                "connection `{name}`: a host chosen by a parameter gets no credential"
            ));
        }
        if let Some(Auth { bearer, .. }) = &connection.auth
            && !self.credentials.iter().any(|credential| credential.name == *bearer)
        {
            problems.push(format!("connection `{name}`: no credential `{bearer}` is declared"));
        }
        for operation in &connection.operations {
            operation_problems(operation, problems);
        }
    }
}

impl Connection {
    /// The name of the parameter in the base URL's first host label.
    pub fn base_param(&self) -> Option<&str> {
        self.base_url
            .strip_prefix("https://{")
            .and_then(|rest| rest.split_once('}'))
            .map(|(name, _)| name)
    }

    /// Whether ids of this parameter are owned: some operation makes or adopts them.
    pub fn owns_param(&self, name: &str) -> bool {
        self.operations.iter().any(|operation| {
            operation.owns.contains_key(name)
                || operation.adopts.iter().any(|adoption| adoption.param == name)
        })
    }
}

fn unbound<'a>(
    operation: &Operation,
    bound: impl Iterator<Item = &'a String>,
    problem: &mut impl FnMut(String),
) {
    let bound: BTreeSet<&str> = bound.map(String::as_str).collect();
    for name in operation.route.params().filter(|name| !bound.contains(name)) {
        problem(format!("`{}` needs the parameter `{name}`", operation.name));
    }
}

fn not_pointers<'a>(pointers: impl Iterator<Item = &'a String>, problem: &mut impl FnMut(String)) {
    for error in pointers.filter_map(|pointer| Pattern::parse(pointer).err()) {
        problem(error.to_string());
    }
}

/// The first text, key or value, that a terminal would do something with. A manifest is shown to people who decide by it.
fn unprintable(document: &Value) -> Option<String> {
    let text = |text: &str| has_unsafe(text).then(|| printable(text, 100));
    match document {
        Value::String(value) => text(value),
        Value::Array(list) => list.iter().find_map(unprintable),
        Value::Object(map) => {
            map.iter().find_map(|(key, value)| text(key).or_else(|| unprintable(value)))
        }
        _ => None,
    }
}

fn unique<'a>(names: impl Iterator<Item = &'a str>, what: &str, problems: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for name in names {
        if name.is_empty()
            || name.len() > 100
            || name.chars().any(|c| c.is_control() || c.is_whitespace())
        {
            problems.push(format!("a {what} has a name that cannot be used"));
        } else if !seen.insert(name) {
            problems.push(format!("{what} `{name}` is declared twice"));
        }
    }
}

/// A templated host keeps at least two fixed labels behind the parameter, so `{x}.com` is refused; a public suffix
/// list would be stronger and is the registry's to apply.
fn base_url_is_good(connection: &Connection) -> bool {
    let Some(rest) = connection.base_url.strip_prefix("https://") else { return false };
    let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path));
    let host = match connection.base_param() {
        Some(param) => {
            let Some(fixed) = host.strip_prefix(&format!("{{{param}}}.")) else { return false };
            if fixed.split('.').count() < 2 {
                return false;
            }
            fixed
        }
        None => host,
    };
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    host.contains('.')
        && host.split('.').all(label)
        && host
            .split('.')
            .next_back()
            .is_some_and(|top| top.bytes().any(|byte| byte.is_ascii_lowercase()))
        && !rest.ends_with('/')
        && path
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/'))
        && !path.split('/').any(|segment| segment == "..")
}

fn operation_problems(operation: &Operation, problems: &mut Vec<String>) {
    let mut problem =
        |text: String| problems.push(format!("operation `{}`: {text}", operation.name));
    if operation.route.is_read() {
        if !operation.phases.is_empty()
            || operation.destroys
            || !operation.owns.is_empty()
            || !operation.fills.is_empty()
        {
            problem("a read has no `in`, `destroys`, `owns` or `fills`".to_owned());
        }
    } else if operation.phases.is_empty() {
        problem("say in which changes it may be used: `\"in\": [\"create\"]`".to_owned());
    }
    if operation.phases.contains(&ChangePhase::Create)
        && operation.destroys
        && operation.phases.len() == 1
    {
        problem("an operation that destroys is not part of creating alone".to_owned());
    }
    if operation.phases.contains(&ChangePhase::Exec)
        && (operation.phases.len() > 1
            || operation.destroys
            || !operation.owns.is_empty()
            || !operation.fills.is_empty())
    {
        problem("an operation `in: exec` is for `ss exec` alone".to_owned());
    }
    let pointers = operation
        .secrets
        .iter()
        .chain(&operation.fills)
        .map(String::as_str)
        .chain(
            operation
                .owns
                .values()
                .map(|pointer| pointer.strip_prefix("request:").unwrap_or(pointer)),
        )
        .chain(operation.adopts.iter().flat_map(|adoption| {
            std::iter::once(adoption.mark.as_str()).chain(adoption.id.as_deref())
        }));
    for pointer in pointers {
        if let Err(error) = Pattern::parse(pointer) {
            problem(error.to_string());
        }
    }
    for header in operation.request_headers.values() {
        if !header_is_free(header) {
            problem(format!("the header `{header}` is the host's own"));
        }
    }
    for name in &operation.query {
        if QUERY_CREDENTIALS.contains(&name.to_ascii_lowercase().as_str()) {
            problem(format!("the query parameter `{name}` is the host's own"));
        }
    }
    for header in &operation.reply_headers {
        if matches!(header.as_str(), "set-cookie" | "authorization" | "www-authenticate") {
            problem(format!("the reply header `{header}` is not shown to plugins"));
        }
    }
    if operation.timeout_ms.is_some_and(|ms| ms == 0 || ms > TIMEOUT_MS_MAX) {
        problem(format!("`timeout_ms` is at most {TIMEOUT_MS_MAX}"));
    }
    if operation.rate.as_ref().is_some_and(|rate| {
        !rate.per_second.is_finite() || rate.per_second <= 0.0 || rate.burst == 0
    }) {
        problem("`rate` needs a positive `per_second` and `burst`".to_owned());
    }
}

/// Query parameters that would authorise a request as somebody else.
const QUERY_CREDENTIALS: [&str; 14] = [
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "auth_token",
    "authorization",
    "client_secret",
    "key",
    "password",
    "private_token",
    "secret",
    "sig",
    "signature",
    "token",
];

/// What is in the name of a header that authorises a request. With one of these, a plugin could send what it reads to
/// an account of its own at the very vendor that the user trusts.
const HEADER_CREDENTIALS: [&str; 8] =
    ["auth", "token", "api-key", "apikey", "secret", "cookie", "session", "credential"];

/// Headers that authorise, frame or route a message are never the plugin's.
fn header_is_free(name: &str) -> bool {
    const HOSTS: [&str; 20] = [
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "origin",
        "te",
        "traceparent",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
        "x-api-key",
    ];
    let lower = name.to_ascii_lowercase();
    !lower.is_empty()
        && lower
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !HOSTS.contains(&lower.as_str())
        && !HEADER_CREDENTIALS.iter().any(|word| lower.contains(word))
        && !["proxy-", "sec-", "x-forwarded-"].iter().any(|prefix| lower.starts_with(prefix))
}
