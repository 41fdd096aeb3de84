//! `ss explain`: the page of an error code.

use ss_core::diag::{codes, did_you_mean, explain};
use ss_engine::Failure;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;

/// Prints a page, or the list of codes.
pub fn run(context: &Context, code: Option<&str>) -> Result<Exit, CommandError> {
    let Some(code) = code else {
        if context.json {
            let all: Vec<_> = codes()
                .map(|(code, title)| serde_json::json!({"code": code, "title": title}))
                .collect();
            println!("{}", serde_json::json!({"version": 1, "kind": "explain", "codes": all}));
        } else {
            codes().for_each(|(code, title)| println!("{code}  {title}"));
        }
        return Ok(Exit::Ok);
    };
    match explain(code) {
        Some(page) if context.json => println!(
            "{}",
            serde_json::json!({"version": 1, "kind": "explain", "code": code, "page": page})
        ),
        Some(page) => print!("{page}"),
        None => {
            let failure = Failure::new("SS0001", format!("there is no code `{code}`"));
            let hint = did_you_mean(code, codes().map(|(known, _)| known));
            let hint = hint.unwrap_or_else(|| "`ss explain` lists them".to_owned());
            return Err(CommandError::new(Exit::Usage, failure.hint(hint)));
        }
    }
    Ok(Exit::Ok)
}
