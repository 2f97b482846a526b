//! What is inside an image: the merged view of its layers (layer chapter, rules 107 to 111), and what changed.

use std::io::Read;

use plywood::check::{ChangeKind, Detail, View, diff, diff_files, open_file, verify_layers};
use plywood::image::Image;
use plywood::layout::Layout;
use plywood::tree::TreePath;

use crate::images::{Description, Layer, Made, descriptions};

struct Opened {
    _made: Made,
    layout: Layout,
    image: Image,
}

fn opened(layers: &[&[&str]]) -> Opened {
    let layers = layers.iter().enumerate().map(|(i, lines)| Layer {
        tar: Some(lines.iter().map(|line| (*line).to_owned()).collect()),
        codec: [None, Some("gzip".to_owned()), Some("zstd".to_owned())][i % 3].clone(),
        ..Layer::default()
    });
    let case = Description {
        layers: Some(layers.collect()),
        ..Description::default()
    };
    let made = case.make();
    let layout = Layout::open(&made.path).unwrap();
    let entry = layout.resolve(Some("v1")).unwrap();
    let image = Image::load(layout.blobs(), &entry, None).unwrap();
    Opened {
        _made: made,
        layout,
        image,
    }
}

impl Opened {
    fn view(&self) -> View {
        View::of_image(self.layout.blobs(), &self.image, Detail::Contents).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let view = self.view();
        view.files()
            .map(|shown| format!("{}@{}", shown.entry.path.display(), shown.layer))
            .collect()
    }

    fn cat(&self, path: &str) -> Result<String, String> {
        let path = TreePath::from_absolute(path).unwrap();
        let file = open_file(self.layout.blobs(), &self.image, &path);
        let mut text = String::new();
        file.map_err(|e| e.to_string())?
            .read_to_string(&mut text)
            .unwrap();
        Ok(text)
    }
}

#[test]
fn later_layers_win_and_whiteouts_take_away() {
    let image = opened(&[
        &[
            "dir a/",
            "file a/gone text=1",
            "file a/kept text=1",
            "dir d/",
            "dir d/e/",
            "file d/e/f",
            "dir o/",
            "file o/x",
            "file swap",
        ],
        &[
            "dir a/",
            "file a/.wh.gone",
            "file a/kept text=2",
            "file .wh.d",
            "dir o/",
            "file o/.wh..wh..opq",
            "file o/new",
            "dir swap/",
            "file swap/in",
        ],
        &["dir a/", "file a/new"],
    ]);
    assert_eq!(
        image.names(),
        [
            "/a@2",
            "/a/kept@1",
            "/a/new@2",
            "/o@1",
            "/o/new@1",
            "/swap@1",
            "/swap/in@1"
        ]
    );
    assert_eq!(image.cat("/a/kept").unwrap(), "2");
    let below = TreePath::new("a").unwrap();
    assert_eq!(image.view().below(&below).count(), 3);
    let layer = View::of_layer(image.layout.blobs(), &image.image, 1, Detail::Names).unwrap();
    assert!(layer.get(&TreePath::new(".wh.d").unwrap()).is_some());
    let error = View::of_layer(image.layout.blobs(), &image.image, 3, Detail::Names).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no layer 3: the image has 3, counted from 0"
    );
}

#[test]
fn a_file_over_a_directory_takes_its_content_away() {
    let image = opened(&[&["dir a/", "file a/b"], &["file a"]]);
    assert_eq!(image.names(), ["/a@1"]);
}

#[test]
fn links_are_followed() {
    let image = opened(&[
        &[
            "sym bin usr/bin",
            "sym circle circle",
            "sym dangling nowhere",
            "dir usr/",
            "dir usr/bin/",
            "file usr/bin/app text=app",
            "hard usr/bin/twin usr/bin/app",
            "sym usr/bin/up ../../bin/./app",
        ],
        &["dir etc/", "sym etc/abs /bin/twin"],
    ]);
    for path in [
        "/bin/app",
        "/usr/bin/twin",
        "/usr/bin/up",
        "/etc/abs",
        "/bin/up",
    ] {
        assert_eq!(image.cat(path).unwrap(), "app", "{path}");
    }
    for (path, message) in [
        ("/nope", "/nope is not in the image"),
        ("/circle", "/circle is not in the image"),
        ("/dangling", "/dangling is not in the image"),
        ("/bin", "/bin is a directory, not a regular file"),
    ] {
        assert_eq!(image.cat(path).unwrap_err(), message);
    }
}

