//! The manifest: what a provisioner says of itself, as data a person can read.
//!
//! Targets with their schemas, credentials, and connections with their operations. The JSON Schema in
//! `wit/provisioner-0.1/manifest.schema.json` is generated from these types.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::route::Route;

/// The manifest's own version; the host refuses a newer one.
pub const MANIFEST_VERSION: u32 = 1;

/// What a provisioner says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this document's shape: 1.
    pub manifest: u32,
    /// The plugin's name, `[a-z][a-z0-9-]{0,62}`.
    pub name: String,
    /// The plugin's version, semantic.
    pub version: String,
    /// What it provisions, in one sentence.
    pub description: String,
    /// What can stand below `target:` in an overlay.
    pub targets: Vec<Target>,
    /// The provider credentials it needs.
    #[serde(default)]
    pub credentials: Vec<Credential>,
    /// The APIs it speaks.
    #[serde(default)]
    pub connections: Vec<Connection>,
}

/// A target type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The value of `target.type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is, in one sentence.
    pub description: String,
    /// JSON Schema of the other fields of `target` (`type` and `credential_env` are the host's own). A
    /// property may say `"x-immutable": true`: changing it means replacing the resource.
    #[schemars(with = "serde_json::Map<String, Value>")]
    pub schema: Value,
    /// What a create makes, for the plan. `{field}` stands for a field of the target.
    pub creates: String,
    /// Whether it holds data that replacing or destroying loses.
    #[serde(default)]
    pub data: bool,
    /// The credentials it gives to other services.
    #[serde(default)]
    pub outputs: Vec<Output>,
    /// Where its log lines are read: `ss logs`. The host asks by itself; no provisioner code runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<Logs>,
    /// How a command is run in it: `ss exec`. The host asks by itself; no provisioner code runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<Exec>,
}

/// Where log lines are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// A GET operation.
    pub operation: String,
    /// Its parameters: name → JSON pointer into the record's attributes. With `*`, the first element is taken.
    pub params: BTreeMap<String, String>,
    /// Where the reply holds the lines, oldest first: JSON pointer, `*` for every line.
    pub lines: String,
    /// Where a line holds its text.
    pub message: String,
    /// Where a line holds its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Where a line says who wrote it: a machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How to ask for what came later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
}

/// How to ask for what came after a reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Next {
    /// The query parameter that takes the token.
    pub param: String,
    /// Where the reply holds the token.
    pub token: String,
}

/// How a command is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// An operation with `"in": ["exec"]` and nothing else there.
    pub operation: String,
    /// Its parameters: name → JSON pointer into the record's attributes. With `*`, the first element is taken.
    pub params: BTreeMap<String, String>,
    /// The request's body, but for the command.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub body: serde_json::Map<String, Value>,
    /// The body's field that takes the command, a list of words.
    pub command: String,
    /// Where the reply holds the exit code.
    pub exit_code: String,
    /// Where it holds what the command wrote.
    pub stdout: String,
    /// Where it holds what the command wrote to its other output.
    pub stderr: String,
}

/// A credential that a target gives to other services.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Its name, as `inject_from` uses it: `DATABASE_URL`.
    pub name: String,
    /// What it is.
    pub description: String,
}

/// A provider credential.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// Its name in the vault: `neon.api_token`.
    pub name: String,
    /// What it is and how to get one, in one or two sentences.
    pub description: String,
    /// A GET operation that succeeds exactly when the credential is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<String>,
}

/// An API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Its name, unique in the manifest and stable: overlays may point it elsewhere.
    pub name: String,
    /// `https://host/path` without a trailing slash. The first host label may hold one `{param}`
    /// (`https://{app}.fly.dev`); such a connection gets no credential.
    pub base_url: String,
    /// How requests are authorised. Absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// What can be asked of it.
    pub operations: Vec<Operation>,
}

/// How the host authorises a request. The provisioner never sees the credential.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// The credential sent as `Authorization: Bearer …`.
    pub bearer: String,
    /// Other schemes, by the prefixes of the tokens that need them: `{"FlyV1": ["fm2_"]}`. A token that
    /// already begins with a scheme's name is sent as it is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schemes: BTreeMap<String, Vec<String>>,
}

/// One thing that can be asked of an API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// Its name, unique in the manifest.
    pub name: String,
    /// `METHOD /path/{param}`.
    #[schemars(with = "String")]
    pub route: Route,
    /// Names of the query parameters it takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<String>,
    /// Request headers it takes: parameter name → header name. Never `authorization`, `cookie`, `host`,
    /// `proxy-*` or one that frames the message.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub request_headers: BTreeMap<String, String>,
    /// Reply headers the provisioner may see, lower case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reply_headers: Vec<String>,
    /// In which changes it may be used. GET and HEAD are allowed everywhere and leave this empty.
    #[serde(default, rename = "in", skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<ChangePhase>,
    /// Ids that a successful answer makes this system's own: path parameter → JSON pointer into the reply,
    /// or `request:` and a pointer into the request for ids the caller chooses.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub owns: BTreeMap<String, String>,
    /// Ids that a reply proves to be this service's, because they carry its mark.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adopts: Vec<Adoption>,
    /// Whether it destroys something; only such operations are allowed while destroying, beside reads and
    /// operations that say `in: destroy`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub destroys: bool,
    /// Where the reply holds secrets: JSON pointers, `*` for every element. They reach the vault, never
    /// the provisioner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Where the request may hold secrets handed to the service: JSON pointers, `*` for every key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fills: Vec<String>,
    /// Answers after which repeating is always safe: status → `always`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub retry: BTreeMap<u16, Retry>,
    /// Statuses that are answers and never a reason to repeat: a long poll that ends with 408.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<u16>,
    /// Whether sending it twice does what sending it once does, so that a lost answer is no problem.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeatable: bool,
    /// How often it may be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// How long an answer may take, in milliseconds; 30,000 when absent, 120,000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u32>,
}

/// Which change an operation belongs to.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ChangePhase {
    /// Making a resource.
    Create,
    /// Changing it in place.
    Update,
    /// Removing it.
    Destroy,
    /// Running a command of the user's in it, when they say `ss exec`: never part of a plan.
    Exec,
}

impl ChangePhase {
    /// The phase's name in manifests and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Destroy => "destroy",
            Self::Exec => "exec",
        }
    }
}

/// A proof of ownership in a reply: the service's mark stands at a known place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Adoption {
    /// The parameter whose id is adopted.
    pub param: String,
    /// Where the ids stand in the reply; absent: the id is the request's own value of `param`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where the mark stands in the reply. With `id`, both take the same element at each `*` they share.
    pub mark: String,
}

/// When a request may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Retry {
    /// The vendor promises that nothing was done.
    Always,
}

/// A rate limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Requests per second, on average.
    pub per_second: f64,
    /// How many may go at once.
    pub burst: u32,
    /// Parameters whose values are counted apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub per: Vec<String>,
}
