//! What `-V` says: the compressors decide the bytes of an image, so their versions belong to ours.

/// libdeflate as its crate bundles it; the library itself does not say.
const LIBDEFLATE: &str = "1.26";

/// Name and version of every compressor whose bytes can reach an image.
pub fn compressors() -> [(&'static str, &'static str); 2] {
    [
        ("libdeflate", LIBDEFLATE),
        ("zstd", zstd::zstd_safe::version_string()),
    ]
}

/// Version of plywood and of the compressors, a line each.
pub fn text() -> String {
    let compressors = compressors().map(|(name, version)| format!("\n{name} {version}"));
    env!("CARGO_PKG_VERSION").to_owned() + &compressors.concat()
}

#[cfg(test)]
mod tests {
    use super::LIBDEFLATE;

    #[test]
    fn libdeflate_is_the_one_we_link() {
        let lock = include_str!("../../Cargo.lock");
        let linked = format!("name = \"libdeflate-sys\"\nversion = \"{LIBDEFLATE}.");
        assert!(lock.contains(&linked), "update LIBDEFLATE");
    }
}
