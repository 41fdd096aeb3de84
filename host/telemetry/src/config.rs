//! The `OTEL_*` variables, read once. Pure: the environment is handed in.

use std::path::PathBuf;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Uri};
use percent_encoding::percent_decode_str;

use crate::ids::{Parent, TraceId, random};
use crate::span::{Attributes, Value};

const TRACES_PATH: &str = "/v1/traces";
const ENDPOINT_DEFAULT: &str = "http://localhost:4318";
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// Headers that frame the message.
const OURS: [HeaderName; 3] = [CONTENT_LENGTH, CONTENT_TYPE, HOST];

/// Whether and how traces are sent.
#[derive(Debug)]
pub enum Decision {
    /// Nobody asked for them, or somebody asked not to.
    Off,
    /// They are sent.
    On(Box<Config>),
    /// They were asked for in a way that cannot be followed; nothing is sent.
    Unusable(String),
}

/// How the body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Protobuf,
    Json,
}

/// Everything about sending traces.
#[derive(Debug)]
pub struct Config {
    pub(crate) endpoint: Uri,
    pub(crate) protocol: Protocol,
    /// Marked sensitive: a collector's key is among them.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) gzip: bool,
    pub(crate) timeout: Duration,
    /// A file with certificates to trust beside Mozilla's.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) resource: Attributes,
    pub(crate) trace: TraceId,
    pub(crate) parent: Option<Parent>,
    /// Whether requests to providers carry a `traceparent`.
    pub(crate) propagate: bool,
}

impl Config {
    /// Reads the variables. An empty one counts as not set.
    pub fn read(variable: &dyn Fn(&str) -> Option<String>) -> Decision {
        let variable = |name: &str| {
            variable(name).map(|text| text.trim().to_owned()).filter(|t| !t.is_empty())
        };
        match read(&variable) {
            Ok(Some(config)) => Decision::On(Box::new(config)),
            Ok(None) => Decision::Off,
            Err(why) => Decision::Unusable(why),
        }
    }
}

type Variable<'v> = &'v dyn Fn(&str) -> Option<String>;

fn read(variable: Variable<'_>) -> Result<Option<Config>, String> {
    if variable("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let exporter = variable("OTEL_TRACES_EXPORTER");
    match exporter.as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(None),
        Some(other) => {
            return Err(format!("OTEL_TRACES_EXPORTER is `{other}`; `otlp` and `none` are known"));
        }
    }
    let Some(endpoint) = endpoint(variable, exporter.is_some())? else { return Ok(None) };
    let parent = variable("TRACEPARENT").and_then(|text| Parent::parse(&text));
    let trace = parent.map_or_else(random, |parent| parent.trace);
    if !sampled(variable, parent, &trace)? {
        return Ok(None);
    }
    let propagators = variable("OTEL_PROPAGATORS");
    Ok(Some(Config {
        endpoint,
        protocol: protocol(variable)?,
        headers: headers(variable)?,
        gzip: gzip(variable)?,
        timeout: timeout(variable)?,
        certificate: of_traces(variable, "CERTIFICATE").map(PathBuf::from),
        resource: resource(variable),
        trace,
        parent,
        propagate: propagators
            .is_none_or(|names| names.split(',').any(|name| name.trim() == "tracecontext")),
    }))
}

/// The variable for traces, or the one for all signals.
fn of_traces(variable: Variable<'_>, name: &str) -> Option<String> {
    variable(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"))
        .or_else(|| variable(&format!("OTEL_EXPORTER_OTLP_{name}")))
}

fn endpoint(variable: Variable<'_>, asked: bool) -> Result<Option<Uri>, String> {
    let (name, text) = if let Some(text) = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", text)
    } else {
        let base = match variable("OTEL_EXPORTER_OTLP_ENDPOINT") {
            Some(base) => base,
            None if asked => ENDPOINT_DEFAULT.to_owned(),
            None => return Ok(None),
        };
        let base = base.trim_end_matches('/');
        let whole = if base.ends_with(TRACES_PATH) {
            base.to_owned()
        } else {
            format!("{base}{TRACES_PATH}")
        };
        ("OTEL_EXPORTER_OTLP_ENDPOINT", whole)
    };
    // The value is not repeated: it may hold a key.
    let bad = || format!("{name} is not an http or https URL");
    let uri: Uri = text.parse().map_err(|_| bad())?;
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    if !web || uri.host().is_none_or(str::is_empty) || text.contains('@') {
        return Err(bad());
    }
    Ok(Some(uri))
}

