//! The decision about one call: what the phase, the plan, the grant, ownership and the budget allow.
//!
//! [`decide`] is pure and total: every call gets a [`Permit`] or a [`Denial`] that names its rule.

use std::collections::BTreeSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use ss_core::state::Owned;

use crate::call::{Call, Param};
use crate::manifest::{ChangePhase, Connection, Manifest, Operation};
use crate::pointer::Pattern;
use crate::route::Segment;

/// What the engine is doing; rights follow from it, not from what the plugin asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Asking for the manifest: nothing may leave.
    Manifest,
    /// Plan, drift, inspect: reads only.
    Read,
    /// An approved change: reads, and the approved operations of that change.
    Change(ChangePhase),
}

impl Phase {
    /// The phase's name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Read => "read",
            Self::Change(phase) => phase.as_str(),
        }
    }
}

/// Where a secret of the current call comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The user's `inject_from` gave it to this service, or it is composed of such.
    Input,
    /// It came in a reply.
    Captured,
}

/// Which operations the user granted for this plugin's digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// All that the manifest declares: a first-party plugin, or a grant of the whole manifest.
    Manifest,
    /// These operations only.
    Operations(BTreeSet<String>),
}

/// How much one call may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Requests of any kind.
    pub requests: u32,
    /// Requests other than GET and HEAD.
    pub writes: u32,
    /// Requests that make something that is then owned.
    pub creates: u32,
    /// Bytes of one request body.
    pub body_bytes: usize,
}

impl Default for Budget {
    /// Enough for a large rollout, far from enough for a loop that makes a thousand paid databases.
    fn default() -> Self {
        Self { requests: 5_000, writes: 1_000, creates: 200, body_bytes: 1 << 20 }
    }
}

/// How much the call has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests of any kind.
    pub requests: u32,
    /// Requests other than GET and HEAD.
    pub writes: u32,
    /// Requests that make something.
    pub creates: u32,
}

impl Usage {
    /// The usage after one more request of this operation.
    #[must_use]
    pub fn and(self, operation: &Operation) -> Self {
        Self {
            requests: self.requests + 1,
            writes: self.writes + u32::from(!operation.route.is_read()),
            creates: self.creates + u32::from(!operation.owns.is_empty()),
        }
    }
}

/// Everything the decision looks at besides the call.
pub struct Context<'m, 'a> {
    /// The plugin's manifest, checked.
    pub manifest: &'m Manifest,
    /// What the engine is doing.
    pub phase: Phase,
    /// Names of the unsafe operations that the plan's step approved.
    pub approved: &'a BTreeSet<String>,
    /// What the user granted.
    pub grant: &'a Grant,
    /// Ids that are this service's own.
    pub owned: &'a Owned,
    /// The origins of the secret table's entries, by index.
    pub secrets: &'a [Origin],
    /// How much is allowed.
    pub budget: &'a Budget,
    /// How much was used.
    pub usage: &'a Usage,
}

/// Which rule refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// The manifest declares no such operation.
    Operation,
    /// The phase does not allow it.
    Phase,
    /// The plan did not approve it.
    Plan,
    /// The user did not grant it.
    Grant,
    /// It names an id that is not this service's.
    Ownership,
    /// A parameter is missing, unknown, doubled or cannot be expressed.
    Parameter,
    /// A secret is not this service's to send, or not there.
    Secret,
    /// The call's budget is used up.
    Budget,
    /// The body is not JSON, or there may be none.
    Body,
}

impl Rule {
    /// The rule's name in messages and ledgers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Phase => "phase",
            Self::Plan => "plan",
            Self::Grant => "grant",
            Self::Ownership => "ownership",
            Self::Parameter => "parameter",
            Self::Secret => "secret",
            Self::Budget => "budget",
            Self::Body => "body",
        }
    }
}

/// A refusal. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("denied by the {} rule: {message}", .rule.as_str())]
pub struct Denial {
    /// The rule.
    pub rule: Rule,
    /// The operation that was asked for, as the plugin wrote it.
    pub operation: String,
    /// What is refused and what would allow it.
    pub message: String,
}

/// Leave to send a request, with everything the request is made of but the credential and the secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct Permit<'a> {
    /// The connection.
    pub connection: &'a Connection,
    /// The operation.
    pub operation: &'a Operation,
    /// Values for a templated base URL, safe as they are.
    pub base_params: Vec<(String, String)>,
    /// Path, every parameter encoded into one segment: begins with `/`, or is empty for the root.
    pub path: String,
    /// Query without `?`, encoded; may be empty.
    pub query: String,
    /// Request headers, lower-case names.
    pub headers: Vec<(String, String)>,
    /// The body, parsed, not yet filled.
    pub body: Option<Value>,
    /// What the request adds to the usage.
    pub usage: Usage,
}

