//! The table of codes. A code is never reused and never changes its meaning; each has a page in `codes/`.

use std::fmt;

macro_rules! table {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $title:literal;)*) => {
        /// The stable code of a diagnostic.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = $title] $name,)* }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Self::$name,)*];

            /// The code itself: `SS0201`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What it is about, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// Its page: what, why, an example, the fix.
            pub fn page(self) -> &'static str {
                match self { $(Self::$name => include_str!(concat!("codes/", $text, ".md")),)* }
            }
        }
    };
}

table! {
    TooManyProblems = "SS0100", "more problems than are shown";
    Syntax = "SS0101", "not valid YAML";
    DuplicateKey = "SS0102", "a key is given twice";
    TooLarge = "SS0103", "larger or deeper than a configuration may be";
    TooManyAliases = "SS0104", "aliases that grow too large";
    NotText = "SS0105", "not a text file";
    NotOneMap = "SS0106", "not one YAML document with fields";
    UnsupportedYaml = "SS0107", "a part of YAML that is not used here";
    AmbiguousNumber = "SS0108", "a number that would not be kept as written";
    UnknownAnchor = "SS0109", "an alias without its anchor";

    UnknownField = "SS0201", "a field that does not exist";
    WrongType = "SS0202", "a value of the wrong type";
    MissingField = "SS0203", "a field is missing";
    WrongVersion = "SS0204", "a `version` that is not \"2\"";
    InvalidName = "SS0205", "a name that is not allowed";
    WrongEnvironment = "SS0206", "an overlay for another environment";
    NotInBase = "SS0207", "a service that only the overlay has";
    RepeatedEntry = "SS0208", "a list names something twice";
    WrongFile = "SS0209", "a field in the wrong file";
    InvalidUrl = "SS0210", "a `base_url` that is not a URL";

    UnknownDependency = "SS0221", "`depends_on` names no service";
    Cycle = "SS0222", "services that depend on each other in a circle";
    UnknownSource = "SS0223", "`inject_from` names no service";
    SourceNotBefore = "SS0224", "`inject_from` a service that is not in `depends_on`";
    NameClash = "SS0225", "an injected name that `env` sets too";
    NameTwice = "SS0226", "one name injected from two services";
    UnknownOutput = "SS0227", "a name that its source does not give";
    SourceWithoutTarget = "SS0228", "`inject_from` a service without a target here";
    UnknownService = "SS0229", "`--service` names no service";
    TooManyDependencies = "SS0230", "too many dependencies through services without a target";

    UnknownTargetType = "SS0241", "a target type that no provisioner offers";
    UnknownTargetField = "SS0242", "a field that the target does not have";
    MissingTargetField = "SS0243", "a field that the target needs";
    WrongTargetValue = "SS0244", "a value that the target does not take";
    UnusableSchema = "SS0245", "a provisioner whose schema cannot be used";
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Every code with its title, in order.
pub fn codes() -> impl Iterator<Item = (&'static str, &'static str)> {
    Code::ALL.iter().map(|code| (code.as_str(), code.title()))
}

/// The page of a code, in any case of letters; `None` when there is no such code.
pub fn explain(code: &str) -> Option<&'static str> {
    Code::ALL.iter().find(|known| known.as_str().eq_ignore_ascii_case(code)).map(|code| code.page())
}
