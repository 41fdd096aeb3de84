//! Reading an answer, never more of it than allowed.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use ss_core::redact::Redacted;
use ss_ports::{EgressError, HttpReply};

use crate::failure::innermost;

/// Reads the answer to its end. The client library bounds its headers.
pub(crate) async fn read(
    response: Response<Incoming>,
    body_bytes_max: usize,
    host: &str,
) -> Result<HttpReply, EgressError> {
    let (head, body) = response.into_parts();
    refuse_compression(&head.headers, host)?;
    let body = read_body(body, body_bytes_max, host).await?;
    Ok(HttpReply { status: head.status.as_u16(), headers: texts(&head.headers), body })
}

/// We asked for none. Taking such an answer as it is would hand compressed bytes on as JSON.
fn refuse_compression(headers: &HeaderMap, host: &str) -> Result<(), EgressError> {
    let plain = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    match headers.get_all(CONTENT_ENCODING).iter().all(plain) {
        true => Ok(()),
        false => Err(EgressError::Lost(format!(
            "the answer of `{host}` is compressed, though we asked for it uncompressed"
        ))),
    }
}

async fn read_body(
    mut body: Incoming,
    body_bytes_max: usize,
    host: &str,
) -> Result<Redacted<Vec<u8>>, EgressError> {
    let too_large = || {
        EgressError::TooLarge(format!(
            "the answer of `{host}` is larger than {body_bytes_max} bytes"
        ))
    };
    let cap = body_bytes_max as u64;
    if body.size_hint().lower() > cap {
        return Err(too_large());
    }
    let mut frames: Vec<Bytes> = Vec::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            EgressError::Lost(format!("the answer of `{host}` broke off: {}", innermost(&error)))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len() as u64;
        if length > cap {
            return Err(too_large());
        }
        frames.push(data);
    }
    // Joined at the end, in one allocation: a growing one would leave unwiped copies behind.
    Ok(Redacted::new(frames.concat()))
}

/// Repeated headers become one, comma-separated, as HTTP allows.
fn texts(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        texts
            .entry(name.as_str().to_owned())
            .and_modify(|text| *text = format!("{text}, {value}"))
            .or_insert_with(|| value.into_owned());
    }
    texts
}
