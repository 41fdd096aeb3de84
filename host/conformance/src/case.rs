//! What is tried: a file that the author of a provisioner writes, YAML or JSON.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// The largest file that is read, in bytes.
const BYTES_MAX: usize = 1 << 20;

/// One target, its changes, and where the API's fake is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The `target` block that is made first, `type` included.
    pub target: Map<String, Value>,
    /// Fields that change in place.
    #[serde(default)]
    pub update: Map<String, Value>,
    /// Fields whose change means a new resource.
    #[serde(default)]
    pub replace: Map<String, Value>,
    /// Fields of a second resource, of somebody else's, that has to stay as it is.
    #[serde(default)]
    pub neighbour: Map<String, Value>,
    /// Where the connections of the manifest lead: to this machine. `{port}` is the fake's port.
    pub connections: BTreeMap<String, String>,
    /// The credentials of the manifest, as the fake knows them.
    #[serde(default)]
    pub credentials: BTreeMap<String, String>,
    /// The command that starts the fake; it listens on the port `{port}` of 127.0.0.1. Absent: it runs already.
    #[serde(default)]
    pub fake: Vec<String>,
    /// What counts the resources there are, so that nothing is made twice and nothing is left behind.
    #[serde(default)]
    pub inventory: Vec<Inventory>,
}

/// A list of what there is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// The connection that is asked.
    pub connection: String,
    /// The path below its address, query included.
    pub path: String,
    /// Where the reply holds the list, a JSON pointer.
    pub items: String,
}

/// Why a case cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CaseError(pub String);

impl Case {
    /// Reads a case.
    pub fn parse(text: &str) -> Result<Self, CaseError> {
        if text.len() > BYTES_MAX {
            return Err(CaseError(format!("it is larger than {BYTES_MAX} bytes")));
        }
        let case: Self =
            serde_saphyr::from_str(text).map_err(|error| CaseError(error.to_string()))?;
        if case.kind().is_empty() {
            return Err(CaseError("`target` has no `type`".to_owned()));
        }
        Ok(case)
    }

    /// The target type.
    pub fn kind(&self) -> &str {
        self.target.get("type").and_then(Value::as_str).unwrap_or_default()
    }

    /// The same case with the fake's port in its addresses and its command.
    #[must_use]
    pub fn at(mut self, port: u16) -> Self {
        let port = port.to_string();
        for text in self.connections.values_mut().chain(&mut self.fake) {
            *text = text.replace("{port}", &port);
        }
        self
    }

    /// The target with other fields.
    pub fn with(&self, fields: &Map<String, Value>) -> Map<String, Value> {
        let mut target = self.target.clone();
        target.extend(fields.clone());
        target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_read_and_gets_its_port() {
        let text = "target: { type: dns, name: www }\nupdate: { name: api }\n\
                    connections: { dns-api: 'http://127.0.0.1:{port}/v1' }\nfake: [fake, '{port}']\n";
        let case = Case::parse(text).expect("a case").at(81);
        assert_eq!(case.kind(), "dns");
        assert_eq!(case.connections["dns-api"], "http://127.0.0.1:81/v1");
        assert_eq!(case.fake, ["fake", "81"]);
        assert_eq!(case.with(&case.update)["name"], "api");
    }

    #[test]
    fn a_typo_and_a_missing_type_are_told() {
        let typo = Case::parse("target: { type: x }\nconnections: {}\nupdat: {}\n").unwrap_err();
        assert!(typo.to_string().contains("updat"), "{typo}");
        let missing = Case::parse("target: { name: x }\nconnections: {}\n").unwrap_err();
        assert_eq!(missing.to_string(), "`target` has no `type`");
    }
}
