//! What an author implements, and the data that goes in and out.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::host::raw;
use crate::{Failure, NamedSecret, Secret};

/// A provisioner: makes, reads and removes one kind of resource.
pub trait Provisioner {
    /// The user's `target` block. The host has checked it against the manifest's schema and filled in its
    /// defaults; `type` and `credential_env` are among its keys.
    type Target: DeserializeOwned;
    /// What is kept about the resource: facts that [`read`](Self::read) can see again. Never a secret, never
    /// something that moves by itself.
    type Attributes: Serialize + DeserializeOwned;
    /// The manifest, JSON; usually `include_str!("../manifest.json")`.
    const MANIFEST: &str;

    /// Makes the resource as wanted: creates it when `recorded` is absent, changes it in place otherwise.
    /// Applying twice is the same as applying once. A `recorded` may be a checkpoint of a run that died.
    fn apply(
        service: Service<Self::Target>,
        recorded: Option<Recorded<Self::Attributes>>,
    ) -> Result<Outcome<Self::Attributes>, Failure>;

    /// Reads the resource as it is; `None` when it no longer exists. Secrets that a reply holds tell the host what
    /// the service's outputs are now, so a read asks for all of them or for none.
    fn read(
        service: Service<Self::Target>,
        recorded: Recorded<Self::Attributes>,
    ) -> Result<Option<Recorded<Self::Attributes>>, Failure>;

    /// Reads a resource that this system did not make, by the vendor's id: what `ss import` takes over. `None` when
    /// there is none. What it records counts as the service's own from then on. Without it there is no import.
    fn find(
        service: Service<Self::Target>,
        id: String,
    ) -> Result<Option<Recorded<Self::Attributes>>, Failure> {
        let _ = (service, id);
        Err(Failure::invalid("it cannot take over what exists already"))
    }

    /// Removes the resource. One that is already gone is a success.
    fn destroy(recorded: Recorded<Self::Attributes>) -> Result<(), Failure>;

    /// Brings attributes that an older version recorded (see [`Recorded::schema`]) into today's shape.
    fn upgrade(schema: u32, attributes: Value) -> Result<Value, Failure> {
        let _ = schema;
        Ok(attributes)
    }
}

/// What the user wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Service<T> {
    /// The service's id in the configuration, e.g. `app-db`.
    pub id: String,
    /// The service's `target` block.
    pub target: T,
    /// What `inject_from` hands to this service: environment name and secret.
    pub inputs: Vec<NamedSecret>,
    /// A short stable tag, `[a-z0-9-]{1,40}`, for the vendor's tags, labels or names: it finds a resource
    /// again after an answer was lost, and proves to the host that the resource is this service's.
    pub mark: String,
}

/// What is kept about a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded<A> {
    /// The vendor's id of the resource.
    pub id: String,
    /// The facts.
    pub attributes: A,
    /// Where the resource is reached, without a password.
    pub url: Option<String>,
    /// Version of the shape of the attributes; 1 unless [`with_schema`](Self::with_schema) says otherwise.
    pub schema: u32,
}

/// What [`Provisioner::apply`] made.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome<A> {
    /// The record.
    pub made: Recorded<A>,
    /// Credentials for other services, by the names that the manifest declares.
    pub outputs: Vec<NamedSecret>,
    /// One line for a person.
    pub summary: String,
}

impl<T> Service<T> {
    /// The input of a name.
    pub fn input(&self, name: &str) -> Option<Secret> {
        self.inputs.iter().find(|input| input.name == name).map(|input| input.value)
    }
}

impl<A> Recorded<A> {
    /// A record without a URL, schema 1.
    pub fn new(id: impl Into<String>, attributes: A) -> Self {
        Self { id: id.into(), attributes, url: None, schema: 1 }
    }

    /// Says where the resource is reached.
    pub fn with_url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Says which version of the attributes' shape this is.
    pub fn with_schema(mut self, schema: u32) -> Self {
        self.schema = schema;
        self
    }
}

impl<A: Serialize> Recorded<A> {
    pub(crate) fn to_raw(&self) -> raw::Record {
        let attributes = serde_json::to_string(&self.attributes)
            .expect("attributes are plain data with string keys");
        raw::Record { id: self.id.clone(), attributes, url: self.url.clone(), schema: self.schema }
    }
}

impl<A> Outcome<A> {
    /// An outcome without outputs.
    pub fn new(made: Recorded<A>, summary: impl Into<String>) -> Self {
        Self { made, outputs: Vec::new(), summary: summary.into() }
    }

    /// Adds an output.
    pub fn output(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.outputs.push(NamedSecret::new(name, value));
        self
    }
}
