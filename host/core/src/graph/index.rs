//! Services as numbers: their places in the base, and the places of what they stand on.

use std::collections::BTreeMap;

use crate::config::{Config, Service};
use crate::ident::ServiceId;

/// A configuration with numbers for names.
pub(super) struct Index<'a> {
    services: Vec<&'a Service>,
    places: BTreeMap<&'a ServiceId, usize>,
    below: Vec<Vec<usize>>,
}

impl<'a> Index<'a> {
    pub(super) fn new(config: &'a Config) -> Self {
        let mut services: Vec<&Service> = config.services.values().collect();
        services.sort_by_key(|service| service.position);
        let places: BTreeMap<&ServiceId, usize> =
            services.iter().enumerate().map(|(place, service)| (&service.id, place)).collect();
        let find = |service: &&Service| -> Vec<usize> {
            let ids = service.depends_on.iter().map(|dependency| &dependency.value);
            ids.filter_map(|id| places.get(id).copied()).collect()
        };
        let below = services.iter().map(find).collect();
        Self { services, places, below }
    }

    pub(super) fn len(&self) -> usize {
        self.services.len()
    }

    pub(super) fn service(&self, place: usize) -> &'a Service {
        self.services[place]
    }

    pub(super) fn place(&self, id: &ServiceId) -> Option<usize> {
        self.places.get(id).copied()
    }

    /// What a service stands on, as far as it exists.
    pub(super) fn below(&self, place: usize) -> &[usize] {
        &self.below[place]
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.services.iter().map(|service| service.id.as_str())
    }
}
