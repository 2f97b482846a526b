//! [`ConfigSpec`]: what a new image's configuration shall say, as meant.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::annotations::{self, Annotations};
use super::config::is_port;
use super::{ImageError, Platform, time};

/// Everything that can be said about an image beside its files.
///
/// Nothing is looked up: an unset platform or date stays unset, or is the base's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigSpec {
    /// What the image runs on; else what `start` or the base says.
    pub platform: Option<Platform>,
    /// The configuration to start from, see [`super::start::read`].
    pub start: Option<Map<String, Value>>,
    /// Environment variables in order; each name once.
    pub env: Vec<(String, String)>,
    /// The program that is always run; an empty list takes the base's away.
    pub entrypoint: Option<Vec<String>>,
    /// Its default arguments, or the default program.
    pub cmd: Option<Vec<String>>,
    /// `USER[:GROUP]`, names or numbers.
    pub user: Option<String>,
    /// Absolute path.
    pub working_dir: Option<String>,
    /// Labels by key.
    pub labels: Annotations,
    /// `PORT[/tcp|/udp]`.
    pub exposed_ports: BTreeSet<String>,
    /// Absolute paths.
    pub volumes: BTreeSet<String>,
    /// `SIGTERM` and the like.
    pub stop_signal: Option<String>,
    /// Docker's health check object, see [`super::wish::healthcheck`].
    pub healthcheck: Option<Value>,
    /// Who made the image.
    pub author: Option<String>,
    /// RFC 3339; left out of the image if `None`.
    pub created: Option<String>,
}

impl ConfigSpec {
    /// Holds every wish against the specification, before anything is built.
    ///
    /// # Errors
    /// [`ImageError::Wish`] for the first that it does not allow.
    pub fn check(&self) -> Result<(), ImageError> {
        self.check_env()?;
        for (what, words) in [("entrypoint", &self.entrypoint), ("cmd", &self.cmd)] {
            for word in words.iter().flatten() {
                refuse_nul(what, word)?;
            }
        }
        check_each("user", &self.user, user_fault)?;
        check_each("working directory", &self.working_dir, path_fault)?;
        check_each("volume", &self.volumes, path_fault)?;
        check_each("port", &self.exposed_ports, |port| {
            (!is_port(port))
                .then_some("is not PORT, PORT/tcp or PORT/udp with a port from 1 to 65535")
        })?;
        check_each("stop signal", &self.stop_signal, |signal| {
            (!is_signal(signal)).then_some("is not a signal such as SIGTERM or SIGRTMIN+3")
        })?;
        check_each("date", &self.created, |date| {
            (!time::is_rfc3339(date)).then_some("is not a date and time of RFC 3339")
        })?;
        annotations::check("label", &self.labels)
    }

    fn check_env(&self) -> Result<(), ImageError> {
        let mut names = BTreeSet::new();
        for (name, value) in &self.env {
            let shown = format!("{name}={value}");
            refuse_nul("environment variable", &shown)?;
            if name.is_empty() || name.contains('=') {
                let fault = "is not of the form NAME=VALUE";
                return Err(ImageError::wish("environment variable", &shown, fault));
            }
            if !names.insert(name) {
                return Err(ImageError::wish(
                    "environment variable",
                    name,
                    "is set twice",
                ));
            }
        }
        Ok(())
    }

    /// The wishes as members of a configuration's `config`.
    pub(super) fn runtime(&self) -> Map<String, Value> {
        let env: Vec<_> = self.env.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let keys = |set: &BTreeSet<String>| -> Map<String, Value> {
            set.iter().map(|key| (key.clone(), json!({}))).collect()
        };
        let wishes = [
            ("Env", (!env.is_empty()).then(|| json!(env))),
            (
                "Entrypoint",
                self.entrypoint.as_ref().map(|words| json!(words)),
            ),
            ("Cmd", self.cmd.as_ref().map(|words| json!(words))),
            ("User", self.user.as_ref().map(|user| json!(user))),
            (
                "WorkingDir",
                self.working_dir.as_ref().map(|dir| json!(dir)),
            ),
            ("Labels", Some(json!(self.labels))),
            ("ExposedPorts", Some(keys(&self.exposed_ports).into())),
            ("Volumes", Some(keys(&self.volumes).into())),
            (
                "StopSignal",
                self.stop_signal.as_ref().map(|signal| json!(signal)),
            ),
            ("Healthcheck", self.healthcheck.clone()),
        ];
        let wishes = wishes.into_iter();
        wishes
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }
}

fn check_each<'a>(
    what: &'static str,
    values: impl IntoIterator<Item = &'a String>,
    fault: impl Fn(&str) -> Option<&'static str>,
) -> Result<(), ImageError> {
    for value in values {
        if let Some(fault) = fault(value) {
            return Err(ImageError::wish(what, value, fault));
        }
    }
    Ok(())
}

fn refuse_nul(what: &'static str, text: &str) -> Result<(), ImageError> {
    if text.contains('\0') {
        return Err(ImageError::wish(what, text, "has a NUL character"));
    }
    Ok(())
}

