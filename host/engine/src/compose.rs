//! Secrets made of secrets: a template with `{name}` and `{name|url}`, filled where nobody looks.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ss_core::redact::Secret;
use ss_gate::call::NamedSecret;
use ss_gate::decide::Origin;

/// Longest secret that can be composed, in bytes.
const BYTES_MAX: usize = 64 * 1024;
/// Secrets that one call may compose: every one of them is looked for in every text from then on.
pub(crate) const COMPOSED_MAX: u32 = 100;

/// Fills the template. The result may be sent where inputs may be sent only when every part is an input.
pub(crate) fn compose(
    template: &str,
    parts: &[NamedSecret],
    secrets: &[(Secret, Origin)],
) -> Result<(Secret, Origin), String> {
    let mut text = String::new();
    let mut origin = Origin::Input;
    let mut rest = template;
    while let Some((before, from)) = rest.split_once('{') {
        text.push_str(before);
        let (placeholder, after) = from.split_once('}').ok_or("a `{` without its `}`")?;
        let (name, encode) = match placeholder.strip_suffix("|url") {
            Some(name) => (name, true),
            None => (placeholder, false),
        };
        let part = parts
            .iter()
            .find(|part| part.name == name)
            .ok_or_else(|| format!("no part is called `{name}`"))?;
        let (secret, from) = secrets
            .get(part.value as usize)
            .ok_or_else(|| format!("there is no secret#{}", part.value))?;
        if *from == Origin::Captured {
            origin = Origin::Captured;
        }
        if encode {
            text.extend(utf8_percent_encode(secret.expose(), NON_ALPHANUMERIC));
        } else {
            text.push_str(secret.expose());
        }
        if text.len() > BYTES_MAX {
            return Err("the result is too long".to_owned());
        }
        rest = after;
    }
    text.push_str(rest);
    Ok((Secret::new(text), origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_encodes_and_remembers_where_parts_came_from() {
        let secrets =
            [(Secret::from("p@ss"), Origin::Input), (Secret::from("host"), Origin::Captured)];
        let part = |name: &str, value| NamedSecret { name: name.to_owned(), value };
        let (secret, origin) = compose("u:{p|url}@x/{p}", &[part("p", 0)], &secrets).unwrap();
        assert_eq!(secret.expose(), "u:p%40ss@x/p@ss");
        assert_eq!(origin, Origin::Input);
        let (_, origin) = compose("{p}{h}", &[part("p", 0), part("h", 1)], &secrets).unwrap();
        assert_eq!(origin, Origin::Captured);
        assert!(compose("{q}", &[], &secrets).is_err());
        assert!(compose("{p", &[part("p", 0)], &secrets).is_err());
        assert!(compose("{p}", &[part("p", 9)], &secrets).is_err());
    }
}
