//! The component's exports: any [`Provisioner`] behind the contract's types.
//!
//! A panic prints its message to stderr (the standard hook) and traps; the host shows both.

use std::marker::PhantomData;

use super::bindings::exports::starsystem::provisioner::lifecycle::Guest;
use super::bindings::starsystem::provisioner::model;
use super::imports::{named, unnamed};
use crate::{Failure, FailureKind, Provisioner, Recorded, Service, json};

/// Gives a [`Provisioner`] the shape the contract exports.
pub struct Export<P>(PhantomData<P>);

impl<P: Provisioner> Guest for Export<P> {
    fn manifest() -> String {
        P::MANIFEST.to_owned()
    }

    fn apply(
        wanted: model::Service,
        recorded: Option<model::ResourceRecord>,
    ) -> Result<model::Outcome, model::Failure> {
        let recorded = recorded.map(record_in::<P>).transpose()?;
        let outcome = P::apply(service_in::<P>(wanted)?, recorded)?;
        Ok(model::Outcome {
            made: outcome.made.to_raw().into(),
            outputs: outcome.outputs.into_iter().map(unnamed).collect(),
            summary: outcome.summary,
        })
    }

    fn read(
        wanted: model::Service,
        recorded: model::ResourceRecord,
    ) -> Result<Option<model::ResourceRecord>, model::Failure> {
        let service = service_in::<P>(wanted)?;
        let found = match recorded.schema {
            // Versions of attributes begin at 1: with 0 there are none yet, and the id is all that is known.
            0 => P::find(service, recorded.id)?,
            _ => P::read(service, record_in::<P>(recorded)?)?,
        };
        Ok(found.map(|record| record.to_raw().into()))
    }

    fn destroy(recorded: model::ResourceRecord) -> Result<(), model::Failure> {
        Ok(P::destroy(record_in::<P>(recorded)?)?)
    }
}

fn service_in<P: Provisioner>(service: model::Service) -> Result<Service<P::Target>, Failure> {
    let target = json::parse(service.target.as_bytes())
        .and_then(json::typed)
        .map_err(|error| Failure::invalid(format!("the target cannot be read: {error}")))?;
    Ok(Service {
        id: service.id,
        target,
        inputs: service.inputs.into_iter().map(named).collect(),
        mark: service.mark,
    })
}

fn record_in<P: Provisioner>(
    record: model::ResourceRecord,
) -> Result<Recorded<P::Attributes>, Failure> {
    let broken =
        |error| Failure::broken(format!("the recorded attributes cannot be read: {error}"));
    let attributes = json::parse(record.attributes.as_bytes()).map_err(broken)?;
    let attributes = P::upgrade(record.schema, attributes)?;
    Ok(Recorded {
        id: record.id,
        attributes: json::typed(attributes).map_err(broken)?,
        url: record.url,
        schema: record.schema,
    })
}

impl From<Failure> for model::Failure {
    fn from(failure: Failure) -> Self {
        Self {
            kind: match failure.kind {
                FailureKind::Invalid => model::FailureKind::Invalid,
                FailureKind::Unauthorized => model::FailureKind::Unauthorized,
                FailureKind::Declined => model::FailureKind::Declined,
                FailureKind::Conflict => model::FailureKind::Conflict,
                FailureKind::Unavailable => model::FailureKind::Unavailable,
                FailureKind::Broken => model::FailureKind::Broken,
            },
            message: failure.message,
            retry_after_ms: failure.retry_after_ms,
            details: failure.details.map(|details| details.to_string()),
        }
    }
}