/// Why `path` cannot be a directory inside an image.
fn path_fault(path: &str) -> Option<&'static str> {
    // `C:\app`: what Windows images say is theirs to know.
    if path.get(1..3) == Some(":\\") {
        return None;
    }
    if !path.starts_with('/') {
        return Some("is not absolute");
    }
    if path.contains('\0') {
        return Some("has a NUL character");
    }
    let dots = path.split('/').any(|part| matches!(part, "." | ".."));
    dots.then_some("has a `.` or `..` part")
}

/// Why `user` is not `USER[:GROUP]`.
pub(crate) fn user_fault(user: &str) -> Option<&'static str> {
    if user.len() > 256 {
        return Some("is longer than 256 characters");
    }
    let (name, group) = user.split_once(':').unwrap_or((user, "0"));
    [name, group].into_iter().find_map(|part| {
        if part.is_empty() {
            Some("has an empty user or group")
        } else if part.bytes().all(|b| b.is_ascii_digit()) {
            let fits = part.parse::<u32>().is_ok();
            (!fits).then_some("has a number above 4294967295")
        } else if part.starts_with(['-', '+']) {
            Some("has a user or group that starts with a sign")
        } else {
            let strange =
                |c: char| c.is_whitespace() || c.is_control() || matches!(c, ':' | '/' | ',');
            part.contains(strange)
                .then_some("is not of the form USER[:GROUP], names or numbers")
        }
    })
}

/// Whether `text` is a signal of Linux: `SIGTERM`, `SIGRTMIN+3`, or its number.
pub(crate) fn is_signal(text: &str) -> bool {
    const NAMES: [&str; 35] = [
        "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT",
        "KILL", "PIPE", "POLL", "PROF", "PWR", "QUIT", "RTMAX", "RTMIN", "SEGV", "STKFLT", "STOP",
        "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH",
        "XCPU",
    ];
    if let Ok(number) = text.parse::<u8>() {
        return (1..=64).contains(&number) && !text.starts_with(['0', '+']);
    }
    let Some(name) = text.strip_prefix("SIG") else {
        return false;
    };
    let realtime = name
        .strip_prefix("RTMIN+")
        .or_else(|| name.strip_prefix("RTMAX-"));
    let offset = |n: &str| n.parse::<u8>().is_ok_and(|n| n <= 30) && !n.starts_with('+');
    NAMES.contains(&name) || name == "XFSZ" || realtime.is_some_and(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users() {
        for good in [
            "0",
            "0:0",
            "4294967295",
            "nobody",
            "www-data:www-data",
            "a.b:1",
            "svc$",
        ] {
            assert_eq!(user_fault(good), None, "{good}");
        }
        let long = "x".repeat(1 << 20);
        for bad in [
            "",
            ":",
            "0:",
            ":0",
            "4294967296",
            "-1",
            "1:-1",
            "a b",
            "a:b:c",
            "a\n",
            &long,
        ] {
            assert!(user_fault(bad).is_some(), "{bad:.20}");
        }
    }

    #[test]
    fn signals() {
        for good in [
            "SIGTERM",
            "SIGKILL",
            "SIGRTMIN+3",
            "SIGRTMAX-1",
            "9",
            "SIGXFSZ",
        ] {
            assert!(is_signal(good), "{good}");
        }
        for bad in [
            "",
            "TERM",
            "SIGNOPE",
            "sigterm",
            "0",
            "65",
            "SIGRTMIN+",
            "SIGRTMIN+99",
            "+9",
        ] {
            assert!(!is_signal(bad), "{bad}");
        }
    }

    #[test]
    fn refuses_bad_wishes() {
        let env = |list: &[(&str, &str)]| ConfigSpec {
            env: list
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            ..ConfigSpec::default()
        };
        let port = |port: &str| ConfigSpec {
            exposed_ports: [port.to_owned()].into(),
            ..ConfigSpec::default()
        };
        let dir = |dir: &str| ConfigSpec {
            working_dir: Some(dir.to_owned()),
            ..ConfigSpec::default()
        };
        let label = |key: &str| ConfigSpec {
            labels: [(key.to_owned(), String::new())].into(),
            ..ConfigSpec::default()
        };
        for (spec, message) in [
            (
                env(&[("", "x")]),
                "environment variable `=x` is not of the form NAME=VALUE",
            ),
            (
                env(&[("A", "1"), ("A", "2")]),
                "environment variable `A` is set twice",
            ),
            (
                env(&[("A", "\0")]),
                "environment variable `A=\\u{0}` has a NUL character",
            ),
            (
                port("0"),
                "port `0` is not PORT, PORT/tcp or PORT/udp with a port from 1 to 65535",
            ),
            (
                port("80/sctp"),
                "port `80/sctp` is not PORT, PORT/tcp or PORT/udp with a port from 1 to 65535",
            ),
            (
                port("65536"),
                "port `65536` is not PORT, PORT/tcp or PORT/udp with a port from 1 to 65535",
            ),
            (dir("srv"), "working directory `srv` is not absolute"),
            (
                dir("/a/../b"),
                "working directory `/a/../b` has a `.` or `..` part",
            ),
            (
                label("org.opencontainers.image.mine"),
                "label `org.opencontainers.image.mine` uses a name that the image specification reserves",
            ),
        ] {
            assert_eq!(spec.check().unwrap_err().to_string(), message);
        }
        assert!(label("org.opencontainers.image.title").check().is_ok());
        assert!(label("org.opencontainersx").check().is_ok());
    }
}