impl Permit<'_> {
    /// The whole URL on a base URL: the manifest's, or an override's.
    pub fn url(&self, base_url: &str) -> String {
        let mut url = base_url.trim_end_matches('/').to_owned();
        for (name, value) in &self.base_params {
            url = url.replace(&format!("{{{name}}}"), value);
        }
        url.push_str(if self.path.is_empty() { "/" } else { &self.path });
        if !self.query.is_empty() {
            url.push('?');
            url.push_str(&self.query);
        }
        url
    }
}

/// Everything but RFC 3986's unreserved characters is encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const PARAM_BYTES_MAX: usize = 2048;

/// Decides about one call.
pub fn decide<'m>(context: &Context<'m, '_>, call: &Call) -> Result<Permit<'m>, Denial> {
    let deny =
        |rule, message: String| Err(Denial { rule, operation: call.operation.clone(), message });
    let Some((connection, operation)) = context.manifest.operation(&call.operation) else {
        return deny(
            Rule::Operation,
            format!("the manifest declares no operation `{}`", call.operation),
        );
    };
    let checks = Checks { context, connection, operation, call };
    checks.phase()?;
    checks.grant()?;
    let (base_params, path, query, headers) = checks.parameters()?;
    checks.ownership(&base_params)?;
    let body = checks.body()?;
    checks.secrets()?;
    let usage = checks.budget()?;
    Ok(Permit { connection, operation, base_params, path, query, headers, body, usage })
}

struct Checks<'c, 'm, 'a> {
    context: &'c Context<'m, 'a>,
    connection: &'m Connection,
    operation: &'m Operation,
    call: &'c Call,
}

type Pairs = Vec<(String, String)>;

