//! Tars made line by line, well-formed or not; see `testdata/images/README.md`.

/// The archive that the lines describe, with its end unless a line says otherwise.
pub fn archive(lines: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut end = true;
    for line in lines {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "no-end" => end = false,
            "zeros" => bytes.resize(bytes.len() + rest.parse::<usize>().unwrap(), 0),
            "bytes" => bytes.extend(rest.as_bytes()),
            "pax-raw" => bytes.extend(with_body(
                header("PaxHeader", b'x', rest.len()),
                rest.as_bytes(),
            )),
            "global" => {
                let (keyword, value) = rest.split_once('=').unwrap();
                let record = record(keyword, value);
                bytes.extend(with_body(
                    header("GlobalHeader", b'g', record.len()),
                    record.as_bytes(),
                ));
            }
            "longname" => {
                let body = format!("{rest}\0");
                bytes.extend(with_body(
                    header("././@LongLink", b'L', body.len()),
                    body.as_bytes(),
                ));
            }
            _ => bytes.extend(entry(verb, rest)),
        }
    }
    if end {
        bytes.extend([0; 1024]);
    }
    bytes
}

/// A plain file.
pub fn member(name: &str, content: &[u8]) -> Vec<u8> {
    with_body(header(name, b'0', content.len()), content)
}

fn entry(verb: &str, rest: &str) -> Vec<u8> {
    let mut words: Vec<&str> = rest.split(' ').collect();
    let name = words.remove(0);
    let kind = match verb {
        "file" => b'0',
        "hard" => b'1',
        "sym" => b'2',
        "char" => b'3',
        "block" => b'4',
        "dir" => b'5',
        "fifo" => b'6',
        other => other
            .strip_prefix("type:")
            .unwrap_or_else(|| panic!("{other}"))
            .as_bytes()[0],
    };
    let mut block = header(name, kind, 0);
    if matches!(verb, "sym" | "hard") {
        put(&mut block, 157, words.remove(0).as_bytes());
    }
    if matches!(verb, "char" | "block") {
        for start in [329, 337] {
            let number: u32 = words.remove(0).parse().unwrap();
            put(&mut block, start, format!("{number:07o}\0").as_bytes());
        }
    }
    let mut body = Vec::new();
    let mut records = String::new();
    for word in words {
        let (key, value) = word.split_once('=').unwrap();
        let octal = |width: usize, number: u64| format!("{number:0width$o}\0");
        let number = || value.parse::<u64>().unwrap();
        match key {
            "text" => {
                body = value.as_bytes().to_vec();
                put(&mut block, 124, octal(11, body.len() as u64).as_bytes());
            }
            "size" => put(&mut block, 124, octal(11, number()).as_bytes()),
            "mode" => put(&mut block, 100, format!("{value:0>7}\0").as_bytes()),
            "uid" => put(&mut block, 108, octal(7, number()).as_bytes()),
            "gid" => put(&mut block, 116, octal(7, number()).as_bytes()),
            "mtime" => put(&mut block, 136, octal(11, number()).as_bytes()),
            "uname" => put(&mut block, 265, value.as_bytes()),
            "dialect" => put(&mut block, 257, b"ustar  \0"),
            other if other.starts_with("pax:") => records += &record(&other[4..], value),
            other => {
                let start = other.strip_prefix("raw:").unwrap().parse().unwrap();
                put(&mut block, start, &unhex(value));
                // A change to the checksum itself is left as it is.
                if start == 148 {
                    return [block.to_vec(), body].concat();
                }
            }
        }
    }
    let extension = match records.is_empty() {
        true => Vec::new(),
        false => with_body(header("PaxHeader", b'x', records.len()), records.as_bytes()),
    };
    [extension, with_body(block, &body)].concat()
}

fn header(name: &str, kind: u8, size: usize) -> [u8; 512] {
    let mut block = [0; 512];
    put(&mut block, 0, name.as_bytes());
    let mode = if kind == b'5' {
        "0000755\0"
    } else {
        "0000644\0"
    };
    put(&mut block, 100, mode.as_bytes());
    put(&mut block, 108, b"0000000\x000000000\0");
    put(
        &mut block,
        124,
        format!("{size:011o}\x0000000000001\0").as_bytes(),
    );
    block[156] = kind;
    put(&mut block, 257, b"ustar\x0000");
    block
}

fn with_body(mut block: [u8; 512], body: &[u8]) -> Vec<u8> {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    put(&mut block, 148, format!("{sum:06o}\0 ").as_bytes());
    let mut bytes = [&block, body].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn put(block: &mut [u8; 512], start: usize, bytes: &[u8]) {
    block[start..start + bytes.len()].copy_from_slice(bytes);
}

fn record(keyword: &str, value: &str) -> String {
    let bare = keyword.len() + value.len() + 3;
    let length = (bare..bare + 20)
        .find(|n| n.to_string().len() + bare == *n)
        .unwrap();
    format!("{length} {keyword}={value}\n")
}

/// The bytes of hexadecimal digits.
pub fn unhex(text: &str) -> Vec<u8> {
    let pairs = text
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}
