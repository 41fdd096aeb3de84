//! The functions of a provisioner as data, and calling them.

use serde::{Deserialize, Serialize};
use ss_gate::call::{Outcome, ResourceRecord, ServiceInput};
use ss_ports::{CallError, HostCalls};

use crate::abi::v0_1::{self, ProvisionerPre};
use crate::bounds;
use crate::limits::Limits;
use crate::run;
use crate::state::State;

/// A call of a provisioner.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Invocation {
    /// What it says of itself. It gets no host.
    Manifest,
    Apply {
        service: ServiceInput,
        recorded: Option<ResourceRecord>,
    },
    Read {
        service: ServiceInput,
        recorded: ResourceRecord,
    },
    Destroy {
        recorded: ResourceRecord,
    },
}

/// What a provisioner answered, of the same name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Returned {
    Manifest(String),
    Apply(Outcome),
    Read(Option<ResourceRecord>),
    Destroy,
}

fn failed(failure: v0_1::Failure) -> CallError {
    v0_1::failure(failure).map_or_else(CallError::from, CallError::Failed)
}

/// Calls it in a fresh instance.
pub(crate) async fn invoke(
    prepared: &ProvisionerPre<State>,
    limits: &Limits,
    host: Box<dyn HostCalls>,
    invocation: Invocation,
) -> Result<Returned, CallError> {
    match invocation {
        Invocation::Manifest => {
            let document = run::call(prepared, limits, host, |lifecycle, store| {
                Box::pin(lifecycle.call_manifest(store))
            });
            Ok(Returned::Manifest(bounds::manifest(document.await?)?))
        }
        Invocation::Apply { service, recorded } => {
            let service = v0_1::handed_service(service);
            let recorded = recorded.map(v0_1::handed_record);
            let answer = run::call(prepared, limits, host, move |lifecycle, store| {
                Box::pin(
                    async move { lifecycle.call_apply(store, &service, recorded.as_ref()).await },
                )
            });
            Ok(Returned::Apply(v0_1::outcome(answer.await?.map_err(failed)?)?))
        }
        Invocation::Read { service, recorded } => {
            let service = v0_1::handed_service(service);
            let recorded = v0_1::handed_record(recorded);
            let answer = run::call(prepared, limits, host, move |lifecycle, store| {
                Box::pin(async move { lifecycle.call_read(store, &service, &recorded).await })
            });
            Ok(Returned::Read(v0_1::seen(answer.await?.map_err(failed)?)?))
        }
        Invocation::Destroy { recorded } => {
            let recorded = v0_1::handed_record(recorded);
            let answer = run::call(prepared, limits, host, move |lifecycle, store| {
                Box::pin(async move { lifecycle.call_destroy(store, &recorded).await })
            });
            answer.await?.map_err(failed)?;
            Ok(Returned::Destroy)
        }
    }
}
