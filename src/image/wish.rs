//! From what people type to what they mean: the values of a [`ConfigSpec`](super::ConfigSpec).

use serde_json::{Value, json};

use super::{ImageError, parse_strict};

/// Reads `NAME=VALUE` of an environment variable.
///
/// # Errors
/// [`ImageError::Wish`] without `=` or without a name.
pub fn env(text: &str) -> Result<(String, String), ImageError> {
    const HINT: &str = "write NAME=VALUE; a value is never taken from plywood's own environment";
    assignment("environment variable", text, HINT)
}

/// Reads `KEY=VALUE` of a label; a lone `KEY` has the empty value, as in Docker.
///
/// # Errors
/// [`ImageError::Wish`] without a key.
pub fn label(text: &str) -> Result<(String, String), ImageError> {
    if text.contains('=') {
        return assignment("label", text, "write KEY=VALUE");
    }
    assignment("label", &format!("{text}="), "write KEY=VALUE")
}

/// Reads `KEY=VALUE` of an annotation.
///
/// # Errors
/// [`ImageError::Wish`] without `=` or without a key.
pub fn annotation(text: &str) -> Result<(String, String), ImageError> {
    assignment("annotation", text, "write KEY=VALUE")
}

fn assignment(what: &'static str, text: &str, hint: &str) -> Result<(String, String), ImageError> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(ImageError::wish(what, text, "is not of the form NAME=VALUE").with_hint(hint)),
    }
}

/// Reads the words of `--cmd` or `--entrypoint`: one JSON array, or the flag once a word.
///
/// # Errors
/// [`ImageError::Wish`] for a single text with spaces, which would have to be
/// split by guessing, and for JSON that is not an array of strings.
pub fn command(what: &'static str, given: &[String]) -> Result<Vec<String>, ImageError> {
    let [single] = given else {
        return Ok(given.to_vec());
    };
    if single.trim_start().starts_with('[') {
        return words(what, single);
    }
    if single.is_empty() {
        let hint = "write [] for no words at all";
        return Err(ImageError::wish(what, single, "is an empty word").with_hint(hint));
    }
    if single.contains(char::is_whitespace) {
        let parts: Vec<_> = single.split_whitespace().collect();
        let hint = format!(
            "write {}, or give the flag once for each word",
            json!(parts)
        );
        let fault = "has spaces, and is never split";
        return Err(ImageError::wish(what, single, fault).with_hint(hint));
    }
    Ok(given.to_vec())
}

fn words(what: &'static str, text: &str) -> Result<Vec<String>, ImageError> {
    let list = parse_strict(text.as_bytes()).ok();
    let list = list.as_ref().and_then(Value::as_array);
    let words = list.and_then(|list| {
        let words = list.iter().map(|word| word.as_str().map(str::to_owned));
        words.collect::<Option<Vec<_>>>()
    });
    words.ok_or_else(|| {
        ImageError::wish(what, text, "is not a JSON array of strings")
            .with_hint(r#"write ["/bin/app", "--flag"]"#)
    })
}

/// Reads a health check: Docker's JSON object, `NONE`, or a command for the image's shell.
///
/// # Errors
/// [`ImageError::Wish`] for an object that Docker would not take.
pub fn healthcheck(text: &str) -> Result<Value, ImageError> {
    let refuse = |fault: &str| ImageError::wish("health check", text, fault);
    if text.trim().is_empty() {
        return Err(refuse("is empty"));
    }
    if text == "NONE" {
        return Ok(json!({ "Test": ["NONE"] }));
    }
    if !text.trim_start().starts_with('{') {
        return Ok(json!({ "Test": ["CMD-SHELL", text] }));
    }
    let value =
        parse_strict(text.as_bytes()).map_err(|fault| refuse(&format!("is not JSON: {fault}")))?;
    match healthcheck_fault(&value) {
        Some(fault) => Err(refuse(&fault)),
        None => Ok(value),
    }
}

fn healthcheck_fault(value: &Value) -> Option<String> {
    for (name, value) in value.as_object()? {
        let fits = match name.as_str() {
            "Test" => {
                let words = value.as_array().map(Vec::as_slice).unwrap_or_default();
                let kind = words.first().and_then(Value::as_str);
                words.iter().all(Value::is_string)
                    && matches!(kind, Some("NONE" | "CMD" | "CMD-SHELL"))
            }
            "Interval" | "Timeout" | "StartPeriod" | "StartInterval" => {
                value.as_u64().is_some_and(|n| n == 0 || n >= 1_000_000)
            }
            "Retries" => value.is_u64(),
            _ => return Some(format!("has an unknown member `{name}`")),
        };
        if !fits {
            return Some(format!("has a bad `{name}`"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments() {
        assert_eq!(env("A=b=c").unwrap(), ("A".into(), "b=c".into()));
        assert_eq!(env("A=").unwrap(), ("A".into(), String::new()));
        assert_eq!(label("a").unwrap(), ("a".into(), String::new()));
        assert!(env("A").is_err() && env("=x").is_err() && label("=x").is_err());
    }

    #[test]
    fn commands_are_never_split() {
        let command = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|w| (*w).to_owned()).collect();
            command("cmd", &words)
        };
        assert_eq!(command(&["/bin/x"]).unwrap(), ["/bin/x"]);
        assert_eq!(command(&["/bin/x", "a b"]).unwrap(), ["/bin/x", "a b"]);
        assert_eq!(
            command(&[r#"["/bin/x", "a b"]"#]).unwrap(),
            ["/bin/x", "a b"]
        );
        assert_eq!(command(&["[]"]).unwrap(), Vec::<String>::new());
        let error = command(&["/bin/x -v"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cmd `/bin/x -v` has spaces, and is never split"
        );
        assert_eq!(
            error.hint().unwrap(),
            r#"write ["/bin/x","-v"], or give the flag once for each word"#
        );
        assert!(command(&["[1]"]).is_err() && command(&[""]).is_err());
    }

    #[test]
    fn healthchecks() {
        assert_eq!(
            healthcheck("curl x").unwrap(),
            json!({"Test": ["CMD-SHELL", "curl x"]})
        );
        assert_eq!(healthcheck("NONE").unwrap(), json!({"Test": ["NONE"]}));
        let object = r#"{"Test":["CMD","a"],"Interval":30000000000,"Retries":3}"#;
        assert_eq!(healthcheck(object).unwrap()["Retries"], 3);
        for bad in [
            "",
            "{",
            r#"{"Test":["X"]}"#,
            r#"{"Interval":1}"#,
            r#"{"test":[]}"#,
            r#"{"Test":"a"}"#,
        ] {
            assert!(healthcheck(bad).is_err(), "{bad}");
        }
    }
}