fn protocol(variable: Variable<'_>) -> Result<Protocol, String> {
    match of_traces(variable, "PROTOCOL").as_deref() {
        None | Some("http/protobuf") => Ok(Protocol::Protobuf),
        Some("http/json") => Ok(Protocol::Json),
        Some(other) => Err(format!(
            "OTEL_EXPORTER_OTLP_PROTOCOL is `{other}`; `http/protobuf` and `http/json` are known"
        )),
    }
}

fn gzip(variable: Variable<'_>) -> Result<bool, String> {
    match of_traces(variable, "COMPRESSION").as_deref() {
        None | Some("none") => Ok(false),
        Some("gzip") => Ok(true),
        Some(other) => {
            Err(format!("OTEL_EXPORTER_OTLP_COMPRESSION is `{other}`; `gzip` and `none` are known"))
        }
    }
}

fn timeout(variable: Variable<'_>) -> Result<Duration, String> {
    let Some(text) = of_traces(variable, "TIMEOUT") else { return Ok(TIMEOUT_DEFAULT) };
    match text.parse() {
        Ok(ms) if ms > 0 => Ok(Duration::from_millis(ms)),
        _ => Err("OTEL_EXPORTER_OTLP_TIMEOUT is not a number of milliseconds".to_owned()),
    }
}

/// `name=value,name=value`, percent-encoded.
fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    let decoded = |text: &str| percent_decode_str(text.trim()).decode_utf8_lossy().into_owned();
    text.split(',').filter_map(move |pair| {
        let (name, value) = pair.split_once('=')?;
        Some((decoded(name), decoded(value))).filter(|(name, _)| !name.is_empty())
    })
}

fn headers(variable: Variable<'_>) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let Some(text) = of_traces(variable, "HEADERS") else { return Ok(Vec::new()) };
    let header = |(name, value): (String, String)| {
        let parsed =
            HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(&value).ok());
        let Some((name, mut value)) = parsed.filter(|(name, _)| !OURS.contains(name)) else {
            return Err("OTEL_EXPORTER_OTLP_HEADERS holds a header that cannot be sent".to_owned());
        };
        value.set_sensitive(true);
        Ok((name, value))
    };
    pairs(&text).map(header).collect()
}

