//! The image's configuration as meant: `--env`, `--cmd` and their kin → [`ConfigSpec`].

use std::io::Read;
use std::path::Path;

use plywood::image::{ConfigSpec, ImageError, Platform, start, wish};
use time::OffsetDateTime;

use super::args::ImageArgs;
use super::exit::Failure;
use super::values::{date, later_wins, rfc3339, seconds};

/// What the flags say about the image beside its files.
///
/// `epoch` is `SOURCE_DATE_EPOCH`: when the image says that it was made, unless a flag says otherwise.
pub fn spec(args: &ImageArgs, epoch: Option<OffsetDateTime>) -> Result<ConfigSpec, Failure> {
    let words = |what, given: &Option<Vec<String>>| {
        given
            .as_ref()
            .map(|given| wish::command(what, given))
            .transpose()
    };
    let start = args.config_json.as_deref().map(read_start).transpose()?;
    let spec = ConfigSpec {
        platform: platform(args, start.as_ref())?,
        start,
        env: env(args)?,
        entrypoint: words("entrypoint", &args.entrypoint)?,
        cmd: words("cmd", &args.cmd)?,
        user: args.user.clone(),
        working_dir: args.workdir.clone(),
        labels: pairs(&args.label, wish::label)?.into_iter().collect(),
        exposed_ports: args.expose.iter().cloned().collect(),
        volumes: args.volume.iter().cloned().collect(),
        stop_signal: args.stop_signal.clone(),
        healthcheck: args
            .healthcheck
            .as_deref()
            .map(wish::healthcheck)
            .transpose()?,
        author: args.author.clone(),
        created: created(args.created.as_deref(), epoch)?,
    };
    spec.check()?;
    Ok(spec)
}

/// Annotations of the manifest, by key.
pub fn annotations(args: &ImageArgs) -> Result<plywood::image::Annotations, Failure> {
    let annotations = pairs(&args.annotation, wish::annotation)?
        .into_iter()
        .collect();
    plywood::image::annotations::check("annotation", &annotations)?;
    Ok(annotations)
}

type Pair = (String, String);

fn pairs(
    given: &[String],
    read: fn(&str) -> Result<Pair, ImageError>,
) -> Result<Vec<Pair>, Failure> {
    let pairs: Result<Vec<_>, _> = given.iter().map(|text| read(text)).collect();
    Ok(later_wins(pairs?))
}

fn env(args: &ImageArgs) -> Result<Vec<Pair>, Failure> {
    let mut pairs = Vec::new();
    for path in &args.env_file {
        pairs.extend(env_file(path)?);
    }
    for text in &args.env {
        pairs.push(wish::env(text)?);
    }
    Ok(later_wins(pairs))
}

fn env_file(path: &Path) -> Result<Vec<Pair>, Failure> {
    let place = path.display();
    let text = read(path)?;
    let text = std::str::from_utf8(&text).map_err(|fault| {
        Failure::usage(format!("{place} is refused"))
            .of_input()
            .because(fault.to_string())
    })?;
    let lines = text.lines().enumerate();
    let meant = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let pairs = meant.map(|(i, line)| {
        wish::env(line).map_err(|fault| {
            let message = format!("{place} is refused at line {}", i + 1);
            Failure::usage(message)
                .of_input()
                .because(fault.to_string())
        })
    });
    pairs.collect()
}

type Start = serde_json::Map<String, serde_json::Value>;

fn read_start(path: &Path) -> Result<Start, Failure> {
    let what = if path == Path::new("-") {
        "standard input".into()
    } else {
        path.to_string_lossy()
    };
    start::read(&what, &read(path)?).map_err(|fault| Failure::from(fault).of_input())
}

/// The bytes of a file, or of standard input for `-`.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    if path != Path::new("-") {
        let action = format!("read {}", path.display());
        return std::fs::read(path).map_err(|fault| Failure::io(&action, &fault));
    }
    let mut bytes = Vec::new();
    match std::io::stdin().lock().read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(fault) => Err(Failure::io("read standard input", &fault)),
    }
}

/// As asked; `None` if the base or the configuration to start from says it; else what this program runs on.
fn platform(args: &ImageArgs, start: Option<&Start>) -> Result<Option<Platform>, Failure> {
    let arch = args.arch.as_ref().map(|arch| format!("linux/{arch}"));
    let asked = { args.platform.first() }
        .map(String::as_str)
        .or(arch.as_deref());
    let said = args.base.is_some() || start.is_some_and(|start| start.contains_key("architecture"));
    let text = asked.or_else(|| (!said).then(own_architecture));
    Ok(text.map(Platform::parse).transpose()?)
}

/// Go's name of the architecture that this program was compiled for.
fn own_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

fn created(text: Option<&str>, epoch: Option<OffsetDateTime>) -> Result<Option<String>, Failure> {
    let moment = match text {
        None => epoch,
        Some("now") => Some(OffsetDateTime::now_utc()),
        Some(text) => Some(match text.strip_prefix('@') {
            Some(secs) => seconds("created", secs)?,
            None => date("created", text)?,
        }),
    };
    // Tools that read images know no year beyond seconds, and `now` has too many digits.
    let whole = moment.map(|moment| moment.replace_nanosecond(0).unwrap_or(moment));
    whole.map(rfc3339).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let epoch = OffsetDateTime::from_unix_timestamp(86400).ok();
        let of = |text| created(text, epoch).unwrap().unwrap();
        assert_eq!(of(None), "1970-01-02T00:00:00Z");
        assert_eq!(of(Some("@1700000000")), "2023-11-14T22:13:20Z");
        assert_eq!(
            of(Some("2024-05-31T23:59:59.25+02:00")),
            "2024-05-31T21:59:59Z"
        );
        assert_eq!(created(None, None).unwrap(), None);
        assert!(created(Some("soon"), None).is_err());
    }

    #[test]
    fn the_last_of_each_name_counts() {
        let args = ImageArgs {
            env: vec!["A=1".into(), "B=2".into(), "A=3".into()],
            label: vec!["x=1".into(), "x=2".into()],
            ..ImageArgs::default()
        };
        let spec = spec(&args, None).unwrap();
        assert_eq!(
            spec.env,
            [("A".into(), "3".into()), ("B".into(), "2".into())]
        );
        assert_eq!(spec.labels["x"], "2");
    }
}
