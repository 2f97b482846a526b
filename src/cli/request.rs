//! What is meant by the arguments: checked, defaulted, with the environment and the clock read in.

use plywood::tree::{ModeRule, MtimeRule, OwnerRule, Policy, XattrRule};
use time::OffsetDateTime;

use super::args::ImageArgs;
use super::exit::Failure;
use super::values::{choice, date, owner, seconds};

/// `SOURCE_DATE_EPOCH`, if it is set.
pub fn source_date_epoch() -> Result<Option<OffsetDateTime>, Failure> {
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let text = text.to_string_lossy();
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match seconds("", &text) {
        Ok(moment) if digits => Ok(Some(moment)),
        _ => Err(Failure::usage(format!(
            "SOURCE_DATE_EPOCH `{text}` is not a number of seconds since 1970"
        ))),
    }
}

/// How attributes on disk become those of layers.
pub fn policy(args: &ImageArgs, epoch: Option<OffsetDateTime>) -> Result<Policy, Failure> {
    let mut policy = Policy::default();
    if let Some(epoch) = epoch {
        policy.epoch = epoch.unix_timestamp();
        policy.mtime = MtimeRule::Fixed(policy.epoch);
    }
    if let Some(text) = &args.owner {
        policy.owner = match owner(text)? {
            Some((uid, gid)) => OwnerRule::Fixed { uid, gid },
            None => OwnerRule::Keep,
        };
    }
    if let Some(text) = &args.mode {
        policy.mode = match choice("mode", text, ["keep", "normalize"])? {
            true => ModeRule::Keep,
            false => ModeRule::Normalize,
        };
    }
    if let Some(text) = &args.xattrs {
        policy.xattrs = match choice("xattrs", text, ["keep", "none"])? {
            true => XattrRule::Keep,
            false => XattrRule::None,
        };
    }
    if let Some(text) = &args.mtime {
        policy.mtime = mtime(text, epoch)?;
        if let MtimeRule::Fixed(secs) = policy.mtime {
            policy.epoch = secs;
        }
    }
    Ok(policy)
}

fn mtime(text: &str, epoch: Option<OffsetDateTime>) -> Result<MtimeRule, Failure> {
    let latest = epoch.map(OffsetDateTime::unix_timestamp);
    if text == "keep" {
        return Ok(MtimeRule::Keep { latest });
    }
    let number = text.strip_prefix('-').unwrap_or(text);
    let moment = if number.bytes().all(|b| b.is_ascii_digit()) {
        seconds("mtime", text)?
    } else {
        date("mtime", text)?
    };
    Ok(MtimeRule::Fixed(moment.unix_timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let of = |mtime: &str, epoch: Option<i64>| {
            let args = ImageArgs {
                mtime: Some(mtime.into()),
                ..ImageArgs::default()
            };
            let epoch = epoch.map(|secs| OffsetDateTime::from_unix_timestamp(secs).unwrap());
            policy(&args, epoch).map(|p| (p.mtime, p.epoch))
        };
        assert_eq!(of("-5", None).unwrap(), (MtimeRule::Fixed(-5), -5));
        assert_eq!(of("5", Some(3)).unwrap(), (MtimeRule::Fixed(5), 5));
        assert_eq!(
            of("1970-01-01T00:00:09Z", None).unwrap(),
            (MtimeRule::Fixed(9), 9)
        );
        assert_eq!(
            of("keep", Some(3)).unwrap(),
            (MtimeRule::Keep { latest: Some(3) }, 3)
        );
        assert!(of("", None).is_err() && of("-", None).is_err() && of("1.5", None).is_err());
        let default = policy(&ImageArgs::default(), None).unwrap();
        assert_eq!((default.mtime, default.epoch), (MtimeRule::Fixed(1), 1));
    }
}
