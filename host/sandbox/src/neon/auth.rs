//! Who may ask: bearer keys of the three kinds.
//!
//! Accepted are `sandbox-neon-key`, `sandbox-neon-personal-key` (each also with a `-suffix`),
//! `sandbox-neon-scoped-key:PROJECT`, and the keys in the settings. A real vendor key is refused
//! like any other stranger, so one sent here by mistake shows at once.

use http::{HeaderMap, header};

use super::error::ApiError;
use crate::settings::{KeyKind, NeonSettings};

/// Whom a key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) kind: KeyKind,
    pub(crate) org_id: String,
    /// The one project of a project-scoped key.
    pub(crate) project_id: Option<String>,
}

/// Reads the key off the request.
pub(crate) fn authenticate(
    headers: &HeaderMap,
    settings: &NeonSettings,
) -> Result<Principal, ApiError> {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .and_then(|(_, key)| principal(key.trim(), settings))
        .ok_or_else(ApiError::unauthenticated)
}

fn principal(key: &str, settings: &NeonSettings) -> Option<Principal> {
    if let Some(listed) = settings.keys.iter().find(|listed| listed.key == key) {
        return Some(Principal {
            kind: listed.kind,
            org_id: listed.org_id.clone().unwrap_or_else(|| settings.org_id.clone()),
            project_id: listed.project_id.clone(),
        });
    }
    let of = |kind, project_id| Principal { kind, org_id: settings.org_id.clone(), project_id };
    if let Some(project) = key.strip_prefix("sandbox-neon-scoped-key:") {
        return is_word(project).then(|| of(KeyKind::Project, Some(project.to_owned())));
    }
    let named = |name: &str| {
        key.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.strip_prefix('-').is_some_and(is_word))
    };
    if named("sandbox-neon-key") {
        Some(of(KeyKind::Org, None))
    } else if named("sandbox-neon-personal-key") {
        Some(of(KeyKind::Personal, None))
    } else {
        None
    }
}

/// The pattern of every id in a path.
pub(crate) fn is_word(text: &str) -> bool {
    (1..=60).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

impl Principal {
    /// The organisation a request is about, given what it says.
    pub(crate) fn organization(&self, given: Option<&str>) -> Result<String, ApiError> {
        match (self.kind, given.filter(|given| !given.is_empty())) {
            (KeyKind::Project, _) => {
                Err(ApiError::out_of_scope(self.project_id.as_deref().unwrap_or_default()))
            }
            (KeyKind::Personal, None) => Err(ApiError::org_required()),
            (KeyKind::Org, None) => Ok(self.org_id.clone()),
            (_, Some(given)) if given == self.org_id => Ok(self.org_id.clone()),
            (_, Some(_)) => Err(ApiError::no_organization()),
        }
    }

    /// Whether the key reaches `project_id` at all.
    pub(crate) fn reaches(&self, project_id: &str) -> Result<(), ApiError> {
        match &self.project_id {
            Some(own) if own != project_id => Err(ApiError::out_of_scope(own)),
            _ => Ok(()),
        }
    }
}
