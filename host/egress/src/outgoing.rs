//! One `http::Request` out of ours: the headers that are always sent, and those that never are.

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use ss_core::redact::Redacted;
use ss_ports::{EgressError, HttpRequest};

use crate::destination::Destination;

const AGENT: &str = concat!("starsystem/", env!("CARGO_PKG_VERSION"));

/// Headers that only this room sets: they frame the message, pick its destination or prove who sends it.
const OURS: [&str; 12] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The request as it goes to the client library. Each attempt makes its own.
pub(crate) fn build(
    request: &HttpRequest,
    destination: &Destination,
) -> Result<Request<Full<Bytes>>, EgressError> {
    let method = match Method::from_bytes(request.method.as_bytes()) {
        Ok(method) if method != Method::CONNECT => method,
        _ => return Err(EgressError::Refused("the method is not one of HTTP's".to_owned())),
    };
    let body = request.body.clone().map(|body| Bytes::from_owner(Wiped(body))).unwrap_or_default();
    let mut outgoing = Request::new(Full::new(body));
    *outgoing.method_mut() = method;
    *outgoing.uri_mut() = destination.uri.clone();
    *outgoing.headers_mut() = headers(request)?;
    Ok(outgoing)
}

fn headers(request: &HttpRequest) -> Result<HeaderMap, EgressError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    if request.body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in &request.headers {
        let refused =
            |why| EgressError::Refused(format!("the header `{}` {why}", name.escape_debug()));
        if OURS.contains(&name.as_str()) || name.starts_with("proxy-") {
            return Err(refused("is not the caller's to set"));
        }
        let name = HeaderName::from_lowercase(name.as_bytes())
            .map_err(|_| refused("is not a lower-case name"))?;
        let value =
            HeaderValue::from_str(value).map_err(|_| refused("has a value that cannot be sent"))?;
        headers.insert(name, value);
    }
    // Control-plane answers are small. Uncompressed, one cap on their size is enough: nothing can unpack to more.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(authorization) = &request.authorization {
        let mut value = HeaderValue::from_str(authorization.expose()).map_err(|_| {
            EgressError::Refused(
                "the credential holds characters that no header can carry".to_owned(),
            )
        })?;
        // Debug output prints `Sensitive`, and HTTP/2 leaves the value out of its compression tables.
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// A body that is wiped when the client library lets go of it.
struct Wiped(Redacted<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        self.0.expose()
    }
}

#[cfg(test)]
mod tests {
    use ss_core::redact::Secret;
    use ss_ports::RetryRules;

    use super::*;

    fn request(headers: &[(&str, &str)]) -> HttpRequest {
        HttpRequest {
            connection: "neon-api".into(),
            operation: "createProject".into(),
            service: None,
            route: "/".into(),
            method: "POST".into(),
            url: "https://neon.test/v2/projects".into(),
            local: false,
            authorization: Some(Secret::from("Bearer canary-word")),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            body: Some(Redacted::new(b"{}".to_vec())),
            timeout_ms: 1,
            retry: RetryRules::default(),
            rate: None,
        }
    }

    fn build_one(request: &HttpRequest) -> Result<Request<Full<Bytes>>, EgressError> {
        build(request, &Destination::parse(&request.url, false).unwrap())
    }

    #[test]
    fn sends_what_is_always_sent() {
        let outgoing =
            build_one(&request(&[("traceparent", "00-1"), ("accept", "text/plain")])).unwrap();
        let expected = [
            ("accept", "text/plain"),
            ("accept-encoding", "identity"),
            ("authorization", "Bearer canary-word"),
            ("content-type", "application/json"),
            ("traceparent", "00-1"),
            ("user-agent", AGENT),
        ];
        assert_eq!(outgoing.headers().len(), expected.len());
        for (name, value) in expected {
            assert_eq!(outgoing.headers()[name], value, "{name}");
        }
        assert!(!format!("{outgoing:?}").contains("canary-word"));
    }

    #[test]
    fn refuses_headers_that_are_not_the_callers() {
        for name in OURS.into_iter().chain(["proxy-authorization", "Host", "a b", "", "x\r\ny"]) {
            let error = build_one(&request(&[(name, "canary-word")])).unwrap_err();
            assert!(
                matches!(&error, EgressError::Refused(why) if !why.contains("canary-word")),
                "{name}"
            );
        }
        assert!(build_one(&request(&[("x-a", "one\r\nhost: other")])).is_err());
    }

    #[test]
    fn refuses_methods_that_are_none() {
        for method in ["CONNECT", "", "GET /", "G\r\nT"] {
            let request = HttpRequest { method: method.into(), ..request(&[]) };
            assert!(matches!(build_one(&request), Err(EgressError::Refused(_))), "{method}");
        }
    }

    #[test]
    fn a_credential_that_no_header_can_carry_is_refused_unprinted() {
        let authorization = Some(Secret::from("Bearer canary\nword"));
        let error = build_one(&HttpRequest { authorization, ..request(&[]) }).unwrap_err();
        assert!(matches!(&error, EgressError::Refused(why) if !why.contains("canary")));
    }
}
