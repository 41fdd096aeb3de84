//! Small, complete values for tests to begin from.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use ss_core::ident::{DeployId, EnvName, PluginName, ServiceId, SystemName};
use ss_core::plan::Action;
use ss_core::state::{PluginPin, Progress, Recorded};
use ss_ports::{
    CallId, CallKind, DeployHeader, DeployStatus, Entry, Holder, Receipt, RequestCount,
};

/// A service's id.
pub fn service(name: &str) -> ServiceId {
    ServiceId::new(name).expect("a valid service id")
}

/// The deploy with this number.
pub fn deploy(number: u32) -> DeployId {
    DeployId::parse(&format!("{number:08x}-0000-4000-8000-000000000000")).expect("a UUID")
}

/// A call for a service in the deploy with this number.
pub fn call(deploy_number: u32, name: &str, number: u32) -> CallId {
    CallId { deploy: deploy(deploy_number), service: service(name), number }
}

/// The plugin `neon`.
pub fn plugin() -> PluginPin {
    let name = PluginName::new("neon").expect("a valid plugin name");
    PluginPin { name, version: "0.1.0".to_owned(), digest: "sha256:00".to_owned() }
}

/// A complete record of a resource.
pub fn recorded(resource_id: &str) -> Recorded {
    Recorded {
        provider: "neon".to_owned(),
        plugin: plugin(),
        resource_id: Some(resource_id.to_owned()),
        url: Some(format!("https://{resource_id}.example")),
        region: None,
        attributes: json!({"id": resource_id, "size": 0.25}),
        schema: 1,
        target: json!({"type": "neon"}),
        config_digest: "sha256:01".to_owned(),
        inputs: BTreeMap::new(),
        outputs: BTreeSet::from(["DATABASE_URL".to_owned()]),
        depends_on: BTreeSet::new(),
        owned: BTreeMap::new(),
        protect: false,
        data: true,
        generation: 0,
        progress: Progress::Complete,
        provisioned_at: "2026-05-02T14:33:28Z".to_owned(),
    }
}

/// The start of the deploy with this number; a higher one began later.
pub fn header(number: u32) -> DeployHeader {
    DeployHeader {
        id: deploy(number),
        run: ss_core::record::RunKind::Deploy,
        system: SystemName::new("my-app").expect("a valid name"),
        environment: EnvName::new("prod").expect("a valid name"),
        started_ms: 1_777_732_321_000 + i64::from(number) * 60_000,
        tool: "0.1.0".to_owned(),
        trace_id: None,
    }
}

/// The receipt of the deploy with this number.
pub fn receipt(number: u32, status: DeployStatus) -> Receipt {
    Receipt {
        version: 1,
        header: header(number),
        status,
        ended_ms: None,
        services: Vec::new(),
        requests: Vec::new(),
        counts: RequestCount::default(),
        serial: 0,
        chain: Vec::new(),
    }
}

/// The journal's entry at the start of the deploy with this number.
pub fn begin(number: u32, lineage: &str, serial: u64) -> Entry {
    Entry::Begin { header: header(number), lineage: lineage.to_owned(), serial }
}

/// The journal's entry before a create.
pub fn intent(call: CallId) -> Entry {
    let record = Recorded { resource_id: None, ..recorded("none") };
    Entry::Intent {
        call,
        kind: CallKind::Create,
        action: Action::Create,
        plugin: plugin(),
        record: Box::new(record),
        continues: None,
    }
}

/// Somebody who holds the lock.
pub fn holder() -> Holder {
    Holder {
        process: 12,
        host: "build-1".to_owned(),
        command: "ss deploy --env=prod".to_owned(),
        since_ms: 1_777_732_321_000,
    }
}
