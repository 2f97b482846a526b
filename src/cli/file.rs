//! `image.toml`: the long flags in a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use plywood::ErrorKind;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serializer};
use toml::Value;

use super::args::ImageArgs;
use super::exit::Failure;
use super::outputs::PREFIXES;

/// The arguments in effect: those of the file, if there is one, and the flags above them.
pub fn effective(flags: ImageArgs, file: Option<&Path>) -> Result<ImageArgs, Failure> {
    let Some(path) = file else { return Ok(flags) };
    let mut args = read(path)?;
    let base = path.parent().unwrap_or(Path::new(""));
    args.start_at(base);
    Ok(merge(flags, args))
}

/// The arguments for each platform of one image: those of the platform's own table in the
/// file go before the file's others, and flags before all.
pub fn per_platform(flags: &ImageArgs, file: Option<&Path>) -> Result<Vec<ImageArgs>, Failure> {
    let mut args = match file {
        None => ImageArgs::default(),
        Some(path) => read(path)?,
    };
    if let Some(path) = file {
        args.start_at(path.parent().unwrap_or(Path::new("")));
    }
    let on = std::mem::take(&mut args.on);
    let mut platforms: Vec<String> = [&flags.platform, &args.platform]
        .into_iter()
        .find(|list| !list.is_empty())
        .cloned()
        .unwrap_or_default();
    if platforms.is_empty() && flags.arch.is_none() && args.arch.is_none() {
        platforms = on.keys().cloned().collect();
    }
    if platforms.is_empty() {
        return Ok(vec![merge(flags.clone(), args)]);
    }
    let each = platforms.into_iter().map(|platform| {
        let own = on.get(&platform).cloned().unwrap_or_default();
        refuse_shared(&platform, &own)?;
        let flags = ImageArgs {
            platform: vec![platform],
            ..flags.clone()
        };
        Ok(merge(flags, merge(own, args.clone())))
    });
    each.collect()
}

/// What one image has once cannot differ from platform to platform.
fn refuse_shared(platform: &str, own: &ImageArgs) -> Result<(), Failure> {
    let shared = [
        ("output", !own.output.is_empty()),
        ("tag", !own.tag.is_empty()),
        ("platform", !own.platform.is_empty()),
        ("arch", own.arch.is_some()),
        ("on", !own.on.is_empty()),
        ("digestfile", own.digestfile.is_some()),
        ("metadata-file", own.metadata_file.is_some()),
    ];
    match shared.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((key, _)) => Err(Failure::new(
            ErrorKind::Input,
            format!("`{key}` under [on.\"{platform}\"] cannot differ between platforms"),
        )
        .hint("give it once, outside of these tables")),
    }
}

/// The arguments as a file that `--file` reads back.
pub fn print(args: &ImageArgs) -> Result<String, Failure> {
    toml::to_string(args).map_err(|fault| {
        Failure::usage("these arguments cannot be written as TOML").because(fault.to_string())
    })
}

fn read(path: &Path) -> Result<ImageArgs, Failure> {
    let text = std::fs::read(path)
        .map_err(|fault| Failure::io(&format!("read {}", path.display()), &fault))?;
    let refused = |fault: String| {
        let message = format!("{} is refused", path.display());
        Failure::new(ErrorKind::Input, message).because(fault)
    };
    let text = String::from_utf8(text).map_err(|fault| refused(fault.to_string()))?;
    toml::from_str(&text).map_err(|fault| {
        // "TOML parse error at line 3, column 1", the line itself with a mark under it, and the fault.
        refused(fault.to_string().trim_end().to_owned())
    })
}

/// One flag and its twin in the file: what was typed counts.
trait OrElse {
    fn or_else_from(self, file: Self) -> Self;
}

impl<T> OrElse for Option<T> {
    fn or_else_from(self, file: Self) -> Self {
        self.or(file)
    }
}

impl<T> OrElse for Vec<T> {
    fn or_else_from(self, file: Self) -> Self {
        if self.is_empty() { file } else { self }
    }
}

