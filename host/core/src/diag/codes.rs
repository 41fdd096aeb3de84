//! The table of codes. A code is never reused and never changes its meaning; each has a page in `codes/`.
//!
//! Those of [`Code`] are said of the user's files. The others are said by other rooms, which know them as text;
//! only their pages are here.

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
    Unreadable = "SS0110", "a file that is not there or cannot be read";

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
    UnknownBackend = "SS0211", "a backend of the state that does not exist";
    MissingBackendSetting = "SS0212", "a backend of the state without what it needs";
    ForeignBackendSetting = "SS0213", "a setting of another backend of the state";

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

    DamagedState = "SS0404", "a damaged file of the store";

    UnknownConnection = "SS0602", "an override of a connection that does not exist";
    UnusablePlugin = "SS0612", "a plugin cannot be loaded";
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

macro_rules! pages {
    ($($code:literal),* $(,)?) => {
        &[$(($code, include_str!(concat!("codes/", $code, ".md"))),)*]
    };
}

/// Codes of other rooms, with their pages.
const OTHERS: &[(&str, &str)] = pages![
    "SS0001", "SS0002", "SS0111", "SS0301", "SS0302", "SS0303", "SS0304", "SS0305", "SS0306",
    "SS0310", "SS0311", "SS0312", "SS0313", "SS0314", "SS0315", "SS0316", "SS0320", "SS0321",
    "SS0322", "SS0330", "SS0340", "SS0401", "SS0402", "SS0403", "SS0405", "SS0406", "SS0407",
    "SS0408", "SS0409", "SS0410", "SS0411", "SS0412", "SS0413", "SS0501", "SS0502", "SS0503",
    "SS0504", "SS0511", "SS0512", "SS0513", "SS0514", "SS0601", "SS0603", "SS0604", "SS0605",
    "SS0611", "SS0613", "SS0621", "SS0622", "SS0701", "SS0702", "SS0801", "SS0802", "SS0803",
    "SS0804",
];

/// Every code with its title, in order.
pub fn codes() -> impl Iterator<Item = (&'static str, &'static str)> {
    let own = Code::ALL.iter().map(|code| (code.as_str(), code.title()));
    let mut all: Vec<_> =
        own.chain(OTHERS.iter().map(|(code, page)| (*code, title(page)))).collect();
    all.sort_unstable();
    all.into_iter()
}

/// What stands after the code in a page's first line.
fn title(page: &'static str) -> &'static str {
    let heading = page.lines().next().unwrap_or_default();
    heading.split_once(": ").map_or(heading, |(_, title)| title)
}

/// The page of a code, in any case of letters; `None` when there is no such code.
pub fn explain(code: &str) -> Option<&'static str> {
    let own = Code::ALL.iter().map(|known| (known.as_str(), known.page()));
    let mut all = own.chain(OTHERS.iter().copied());
    all.find(|(known, _)| known.eq_ignore_ascii_case(code)).map(|(_, page)| page)
}
