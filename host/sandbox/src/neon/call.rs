//! One request as the handlers see it: who asks, with what, and what was injected.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use axum::extract::{FromRequest, Query, Request};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use super::auth::Principal;
use super::error::ApiError;
use crate::faults::{Fault, OperationFault};

/// A checked-in request.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) principal: Principal,
    query: HashMap<String, String>,
    body: Bytes,
    fault: Option<Fault>,
}

impl<S: Send + Sync> FromRequest<S> for Call {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let principal =
            parts.extensions.remove::<Principal>().ok_or_else(ApiError::unauthenticated)?;
        let query = Query::try_from_uri(&parts.uri)
            .map(|Query(query)| query)
            .map_err(|error| ApiError::invalid(error.to_string()))?;
        let body =
            body.collect().await.map_err(|error| ApiError::invalid(error.to_string()))?.to_bytes();
        Ok(Self { principal, query, body, fault: parts.extensions.remove::<Fault>() })
    }
}

impl Call {
    /// The body as `T`; an empty one is an error.
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| ApiError::invalid(format!("request body is not valid: {error}")))
    }

    /// The body as `T`, or its default when there is none.
    pub(crate) fn body_if_any<T: DeserializeOwned + Default>(&self) -> Result<T, ApiError> {
        if self.body.trim_ascii().is_empty() { Ok(T::default()) } else { self.body() }
    }

    /// A query parameter that is there and not empty.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A query parameter without which the request is invalid.
    pub(crate) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.query(name).ok_or_else(|| ApiError::invalid(format!("{name} is required")))
    }

    /// A boolean query parameter, false when absent.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.query(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(ApiError::invalid(format!("{name} must be true or false"))),
        }
    }

    /// A whole number within bounds.
    pub(crate) fn number(
        &self,
        name: &str,
        bounds: RangeInclusive<usize>,
        default: usize,
    ) -> Result<usize, ApiError> {
        let Some(given) = self.query(name) else { return Ok(default) };
        given.parse().ok().filter(|number| bounds.contains(number)).ok_or_else(|| {
            let (low, high) = (bounds.start(), bounds.end());
            ApiError::invalid(format!("{name} must be a number from {low} to {high}"))
        })
    }

    /// The bad end a test wants for the operations of this request.
    pub(crate) fn operation_fault(&self) -> Option<&OperationFault> {
        match &self.fault {
            Some(Fault::Operation(fault)) => Some(fault),
            _ => None,
        }
    }

    /// The projects a test wants this listing to call unavailable.
    pub(crate) fn unavailable_projects(&self) -> &[String] {
        match &self.fault {
            Some(Fault::Unavailable(fault)) => &fault.unavailable_projects,
            _ => &[],
        }
    }
}