/// Who sends: `service.name` is `starsystem` unless the user says otherwise.
fn resource(variable: Variable<'_>) -> Attributes {
    let fixed = [
        ("service.name", "starsystem"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("telemetry.sdk.name", "starsystem"),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
    ];
    let mut all: Attributes =
        fixed.map(|(name, value)| (name.to_owned(), Value::from(value))).to_vec();
    let mut put = |name: String, value: String| {
        all.retain(|(known, _)| *known != name);
        all.push((name, Value::Text(value)));
    };
    for (name, value) in variable("OTEL_RESOURCE_ATTRIBUTES").iter().flat_map(|text| pairs(text)) {
        put(name, value);
    }
    if let Some(name) = variable("OTEL_SERVICE_NAME") {
        put("service.name".to_owned(), name);
    }
    all
}

fn sampled(
    variable: Variable<'_>,
    parent: Option<Parent>,
    trace: &TraceId,
) -> Result<bool, String> {
    let sampler =
        variable("OTEL_TRACES_SAMPLER").unwrap_or_else(|| "parentbased_always_on".to_owned());
    let root = match (sampler.strip_prefix("parentbased_"), parent) {
        (Some(_), Some(parent)) => return Ok(parent.sampled),
        (Some(root), None) => root,
        (None, _) => &sampler,
    };
    match root {
        "always_on" => Ok(true),
        "always_off" => Ok(false),
        "traceidratio" => {
            let text = variable("OTEL_TRACES_SAMPLER_ARG").unwrap_or_else(|| "1".to_owned());
            let ratio = text.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
            let ratio = ratio.ok_or("OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1")?;
            let low = trace[12..].try_into().map(u32::from_be_bytes).unwrap_or_default();
            Ok(f64::from(low) < ratio * (f64::from(u32::MAX) + 1.0))
        }
        _ => Err(format!("OTEL_TRACES_SAMPLER `{sampler}` is not known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(set: &[(&str, &str)]) -> Decision {
        Config::read(&|name| {
            set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn on(set: &[(&str, &str)]) -> Config {
        match decide(set) {
            Decision::On(config) => *config,
            other => panic!("{set:?}: {other:?}"),
        }
    }

    const BASE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.test");

    #[test]
    fn off_unless_asked_for() {
        for set in [
            &[][..],
            &[("OTEL_EXPORTER_OTLP_HEADERS", "a=b")],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
            &[BASE, ("OTEL_SDK_DISABLED", "TRUE")],
            &[BASE, ("OTEL_TRACES_EXPORTER", "none")],
            &[BASE, ("OTEL_TRACES_SAMPLER", "always_off")],
            &[BASE, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0")],
            &[BASE, ("TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")],
        ] {
            assert!(matches!(decide(set), Decision::Off), "{set:?}");
        }
    }

    #[test]
    fn endpoints_are_written_both_ways() {
        let endpoint = |name, value| on(&[(name, value)]).endpoint.to_string();
        for (value, expected) in [
            ("https://api.honeycomb.io", "https://api.honeycomb.io/v1/traces"),
            ("https://api.honeycomb.io/", "https://api.honeycomb.io/v1/traces"),
            ("https://api.honeycomb.io/v1/traces", "https://api.honeycomb.io/v1/traces"),
            ("https://api.honeycomb.io/v1/traces/", "https://api.honeycomb.io/v1/traces"),
            ("http://10.0.0.1:4318/otlp", "http://10.0.0.1:4318/otlp/v1/traces"),
        ] {
            assert_eq!(endpoint("OTEL_EXPORTER_OTLP_ENDPOINT", value), expected);
        }
        let exact = "https://collector.test/custom";
        assert_eq!(endpoint("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", exact), exact);
        assert_eq!(endpoint("OTEL_TRACES_EXPORTER", "otlp"), "http://localhost:4318/v1/traces");
        let both = on(&[BASE, ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", exact)]);
        assert_eq!(both.endpoint.to_string(), exact);
    }

    #[test]
    fn what_cannot_be_followed_is_said_without_its_value() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "canary"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://canary"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://canary@collector.test"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "host=canary"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=canary%0a"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "canary"),
            ("OTEL_TRACES_SAMPLER_ARG", "canary"),
        ] {
            let set = [("OTEL_TRACES_SAMPLER", "traceidratio"), (name, value), BASE];
            match decide(&set) {
                Decision::Unusable(why) => assert!(!why.contains("canary"), "{why}"),
                other => panic!("{name}={value}: {other:?}"),
            }
        }
        assert!(matches!(
            decide(&[BASE, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]),
            Decision::Unusable(_)
        ));
    }

    #[test]
    fn traces_have_variables_of_their_own() {
        let config = on(&[
            BASE,
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-team=all"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-team=a%20b, x-set = c"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ("OTEL_PROPAGATORS", "none"),
        ]);
        let headers: Vec<_> =
            config.headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        assert_eq!(headers, [("x-team", "a b"), ("x-set", "c")]);
        assert!(!format!("{config:?}").contains("a b"));
        assert_eq!((config.protocol, config.gzip), (Protocol::Json, true));
        assert_eq!((config.timeout.as_millis(), config.propagate), (250, false));
    }

    #[test]
    fn the_resource_can_be_added_to_and_renamed() {
        let named = |set: &[(&str, &str)]| {
            let mut all: Vec<_> = on(set).resource;
            all.retain(|(name, _)| matches!(name.as_str(), "service.name" | "team"));
            all
        };
        let text = |name: &str, value: &str| (name.to_owned(), Value::from(value));
        assert_eq!(named(&[BASE]), [text("service.name", "starsystem")]);
        let more = ("OTEL_RESOURCE_ATTRIBUTES", "team=a%2Cb,service.name=x");
        assert_eq!(named(&[BASE, more]), [text("team", "a,b"), text("service.name", "x")]);
        let renamed = named(&[BASE, more, ("OTEL_SERVICE_NAME", "y")]);
        assert_eq!(renamed, [text("team", "a,b"), text("service.name", "y")]);
    }
}
