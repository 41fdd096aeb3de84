//! What can be said of a manifest by reading it.

use std::collections::BTreeSet;

use ss_gate::manifest::{ChangePhase, Manifest, Operation};

/// Something that the author should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// What it is about: an operation, a target, a credential.
    pub about: String,
    /// What is noticed, and what to do.
    pub text: String,
}

/// Reads a manifest. It has been checked already: everything here works, and may still not be meant.
pub fn lint(manifest: &Manifest) -> Vec<Remark> {
    let mut remarks = Vec::new();
    version(manifest, &mut remarks);
    for operation in manifest.connections.iter().flat_map(|connection| &connection.operations) {
        let mut remark = |text: &str| {
            remarks.push(Remark { about: operation.name.clone(), text: text.to_owned() })
        };
        creates(operation, &mut remark);
        destroys(operation, &mut remark);
    }
    targets(manifest, &mut remarks);
    credentials(manifest, &mut remarks);
    remarks
}

fn version(manifest: &Manifest, remarks: &mut Vec<Remark>) {
    let core = manifest.version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    if numbers.len() != 3 || numbers.iter().any(|number| number.parse::<u64>().is_err()) {
        remarks.push(Remark {
            about: "version".to_owned(),
            text: format!("`{}` is no semantic version; write `1.2.3`", manifest.version),
        });
    }
}

fn creates(operation: &Operation, remark: &mut impl FnMut(&str)) {
    let is_create = operation.route.method() == "POST" && operation.phases == [ChangePhase::Create];
    if is_create && operation.owns.is_empty() && operation.adopts.is_empty() {
        remark(
            "it makes something and neither `owns` nor `adopts` an id: what it made can never be changed or destroyed",
        );
    }
    if is_create && operation.repeatable {
        remark(
            "it is `repeatable`: a lost answer is sent again, which is right only if the vendor knows a repeat",
        );
    }
}

fn destroys(operation: &Operation, remark: &mut impl FnMut(&str)) {
    if operation.route.method() == "DELETE" && !operation.destroys {
        remark(
            "it is a DELETE and does not say `\"destroys\": true`: it is not allowed while destroying unless `in` says so",
        );
    }
}

fn targets(manifest: &Manifest, remarks: &mut Vec<Remark>) {
    let operations = || manifest.connections.iter().flat_map(|connection| &connection.operations);
    for target in &manifest.targets {
        let mut remark = |text: String| remarks.push(Remark { about: target.kind.clone(), text });
        if !target.outputs.is_empty() && !operations().any(|o| !o.secrets.is_empty()) {
            remark(
                "it gives outputs, and no operation has `secrets`: where do they come from?"
                    .to_owned(),
            );
        }
        let properties = target.schema.get("properties").and_then(|p| p.as_object());
        for (name, property) in properties.into_iter().flatten() {
            if property.get("description").is_none() {
                remark(format!(
                    "the field `{name}` has no description, which editors and errors would show"
                ));
            }
        }
    }
    if operations().all(|operation| operation.adopts.is_empty()) {
        remarks.push(Remark {
            about: manifest.name.clone(),
            text:
                "no operation `adopts`: what a lost answer made cannot be found again by its mark"
                    .to_owned(),
        });
    }
}

fn credentials(manifest: &Manifest, remarks: &mut Vec<Remark>) {
    let used: BTreeSet<&str> = manifest
        .connections
        .iter()
        .filter_map(|connection| Some(connection.auth.as_ref()?.bearer.as_str()))
        .collect();
    for credential in &manifest.credentials {
        let mut remark = |text: &str| {
            remarks.push(Remark { about: credential.name.clone(), text: text.to_owned() })
        };
        if !used.contains(credential.name.as_str()) {
            remark("no connection uses it");
        }
        if credential.verify.is_none() {
            remark(
                "it names no `verify` operation: a typo in a token is found only half-way through a deploy",
            );
        }
    }
}