impl OrElse for BTreeMap<String, ImageArgs> {
    fn or_else_from(self, file: Self) -> Self {
        if self.is_empty() { file } else { self }
    }
}

impl OrElse for bool {
    fn or_else_from(self, file: Self) -> Self {
        self || file
    }
}

fn merge(mut flags: ImageArgs, mut file: ImageArgs) -> ImageArgs {
    // Later names win where these are read, so joining them is enough.
    for (typed, filed) in [
        (&mut flags.env, &mut file.env),
        (&mut flags.label, &mut file.label),
        (&mut flags.annotation, &mut file.annotation),
    ] {
        *typed = [std::mem::take(filed), std::mem::take(typed)].concat();
    }
    // Two ways to say one thing: the flag of either kind replaces both.
    if !flags.platform.is_empty() || flags.arch.is_some() {
        (file.platform, file.arch) = (Vec::new(), None);
    }
    if flags.cache.is_some() || flags.no_cache {
        (file.cache, file.no_cache) = (None, false);
    }
    macro_rules! merged {
        ($($key:ident)*) => { ImageArgs { $($key: flags.$key.or_else_from(file.$key)),* } };
    }
    merged! {
        base follow_links replace remove paths graph store_prefix nix contents top exclude owner mode mtime xattrs
        env env_file entrypoint cmd user workdir label annotation expose volume stop_signal
        healthcheck platform arch author created config_json
        split max_layers strategy layer layers_file previous fleet compression compat jobs cache no_cache
        cache_size sync
        output lock_timeout tag no_docker_manifest digestfile metadata_file sbom on
    }
}

impl ImageArgs {
    /// Lets relative paths start at `base`, the directory of the file that they were read from.
    fn start_at(&mut self, base: &Path) {
        let several = [
            &mut self.paths,
            &mut self.graph,
            &mut self.top,
            &mut self.env_file,
        ];
        let single = [
            &mut self.store_prefix,
            &mut self.config_json,
            &mut self.layers_file,
            &mut self.cache,
            &mut self.digestfile,
            &mut self.metadata_file,
        ];
        let all = several.into_iter().flatten();
        for path in all.chain(single.into_iter().flatten()) {
            *path = started_at(base, path);
        }
        let images = self.previous.iter_mut().chain(&mut self.fleet);
        self.on.values_mut().for_each(|args| args.start_at(base));
        for image in images.chain(&mut self.output).chain(&mut self.base) {
            *image = output_started_at(base, image);
        }
    }
}

fn started_at(base: &Path, path: &Path) -> PathBuf {
    if path == Path::new("-") {
        return path.to_owned();
    }
    base.join(path)
}

fn output_started_at(base: &Path, output: &Path) -> PathBuf {
    // A TOML text is always UTF-8.
    let text = output.to_string_lossy();
    let prefix = PREFIXES.iter().find(|(p, _)| text.starts_with(p));
    let prefix = prefix.map_or("", |(p, _)| p);
    let path = started_at(base, Path::new(&text[prefix.len()..]));
    let mut whole = std::ffi::OsString::from(prefix);
    whole.push(path);
    whole.into()
}

/// Reads a text that TOML may also write as a number or a date.
pub fn scalar<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    text_of(Value::deserialize(input)?)
        .map(Some)
        .map_err(D::Error::custom)
}

/// Reads a list of texts, each of which may also be a number.
pub fn scalars<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    let items = Vec::<Value>::deserialize(input)?;
    let texts = items.into_iter().map(text_of);
    texts.collect::<Result<_, _>>().map_err(D::Error::custom)
}

/// Reads a text or a list of texts.
pub fn one_or_several<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    let texts: Result<Vec<_>, _> = match Value::deserialize(input)? {
        Value::Array(items) => items.into_iter().map(text_of).collect(),
        one => text_of(one).map(|text| vec![text]),
    };
    texts.map_err(|found| D::Error::custom(format!("expected a text or several, found {found}")))
}

