//! Every field of the two files, once: what it takes, where it may stand, what it means.
//!
//! The checks, the JSON Schema and the suggestions all read this table.

use super::rule::Rule;

/// What a value must look like.
pub(super) enum Shape {
    /// Anything; someone else checks it.
    Any,
    /// Text that keeps a rule.
    Text(Rule),
    /// `true` or `false`.
    Bool,
    /// A list, each entry once.
    List(&'static Shape),
    /// Exactly these fields.
    Object(&'static [Field]),
    /// These fields and any others.
    Open(&'static [Field]),
    /// Fields whose names are the user's.
    Map {
        /// What the names must look like.
        key: Rule,
        /// What each of them holds.
        value: &'static Shape,
        /// What a name names, with its article.
        each: &'static str,
    },
}

/// In which file a field may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Both.
    Both,
    /// `starsystem.yaml`.
    Base,
    /// `starsystem.<env>.yaml`.
    Overlay,
}

/// Whether a file must say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Every file.
    Required,
    /// Base and overlay together.
    Merged,
    /// Nobody.
    Optional,
}

/// A field.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) place: Place,
    pub(super) need: Need,
    /// For editors and for people.
    pub(super) doc: &'static str,
}

const fn field(
    name: &'static str,
    shape: Shape,
    place: Place,
    need: Need,
    doc: &'static str,
) -> Field {
    Field { name, shape, place, need, doc }
}

use Need::{Merged, Optional, Required};
use Place::{Base, Both, Overlay};
use Shape::{Any, Bool, List, Map, Object, Open, Text};

/// The whole file. Names that begin with `x-` are the user's own, for anchors.
pub(super) static ROOT: Shape = Object(ROOT_FIELDS);

static ROOT_FIELDS: &[Field] = &[
    field("version", Text(Rule::Version), Both, Required, "Version of the file format: \"2\"."),
    field("name", Text(Rule::System), Base, Required, "Name of the system."),
    field(
        "environment",
        Text(Rule::Environment),
        Overlay,
        Required,
        "The environment of this overlay.",
    ),
    field(
        "services",
        Map { key: Rule::Service, value: &Object(SERVICE), each: "a service" },
        Both,
        Merged,
        "The services, by id.",
    ),
    field(
        "plugins",
        Map { key: Rule::Plugin, value: &Text(Rule::Reference), each: "a plugin" },
        Both,
        Optional,
        "Provisioners that are not first-party: name to a path beside this file or an OCI reference.",
    ),
    field(
        "connections",
        Map { key: Rule::Connection, value: &Object(CONNECTION), each: "a connection" },
        Overlay,
        Optional,
        "Connections of provisioners that point elsewhere in this environment.",
    ),
    field(
        "state",
        Object(STATE),
        Overlay,
        Optional,
        "Where the state is kept, for machines that share it. Default: beside this file and in the home of `ss`.",
    ),
    field("_state", Any, Overlay, Optional, "Written by `ss`: what exists. Never edit it."),
];

static SERVICE: &[Field] = &[
    field(
        "type",
        Text(Rule::NotEmpty),
        Both,
        Merged,
        "What the service is, e.g. `database` or `process`.",
    ),
    field("description", Text(Rule::Any), Both, Optional, "One line for people."),
    field(
        "capabilities",
        List(&Text(Rule::NotEmpty)),
        Both,
        Optional,
        "What the service can do, e.g. `relational`.",
    ),
    field(
        "depends_on",
        List(&Text(Rule::Service)),
        Both,
        Optional,
        "Services that must be deployed before this one.",
    ),
    field(
        "inject_from",
        Map { key: Rule::Service, value: &List(&Text(Rule::Variable)), each: "a service" },
        Both,
        Optional,
        "Credentials of other services handed to this one: service to names.",
    ),
    field(
        "target",
        Open(TARGET),
        Both,
        Optional,
        "Where the service runs. Without it the service is skipped.",
    ),
    field("protect", Bool, Both, Optional, "Refuses to replace or destroy the service."),
];

/// The fields of every target; all others are the provisioner's.
pub(super) static TARGET: &[Field] = &[
    field("type", Text(Rule::NotEmpty), Both, Merged, "Picks the provisioner."),
    field(
        "credential_env",
        Text(Rule::Variable),
        Both,
        Optional,
        "Environment variable that holds the provider's token.",
    ),
];

static CONNECTION: &[Field] = &[field(
    "base_url",
    Text(Rule::Url),
    Overlay,
    Required,
    "Where the API is reached in this environment.",
)];

/// Which of them a backend takes is in [`super::backend`].
static STATE: &[Field] = &[
    field(
        "backend",
        Text(Rule::Backend),
        Overlay,
        Required,
        "The kind of place: `s3` or `postgres`.",
    ),
    field("bucket", Text(Rule::Bucket), Overlay, Optional, "s3: the bucket's name."),
    field(
        "prefix",
        Text(Rule::Prefix),
        Overlay,
        Optional,
        "s3: what stands before every name in the bucket.",
    ),
    field("region", Text(Rule::Region), Overlay, Optional, "s3: the bucket's region."),
    field(
        "endpoint",
        Text(Rule::Url),
        Overlay,
        Optional,
        "s3: the service's address when it is not AWS.",
    ),
    field(
        "url_env",
        Text(Rule::Variable),
        Overlay,
        Optional,
        "postgres: the environment variable that holds the database's address.",
    ),
];