#[test]
fn a_damaged_layer_is_no_view() {
    let image = opened(&[&["file a"], &["file b size=5000"]]);
    let error = View::of_image(image.layout.blobs(), &image.image, Detail::Names).unwrap_err();
    assert!(error.to_string().ends_with("(rule 86)"), "{error}");
}

#[test]
fn files_that_differ() {
    let old = opened(&[&[
        "file same text=x",
        "file text text=1",
        "file mode mode=644",
        "file time mtime=1",
        "file gone",
        "sym link a",
        "file type",
        "file owner uid=1",
    ]]);
    let new = opened(&[
        &[
            "file added text=hello",
            "file link0",
            "sym link b",
            "file mode mode=755",
            "file owner uid=2",
            "file same text=x",
        ],
        &["file text text=22", "file time mtime=2", "dir type/"],
    ]);
    let sides =
        |opened: &'static Opened| -> (&'static dyn plywood::blob::BlobStore, &'static Image) {
            (opened.layout.blobs(), &opened.image)
        };
    let (old, new) = (Box::leak(Box::new(old)), Box::leak(Box::new(new)));
    let changes = diff_files(sides(old), sides(new)).unwrap();
    let shown: Vec<_> = { changes.iter() }
        .map(|change| match &change.kind {
            ChangeKind::Added => format!("+ {}", change.path.display()),
            ChangeKind::Removed => format!("- {}", change.path.display()),
            ChangeKind::Changed(what) => format!("~ {} {}", change.path.display(), what.join(" ")),
        })
        .collect();
    assert_eq!(
        shown,
        [
            "+ /added",
            "- /gone",
            "~ /link target",
            "+ /link0",
            "~ /mode mode",
            "~ /owner owner",
            "~ /text content",
            "~ /time time",
            "~ /type type"
        ]
    );
    assert_eq!(changes[6].sizes, [Some(1), Some(2)]);
    assert!(diff_files(sides(old), sides(old)).unwrap().is_empty());
}

#[test]
fn layers_shared_new_and_gone() {
    let old = opened(&[&["file a"], &["file b"]]);
    let new = opened(&[&["file a"], &["file c text=longer"], &["file d"]]);
    let found = diff(&old.image, &new.image);
    assert_eq!(
        (found.shared.len(), found.new.len(), found.gone.len()),
        (1, 2, 1)
    );
    let size = |opened: &Opened, i: usize| opened.image.manifest.value.layers[i].descriptor.size;
    assert_eq!(found.download(), size(&new, 1) + size(&new, 2));
    assert_eq!(found.to_json()["gone"]["bytes"], size(&old, 1));
    assert!(diff(&old.image, &old.image).is_empty());
}

#[test]
fn a_base_is_verified_to_the_last_byte() {
    let verified = |name: &str| {
        let case = descriptions("bad")
            .into_iter()
            .find(|case| case.name == name)
            .unwrap();
        let made = case.make();
        let layout = Layout::open(&made.path).unwrap();
        let entry = layout.resolve(Some("v1")).unwrap();
        let image = Image::load(layout.blobs(), &entry, None).unwrap();
        verify_layers(layout.blobs(), &image).map_err(|error| error.to_string())
    };
    for (name, text) in [
        ("a wrong diff_id", "promises"),
        ("junk after zstd", "(rule 81)"),
        ("zstd that is gzip", "(rule 80)"),
        ("one path twice", "stands in the archive twice"),
        ("one bit of a layer flipped", "is damaged"),
    ] {
        let message = verified(name).unwrap_err();
        assert!(message.contains(text), "{message}");
    }
    // What only consumers stumble over is carried along.
    assert!(verified("an owner by name").is_ok());
    assert!(verified("a GNU long name").is_ok());
}