impl Checks<'_, '_, '_> {
    fn deny<T>(&self, rule: Rule, message: impl Into<String>) -> Result<T, Denial> {
        Err(Denial { rule, operation: self.call.operation.clone(), message: message.into() })
    }

    fn phase(&self) -> Result<(), Denial> {
        let name = &self.operation.name;
        let route = &self.operation.route;
        match self.context.phase {
            Phase::Manifest => self.deny(
                Rule::Phase,
                format!("`{name}`: nothing may be sent while describing the plugin"),
            ),
            _ if route.is_read() => Ok(()),
            Phase::Read => self.deny(
                Rule::Phase,
                format!(
                    "`{name}` is {}: only GET and HEAD may be sent while reading",
                    route.method()
                ),
            ),
            Phase::Change(phase) if !self.operation.phases.contains(&phase) => self.deny(
                Rule::Phase,
                format!(
                    "the manifest does not allow `{name}` in {p} (add `\"in\": [\"{p}\"]` to it)",
                    p = phase.as_str()
                ),
            ),
            Phase::Change(_) if !self.context.approved.contains(name) => {
                self.deny(Rule::Plan, format!("the approved plan does not hold `{name}`"))
            }
            Phase::Change(_) => Ok(()),
        }
    }

    fn grant(&self) -> Result<(), Denial> {
        match self.context.grant {
            Grant::Manifest => Ok(()),
            Grant::Operations(names) if names.contains(&self.operation.name) => Ok(()),
            Grant::Operations(_) => self.deny(
                Rule::Grant,
                format!("`{}` was not granted to this plugin", self.operation.name),
            ),
        }
    }

    fn parameters(&self) -> Result<(Pairs, String, String, Pairs), Denial> {
        let mut seen = BTreeSet::new();
        for Param { name, value } in &self.call.params {
            if !seen.insert(name.as_str()) {
                return self.deny(Rule::Parameter, format!("parameter `{name}` is given twice"));
            }
            if value.len() > PARAM_BYTES_MAX || value.chars().any(char::is_control) {
                return self.deny(
                    Rule::Parameter,
                    format!("parameter `{name}` is too long or holds control characters"),
                );
            }
        }
        let base_params = self.base_params(&mut seen)?;
        let mut path = String::new();
        for segment in self.operation.route.segments() {
            path.push('/');
            match segment {
                Segment::Literal(text) => path.push_str(text),
                Segment::Param(name) => {
                    seen.remove(name.as_str());
                    path.extend(utf8_percent_encode(self.segment_value(name)?, ENCODED));
                }
            }
        }
        let query = self.query(&mut seen);
        let headers = self.headers(&mut seen)?;
        match seen.first() {
            Some(name) => self.deny(
                Rule::Parameter,
                format!("`{}` takes no parameter `{name}`", self.operation.name),
            ),
            None => Ok((base_params, path, query, headers)),
        }
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.call.params.iter().find(|param| param.name == name).map(|param| param.value.as_str())
    }

    fn segment_value(&self, name: &str) -> Result<&str, Denial> {
        match self.value(name) {
            None => self.deny(
                Rule::Parameter,
                format!("`{}` needs the parameter `{name}`", self.operation.name),
            ),
            Some("" | "." | "..") => {
                self.deny(Rule::Parameter, format!("parameter `{name}` cannot be a path segment"))
            }
            Some(value) => Ok(value),
        }
    }

    fn base_params(&self, seen: &mut BTreeSet<&str>) -> Result<Pairs, Denial> {
        let Some(name) = self.connection.base_param() else { return Ok(Vec::new()) };
        let value = self.segment_value(name)?;
        let label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if value.len() > 63
            || !value.bytes().all(label)
            || value.starts_with('-')
            || value.ends_with('-')
        {
            return self
                .deny(Rule::Parameter, format!("parameter `{name}` cannot be a host label"));
        }
        seen.remove(name);
        Ok(vec![(name.to_owned(), value.to_owned())])
    }

    fn query(&self, seen: &mut BTreeSet<&str>) -> String {
        let mut query = String::new();
        for Param { name, value } in &self.call.params {
            if self.operation.query.contains(name) {
                seen.remove(name.as_str());
                if !query.is_empty() {
                    query.push('&');
                }
                query.extend(utf8_percent_encode(name, ENCODED));
                query.push('=');
                query.extend(utf8_percent_encode(value, ENCODED));
            }
        }
        query
    }

    fn headers(&self, seen: &mut BTreeSet<&str>) -> Result<Pairs, Denial> {
        let mut headers = Vec::new();
        for (param, header) in &self.operation.request_headers {
            let Some(value) = self.value(param) else { continue };
            seen.remove(param.as_str());
            if !value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
                return self.deny(
                    Rule::Parameter,
                    format!("parameter `{param}` cannot be a header value"),
                );
            }
            headers.push((header.to_ascii_lowercase(), value.to_owned()));
        }
        Ok(headers)
    }

    /// Writes, and reads that yield secrets, go only to ids that are this service's own. So does a request to a
    /// templated host, or the host's name would be a way to carry data out.
    fn ownership(&self, base_params: &Pairs) -> Result<(), Denial> {
        for (name, value) in base_params {
            let owned = self
                .context
                .owned
                .values()
                .filter_map(|params| params.get(name))
                .any(|ids| ids.contains(value));
            if !owned {
                return self.not_owned(name, value);
            }
        }
        if self.operation.route.is_read() && self.operation.secrets.is_empty() {
            return Ok(());
        }
        let ids = self.context.owned.get(&self.connection.name);
        for name in self.operation.route.params().filter(|name| self.connection.owns_param(name)) {
            let value = self.segment_value(name)?;
            if !ids.and_then(|params| params.get(name)).is_some_and(|ids| ids.contains(value)) {
                return self.not_owned(name, value);
            }
        }
        Ok(())
    }

    fn not_owned<T>(&self, name: &str, value: &str) -> Result<T, Denial> {
        self.deny(
            Rule::Ownership,
            format!(
                "`{}` on {name} `{value}`, which this service did not make",
                self.operation.name
            ),
        )
    }

    fn body(&self) -> Result<Option<Value>, Denial> {
        let Some(bytes) = &self.call.body else { return Ok(None) };
        if self.operation.route.is_read() {
            return self.deny(
                Rule::Body,
                format!("`{}` is a read and takes no body", self.operation.name),
            );
        }
        if bytes.len() > self.context.budget.body_bytes {
            return self
                .deny(Rule::Budget, format!("the body of `{}` is too large", self.operation.name));
        }
        match serde_json::from_slice(bytes) {
            Ok(value) => Ok(Some(value)),
            Err(error) => self.deny(
                Rule::Body,
                format!("the body of `{}` is not JSON: {error}", self.operation.name),
            ),
        }
    }

    fn secrets(&self) -> Result<(), Denial> {
        for fill in &self.call.fill {
            match self.context.secrets.get(fill.value as usize) {
                None => {
                    return self.deny(Rule::Secret, format!("there is no secret#{}", fill.value));
                }
                Some(Origin::Captured) => {
                    return self.deny(
                        Rule::Secret,
                        format!("secret#{} came in a reply and may only be an output", fill.value),
                    );
                }
                Some(Origin::Input) => {}
            }
            let declared = self
                .operation
                .fills
                .iter()
                .any(|pattern| Pattern::parse(pattern).is_ok_and(|p| p.matches(&fill.pointer)));
            if !declared {
                return self.deny(
                    Rule::Secret,
                    format!(
                        "the manifest does not let `{}` carry a secret at `{}`",
                        self.operation.name, fill.pointer
                    ),
                );
            }
        }
        Ok(())
    }

    fn budget(&self) -> Result<Usage, Denial> {
        let after = self.context.usage.and(self.operation);
        let limit = self.context.budget;
        if after.requests > limit.requests
            || after.writes > limit.writes
            || after.creates > limit.creates
        {
            return self.deny(
                Rule::Budget,
                format!(
                    "one call may send {} requests, {} writes, {} creates",
                    limit.requests, limit.writes, limit.creates
                ),
            );
        }
        Ok(after)
    }
}
