//! Points in time as documents write them: RFC 3339, from what people give.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::ImageError;

/// Whether the text is a date and time of RFC 3339 with a zone, on a day that exists.
pub fn is_rfc3339(text: &str) -> bool {
    OffsetDateTime::parse(text, &Rfc3339).is_ok()
}

/// Reads `@SECONDS` or RFC 3339; gives the text for a document, in UTC if it was seconds.
///
/// # Errors
/// [`ImageError::Wish`] for anything else.
pub fn created(text: &str) -> Result<String, ImageError> {
    let refuse = |fault: &str| {
        let hint = "write 2024-01-31T12:00:00Z, or @SECONDS since 1970";
        ImageError::wish("date", text, fault).with_hint(hint)
    };
    let Some(seconds) = text.strip_prefix('@') else {
        if is_rfc3339(text) {
            return Ok(text.to_owned());
        }
        return Err(refuse("is not a date and time of RFC 3339"));
    };
    let seconds: i64 = seconds
        .parse()
        .map_err(|_| refuse("is not a whole number of seconds"))?;
    rfc3339(seconds).ok_or_else(|| refuse("is not within the years 0 to 9999"))
}

/// The second `seconds` after the epoch in RFC 3339; `None` outside the years 0 to 9999.
pub fn rfc3339(seconds: i64) -> Option<String> {
    let moment = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    moment.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms() {
        for (given, written) in [
            ("@0", "1970-01-01T00:00:00Z"),
            ("@-1", "1969-12-31T23:59:59Z"),
            ("@253402300799", "9999-12-31T23:59:59Z"),
            ("2024-02-29T12:00:00+01:00", "2024-02-29T12:00:00+01:00"),
            (
                "2024-02-29T12:00:00.123456789Z",
                "2024-02-29T12:00:00.123456789Z",
            ),
        ] {
            assert_eq!(created(given).unwrap(), written);
        }
    }

    #[test]
    fn refuses_the_rest() {
        for bad in [
            "",
            "0",
            "@",
            "@1.5",
            "@99999999999999",
            "2023-02-29T12:00:00Z",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-01-01 00:00",
            "now",
            "2024-13-01T00:00:00Z",
        ] {
            assert!(created(bad).is_err(), "{bad}");
        }
    }
}