/// Writes what `one_or_several` reads.
pub fn one_or_more<S: Serializer>(given: &[String], output: S) -> Result<S::Ok, S::Error> {
    match given {
        [one] => output.serialize_str(one),
        several => output.collect_seq(several),
    }
}

/// Reads `["NAME=VALUE"]` or a table `{ NAME = "VALUE" }`.
pub fn pairs<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    let texts: Result<Vec<_>, _> = match Value::deserialize(input)? {
        Value::Array(items) => items.into_iter().map(text_of).collect(),
        Value::Table(table) => table
            .into_iter()
            .map(|(name, value)| Ok(format!("{name}={}", text_of(value)?)))
            .collect(),
        other => Err(other.type_str()),
    };
    texts.map_err(|found| {
        D::Error::custom(format!(
            "expected a list of NAME=VALUE texts or a table of texts, found {found}"
        ))
    })
}

fn text_of(value: Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) => Ok(text),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Datetime(date) => Ok(date.to_string()),
        other => Err(other.type_str()),
    }
}

/// `cmd` and `entrypoint`: a TOML array is the words themselves.
///
/// Inside, such a list is one JSON text, as a single flag would be; a flag's lone word would be checked for spaces.
pub mod words_as_array {
    use plywood::image::wish;
    use serde::ser::Error;

    use super::{Deserialize, Deserializer, Serializer};

    pub fn deserialize<'de, D: Deserializer<'de>>(
        input: D,
    ) -> Result<Option<Vec<String>>, D::Error> {
        let words = Vec::<String>::deserialize(input)?;
        let json = serde_json::Value::from(words).to_string();
        Ok(Some(vec![json]))
    }

    // Serde's calling convention.
    #[allow(clippy::ref_option)]
    pub fn serialize<S: Serializer>(
        given: &Option<Vec<String>>,
        output: S,
    ) -> Result<S::Ok, S::Error> {
        let given = given.as_deref().unwrap_or_default();
        let words = wish::command("command", given).map_err(S::Error::custom)?;
        output.collect_seq(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> ImageArgs {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn reads_what_it_prints() {
        let text = concat!(
            "paths = [\"root:/\"]\nmtime = \"1\"\nenv = [\"A=1\", \"B=x=y\"]\n",
            "cmd = [\"/bin/sh\", \"-c\", \"echo a b\"]\nmax-layers = 7\noutput = [\"oci:out:v1\"]\n",
            "no-docker-manifest = true\n",
        );
        assert_eq!(print(&parsed(text)).unwrap(), text);
    }

    #[test]
    fn flags_win_and_pairs_join() {
        let file = parsed(
            "mtime = 5\ncreated = 2024-01-02T03:04:05Z\nenv = { A = \"1\", B = 2 }\narch = \"arm64\"",
        );
        let flags = parsed("mtime = 6\nenv = [\"A=3\"]\nplatform = \"linux/amd64\"");
        let both = merge(flags, file);
        assert_eq!(both.mtime.as_deref(), Some("6"));
        assert_eq!(both.created.as_deref(), Some("2024-01-02T03:04:05Z"));
        assert_eq!(both.env, ["A=1", "B=2", "A=3"]);
        assert_eq!(
            (both.arch, both.platform.first().map(String::as_str)),
            (None, Some("linux/amd64"))
        );
    }

    #[test]
    fn relative_paths_start_at_the_file() {
        let mut args = parsed(
            "paths = [\"a:/x\", \"/abs\"]\ngraph = [\"-\"]\noutput = [\"oci:o:v1\", \"p\", \"-\"]",
        );
        args.start_at(Path::new("d"));
        assert_eq!(args.paths, [Path::new("d/a:/x"), Path::new("/abs")]);
        assert_eq!(args.graph, [Path::new("-")]);
        assert_eq!(args.output, ["oci:d/o:v1", "d/p", "-"].map(PathBuf::from));
    }
}
