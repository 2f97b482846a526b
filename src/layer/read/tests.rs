use super::*;

/// One ustar header and its body.
fn member(name: &str, kind: u8, body: &[u8], change: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut block = [0_u8; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    for (start, text) in [(100, "0000644\0"), (108, "0000000\0"), (116, "0000000\0")] {
        block[start..start + 8].copy_from_slice(text.as_bytes());
    }
    block[124..136].copy_from_slice(format!("{:011o}\0", body.len()).as_bytes());
    block[136..148].copy_from_slice(b"00000000001\0");
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    change(&mut block);
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut bytes = [&block, body].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn plain(name: &str, kind: u8) -> Vec<u8> {
    member(name, kind, b"", |_| ())
}

fn link(name: &str, kind: u8, target: &str) -> Vec<u8> {
    member(name, kind, b"", |block| {
        block[157..157 + target.len()].copy_from_slice(target.as_bytes());
    })
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let body: String = records.iter().map(|(k, v)| pax_record(k, v)).collect();
    member("@PaxHeader", b'x', body.as_bytes(), |_| ())
}

fn pax_record(keyword: &str, value: &str) -> String {
    let bare = keyword.len() + value.len() + 3;
    let length = (bare + 1..bare + 20)
        .find(|n| n.to_string().len() + bare == *n)
        .unwrap();
    format!("{length} {keyword}={value}\n")
}

fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

/// All entries and the rules that were broken.
fn read(bytes: &[u8]) -> (Vec<RawEntry>, Vec<u16>) {
    let mut reader = TarReader::new(bytes);
    let mut audit = Audit::default();
    let mut entries = Vec::new();
    let end = loop {
        match reader.next_entry() {
            Ok(Some(entry)) => {
                audit.entry(&entry);
                entries.push(entry);
            }
            Ok(None) => break None,
            Err(error) => break Some(fault_of(&error).unwrap().clone()),
        }
    };
    let (audited, _) = audit.finish();
    let faults = [reader.take_faults(), audited, Vec::from_iter(end)].concat();
    (entries, faults.iter().map(|fault| fault.rule).collect())
}

fn rules(members: &[Vec<u8>]) -> Vec<u16> {
    read(&archive(members)).1
}

#[test]
fn a_clean_layer_has_no_faults() {
    let (entries, rules) = read(&archive(&[
        plain("d/", b'5'),
        member("d/f", b'0', b"hello", |_| ()),
        link("d/h", b'1', "d/f"),
        link("d/l", b'2', "../anything"),
        pax(&[("SCHILY.xattr.user.a", "b\0\n="), ("mtime", "-1.5")]),
        plain("d/p", b'6'),
        member("d/v", b'3', b"", |b| {
            b[329..337].copy_from_slice(b"0000001\0");
            b[337..345].copy_from_slice(b"0000003\0");
        }),
        plain(".wh.gone", b'0'),
    ]));
    assert_eq!(rules, Vec::<u16>::new());
    let names: Vec<_> = entries.iter().map(RawEntry::shown).collect();
    assert_eq!(names, ["d/", "d/f", "d/h", "d/l", "d/p", "d/v", ".wh.gone"]);
    assert_eq!(entries[4].mtime.secs, -2);
    assert_eq!(entries[4].xattrs[&b"user.a"[..]], b"b\0\n=");
    assert!(entries.iter().all(|entry| entry.to_entry().is_some()));
}

#[test]
fn bodies_can_be_read() {
    let bytes = archive(&[
        member("a", b'0', &[7; 700], |_| ()),
        member("b", b'0', b"x", |_| ()),
    ]);
    let mut reader = TarReader::new(&*bytes);
    let mut body = Vec::new();
    assert_eq!(reader.next_entry().unwrap().unwrap().size, 700);
    reader.read_to_end(&mut body).unwrap();
    assert_eq!(body, [7; 700]);
    assert_eq!(reader.next_entry().unwrap().unwrap().name, b"b");
    assert!(reader.next_entry().unwrap().is_none());
    assert_eq!(reader.position(), bytes.len() as u64);
}

#[test]
fn archives_that_do_not_end_well() {
    let file = member("a", b'0', &[7; 700], |_| ());
    let whole = archive(std::slice::from_ref(&file));
    for cut in [1, 511, 513, 1211, 1212, 1535, 1537, 2047] {
        assert_eq!(read(&whole[..cut]).1, [86], "{cut}");
    }
    assert_eq!(read(&whole[..file.len()]).1, [86]);
    assert_eq!(read(&whole[..file.len() + 512]).1, [86]);
    assert_eq!(read(&[&whole[..], b"x"].concat()).1, [86]);
    assert_eq!(
        read(&[&whole[..], &[0; 9000]].concat()).1,
        Vec::<u16>::new()
    );
    assert_eq!(read(&[&whole[..], &vec![0; 2 << 20]].concat()).1, [86]);
    assert_eq!(
        read(&[&file[..], &[0; 512], &file, &[0; 1024]].concat()).1,
        [86]
    );
    let mut padded = whole.clone();
    padded[1300] = 1;
    assert_eq!(read(&padded).1, [86]);
    let mut damaged = whole;
    damaged[0] = b'b';
    assert_eq!(read(&damaged).1, [86]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_fault_has_its_rule() {
    let d = || plain("d/", b'5');
    let file = |name: &str| plain(name, b'0');
    for (rule, members) in [
        (87, vec![file("a"), file("a")]),
        (93, vec![file("a"), file("./b")]),
        (87, vec![d(), plain("d", b'5')]),
        (87, vec![file("a"), pax(&[("path", "a")]), file("other")]),
        (
            88,
            vec![member("a", b'0', b"", |b| {
                b[265..269].copy_from_slice(b"root");
            })],
        ),
        (89, vec![plain("a", b'S')]),
        (90, vec![plain("a", b'Z')]),
        (90, vec![file("a/")]),
        (91, vec![link("a", b'1', "b"), file("b")]),
        (91, vec![d(), link("e", b'1', "d/")]),
        (
            91,
            vec![file("a"), member("b", b'1', b"body", |b| b[157] = b'a')],
        ),
        (
            91,
            vec![
                file("a"),
                member("b", b'1', b"", |b| {
                    b[157] = b'a';
                    b[147 - 1] = b'7';
                }),
            ],
        ),
        (91, vec![file("a"), link("b", b'1', "../a")]),
        (93, vec![file("/a")]),
        (93, vec![file("../a")]),
        (93, vec![d(), file("d//a")]),
        (94, vec![file("a"), file("a/b")]),
        (94, vec![link("a", b'2', "d"), file("a/b")]),
        (94, vec![file("d/a"), d()]),
        (95, vec![file("x/y")]),
        (98, vec![file("b"), file("a")]),
        (
            99,
            vec![member("a", b'0', b"", |b| {
                b[108] = 0x80;
                b[109..116].fill(0);
            })],
        ),
        (
            99,
            vec![member("././@LongLink", b'L', b"long\0", |_| ()), file("x")],
        ),
        (
            99,
            vec![member("a", b'0', b"", |b| {
                b[257..265].copy_from_slice(b"ustar  \0");
            })],
        ),
        (
            100,
            vec![member("x", b'x', b"99 path=a\n", |_| ()), file("a")],
        ),
        (100, vec![pax(&[("uid", "1"), ("uid", "2")]), file("a")]),
        (100, vec![pax(&[("uid", "1"), ("gid", "2")]), file("a")]),
        (100, vec![pax(&[("uid", "x")]), file("a")]),
        (100, vec![pax(&[("atime", "1")]), file("a")]),
        (
            100,
            vec![member("g", b'g', b"13 comment=x\n", |_| ()), file("a")],
        ),
        (101, vec![pax(&[("SCHILY.xattr.user.a", "")]), file("a")]),
        (
            102,
            vec![pax(&[("SCHILY.xattr.security.selinux", "x")]), file("a")],
        ),
        (
            102,
            vec![pax(&[("SCHILY.acl.access", "user::rw-")]), file("a")],
        ),
        (
            103,
            vec![member("a", b'0', b"", |b| {
                b[100..107].copy_from_slice(b"0100644");
            })],
        ),
        (104, vec![plain("a", b'3')]),
        (107, vec![member(".wh.a", b'0', b"x", |_| ())]),
        (107, vec![link(".wh.a", b'2', "x")]),
        (108, vec![file(".wh.")]),
        (109, vec![file(".wh..wh.plnk")]),
        (110, vec![file(".wh..wh..opq")]),
        (110, vec![d(), file("d/a"), file("d/.wh.b")]),
        (86, vec![member("a", b'5', b"body", |_| ()), file("body")]),
        (86, vec![member("a", b'0', b"", |b| b[124] = b'9')]),
    ] {
        let found = rules(&members);
        assert!(found.contains(&rule), "rule {rule}, found {found:?}");
        assert!(
            found.iter().all(|r| [rule, 86, 98].contains(r)),
            "rule {rule}, found {found:?}"
        );
    }
}

#[test]
fn reads_what_the_tar_crate_writes() {
    let mut builder = tar::Builder::new(Vec::new());
    let long = "n".repeat(300);
    for name in ["a", &long] {
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        header.set_mode(0o644);
        header.set_mtime(7);
        header.set_uid(1 << 30);
        builder.append_data(&mut header, name, &b"abc"[..]).unwrap();
    }
    let (entries, rules) = read(&builder.into_inner().unwrap());
    assert_eq!(entries[1].name, long.as_bytes());
    assert_eq!((entries[0].uid, entries[0].mtime.secs), (1 << 30, 7));
    assert!(
        rules.iter().all(|&rule| rule == 99 || rule == 90),
        "{rules:?}"
    );
}

#[test]
fn deep_paths_stay_cheap() {
    let deep = "d/".repeat(2000);
    let many: Vec<_> = (0..200)
        .map(|i| [pax(&[("path", &format!("{deep}{i}"))]), plain("x", b'0')].concat())
        .collect();
    let (entries, rules) = read(&archive(&many));
    assert_eq!(entries.len(), 200);
    // Ten in full and one with the number.
    assert_eq!(rules.iter().filter(|&&rule| rule == 95).count(), 11);
}
