//! From the state there is to the state of an earlier deploy, without forgetting anything that exists.
//!
//! What a record says of the resource goes back; what was applied to it last (the target, the digests of injected
//! values) stays, because that is what runs. So the next plan shows the way from what runs to what is wanted.

use std::collections::{BTreeMap, BTreeSet};

use crate::ident::ServiceId;
use crate::state::{Owned, Progress, Recorded, State};

/// What a rollback does with the record of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was the same then.
    Unchanged,
    /// The record of then is put back.
    Restored,
    /// It was not there then. It stays recorded, or nobody would ever remove it.
    Newer,
    /// It has another resource since then. The record of the one that exists stays.
    Replaced,
    /// It was destroyed since then. There is nothing left that a record could speak of.
    Destroyed,
}

impl Fate {
    /// Whether the service's credentials of then belong to what is there now.
    pub fn takes_credentials(self) -> bool {
        matches!(self, Self::Unchanged | Self::Restored)
    }
}

/// What becomes of each service. `changed`: those whose credentials were others then.
pub fn fates(
    now: &State,
    then: &State,
    changed: &BTreeSet<ServiceId>,
) -> BTreeMap<ServiceId, Fate> {
    let all: BTreeSet<&ServiceId> = now.services.keys().chain(then.services.keys()).collect();
    let fate = |id: &ServiceId| match (now.services.get(id), then.services.get(id)) {
        (_, None) => Fate::Newer,
        (None, Some(_)) => Fate::Destroyed,
        (Some(now), Some(then)) if !is_same_resource(now, then) => Fate::Replaced,
        (Some(now), Some(then)) if now == then && !changed.contains(id) => Fate::Unchanged,
        (Some(_), Some(_)) => Fate::Restored,
    };
    all.into_iter().map(|id| (id.clone(), fate(id))).collect()
}

/// The state after the rollback, with the serial of `now`.
pub fn roll_back(now: &State, then: &State, fates: &BTreeMap<ServiceId, Fate>) -> State {
    let mut state = now.clone();
    for (id, fate) in fates {
        if let (Fate::Restored, Some(record), Some(then)) =
            (fate, state.services.get_mut(id), then.services.get(id))
        {
            *record = restored(record, then);
        }
    }
    state
}

fn is_same_resource(now: &Recorded, then: &Recorded) -> bool {
    now.provider == then.provider
        && now.resource_id == then.resource_id
        && now.generation == then.generation
}

fn restored(now: &Recorded, then: &Recorded) -> Recorded {
    Recorded {
        target: now.target.clone(),
        config_digest: now.config_digest.clone(),
        inputs: now.inputs.clone(),
        depends_on: now.depends_on.clone(),
        // What was made since then is still there, and still ours to change.
        owned: union(&now.owned, &then.owned),
        // Going back lifts no protection.
        protect: now.protect || then.protect,
        progress: Progress::Unverified,
        ..then.clone()
    }
}

fn union(one: &Owned, other: &Owned) -> Owned {
    let mut all = one.clone();
    for (connection, params) in other {
        let known = all.entry(connection.clone()).or_default();
        for (param, ids) in params {
            known.entry(param.clone()).or_default().extend(ids.iter().cloned());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ident::PluginName;
    use crate::state::PluginPin;

    fn record(id: &str, image: &str) -> Recorded {
        let name = PluginName::new("fly").unwrap();
        Recorded {
            provider: "fly".to_owned(),
            plugin: PluginPin { name, version: "1".to_owned(), digest: "d".to_owned() },
            resource_id: Some(id.to_owned()),
            url: None,
            region: None,
            attributes: json!({"image": image}),
            schema: 1,
            target: json!({"image": image}),
            config_digest: image.to_owned(),
            inputs: BTreeMap::new(),
            outputs: BTreeSet::new(),
            depends_on: BTreeSet::new(),
            owned: BTreeMap::from([(
                "c".to_owned(),
                BTreeMap::from([("p".to_owned(), BTreeSet::from([image.to_owned()]))]),
            )]),
            protect: image == "v2",
            data: false,
            generation: 0,
            progress: Progress::Complete,
            provisioned_at: image.to_owned(),
        }
    }

    fn state(services: &[(&str, Recorded)]) -> State {
        let services = services.iter().map(|(id, record)| (service(id), record.clone()));
        State { services: services.collect(), serial: 7, ..State::empty("line") }
    }

    fn service(id: &str) -> ServiceId {
        ServiceId::new(id).unwrap()
    }

    fn rolled(now: &State, then: &State) -> (State, BTreeMap<ServiceId, Fate>) {
        let fates = fates(now, then, &BTreeSet::new());
        (roll_back(now, then, &fates), fates)
    }

    #[test]
    fn facts_go_back_and_what_was_applied_last_stays() {
        let (now, then) =
            (state(&[("api", record("a", "v2"))]), state(&[("api", record("a", "v1"))]));
        let (after, fates) = rolled(&now, &then);
        assert_eq!(fates[&service("api")], Fate::Restored);
        let api = &after.services[&service("api")];
        assert_eq!((&api.attributes["image"], &api.target["image"]), (&json!("v1"), &json!("v2")));
        assert_eq!((api.progress, api.protect), (Progress::Unverified, true));
        assert_eq!(api.owned["c"]["p"], BTreeSet::from(["v1".to_owned(), "v2".to_owned()]));
        assert_eq!(after.serial, 7);
    }

    #[test]
    fn nothing_that_exists_is_forgotten_and_nothing_that_is_gone_comes_back() {
        let replaced = Recorded { generation: 1, ..record("a", "v2") };
        let now =
            state(&[("api", replaced), ("new", record("n", "v1")), ("db", record("d", "v1"))]);
        let then = state(&[
            ("api", record("a", "v1")),
            ("old", record("o", "v1")),
            ("db", record("d", "v1")),
        ]);
        let (after, fates) = rolled(&now, &then);
        assert_eq!(after, now);
        let names = ["api", "db", "new", "old"].map(service);
        let all = [Fate::Replaced, Fate::Unchanged, Fate::Newer, Fate::Destroyed];
        assert_eq!(fates, names.into_iter().zip(all).collect());
    }

    #[test]
    fn other_credentials_make_a_service_restored() {
        let now = state(&[("db", record("d", "v1"))]);
        let fates = fates(&now, &now, &BTreeSet::from([service("db")]));
        assert_eq!(fates[&service("db")], Fate::Restored);
        let after = roll_back(&now, &now, &fates);
        assert_eq!(after.services[&service("db")].progress, Progress::Unverified);
    }
}
