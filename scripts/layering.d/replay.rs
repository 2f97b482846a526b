//! Histories of real images, and what updates of them cost with a layer plan.

use std::collections::{BTreeMap, BTreeSet};

use plywood::graph::{Graph, NodeSpec};
use plywood::plan::{
    Facts, Items, LayerPlan, Limits, Pins, Previous, Request, Strategy, draw, fleet,
};

/// A component of an image at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    pub version: String,
    pub bytes: u64,
    pub needs: Vec<String>,
}

/// What an image consists of: components by name.
pub type Image = BTreeMap<String, Component>;

/// The images of one project, one after another, with their dates.
pub struct History {
    pub images: Vec<(String, Image)>,
}

impl History {
    /// Reads lines of `@ DATE`, `+ NAME VERSION BYTES NEEDS` and `- NAME`, tabs between them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut images: Vec<(String, Image)> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let malformed = || format!("line {}: {line}", number + 1);
            let cells: Vec<&str> = line.split('\t').collect();
            match (cells.as_slice(), images.last_mut()) {
                ([comment], _) if comment.starts_with('#') => {}
                (["@", date], last) => {
                    let image = last.map(|(_, image)| image.clone()).unwrap_or_default();
                    images.push(((*date).to_owned(), image));
                }
                (["-", name], Some((_, image))) => {
                    image.remove(*name).ok_or_else(malformed)?;
                }
                (["+", name, version, bytes, needs], Some((_, image))) => {
                    let component = Component {
                        version: (*version).to_owned(),
                        bytes: bytes.parse().map_err(|_| malformed())?,
                        needs: needs.split_whitespace().map(str::to_owned).collect(),
                    };
                    image.insert((*name).to_owned(), component);
                }
                _ => return Err(malformed()),
            }
        }
        Ok(Self { images })
    }

    /// The image at the end.
    pub fn last(&self) -> Image {
        let last = self.images.last();
        last.map(|(_, image)| image.clone()).unwrap_or_default()
    }
}

/// A way to layer that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// All in one layer: the ceiling.
    One,
    /// A strategy, each image planned for itself.
    Fresh(Strategy),
    /// A strategy, each image planned with the one before at hand.
    Following(Strategy),
    /// A layer for every component: the floor.
    Each,
}

impl Way {
    pub fn name(self) -> String {
        match self {
            Self::One => "one layer".into(),
            Self::Fresh(strategy) => strategy.to_string(),
            Self::Following(strategy) => format!("{strategy} --previous"),
            Self::Each => "only what changed".into(),
        }
    }

    fn plan(self, image: &Image, max_layers: usize, before: Option<&LayerPlan>) -> LayerPlan {
        match self {
            Self::One => plan(image, Strategy::Size1, 2, None),
            Self::Each => plan(image, Strategy::Size1, image.len() + 2, None),
            Self::Fresh(strategy) => plan(image, strategy, max_layers, None),
            Self::Following(strategy) => plan(image, strategy, max_layers, before),
        }
    }
}

fn graph_of(image: &Image) -> Graph {
    let node = |(name, component): (&String, &Component)| NodeSpec {
        path: name.clone(),
        references: { component.needs.iter() }
            .filter(|name| image.contains_key(*name))
            .cloned()
            .collect(),
    };
    Graph::new(image.iter().map(node).collect()).expect("edges lead to members only")
}

fn items<'a>(graph: &'a Graph, image: &'a Image) -> Items<'a> {
    let facts = image.iter().map(|(name, component)| Facts {
        name: Some(name),
        size: Some(component.bytes),
        version: None,
        hash: Some(&component.version),
        volatile: false,
        own: name.starts_with('/'),
    });
    Items::new(graph, facts.collect())
}

/// The plan of an image.
pub fn plan(
    image: &Image,
    strategy: Strategy,
    max_layers: usize,
    before: Option<&LayerPlan>,
) -> LayerPlan {
    let graph = graph_of(image);
    let limits = Limits {
        max_layers,
        ..Limits::default()
    };
    let request = Request {
        previous: before.map(Previous::from_plan),
        ..Request::new(strategy, limits)
    };
    let (plan, _) = draw(items(&graph, image), &request).expect("there is room");
    plan
}

/// What makes the blob of a layer: its components with their versions.
type Layer = Vec<(String, String)>;

/// The layers of an image with their bytes, the lowest first.
fn layers(plan: &LayerPlan) -> Vec<(Layer, u64)> {
    let layers = plan.layers.iter().filter(|layer| !layer.members.is_empty());
    let layers = layers.map(|layer| {
        let members = layer.members.iter();
        let parts = members.map(|m| (m.path.clone(), m.hash.clone().unwrap_or_default()));
        (parts.collect(), layer.size().unwrap_or(0))
    });
    layers.collect()
}

/// What going from one image to the next costs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Layers that the old image does not have, in bytes.
    pub bytes: u64,
    /// The same where a layer is reused only if all below it are the same.
    pub chain: u64,
    /// How many layers are new.
    pub layers: usize,
}

pub fn cost(old: &LayerPlan, new: &LayerPlan) -> Cost {
    let (old, new) = (layers(old), layers(new));
    let known: BTreeSet<&Layer> = old.iter().map(|(layer, _)| layer).collect();
    let fresh = new.iter().filter(|(layer, _)| !known.contains(layer));
    let (bytes, layers) = fresh.fold((0, 0), |(b, n), (_, bytes)| (b + bytes, n + 1));
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    Cost {
        bytes,
        chain: new.iter().skip(same).map(|(_, bytes)| bytes).sum(),
        layers,
    }
}

pub fn bytes(image: &Image) -> u64 {
    image.values().map(|component| component.bytes).sum()
}

/// Means over a history, in percent of the image where not said otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Updates {
    pub bytes: f64,
    pub chain: f64,
    /// A number.
    pub layers: f64,
}

/// The mean update of a history; steps at which nothing changes do not count.
pub fn updates(history: &History, way: Way, max_layers: usize) -> Updates {
    let mut sum = Updates::default();
    let mut count = 0.0;
    let mut before: Option<(LayerPlan, &Image)> = None;
    for (_, image) in &history.images {
        let old = before.as_ref().map(|(plan, _)| plan);
        let plan = way.plan(image, max_layers, old);
        if let Some((old, old_image)) = &before
            && *old_image != image
        {
            let cost = cost(old, &plan);
            sum.bytes += percent(cost.bytes, bytes(image));
            sum.chain += percent(cost.chain, bytes(image));
            sum.layers += cost.layers as f64;
            count += 1.0;
        }
        before = Some((plan, image));
    }
    Updates {
        bytes: sum.bytes / count,
        chain: sum.chain / count,
        layers: sum.layers / count,
    }
}

/// Bytes beyond the component itself when one is added or taken away, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disturbance {
    pub mean: f64,
    pub max: f64,
}

impl Disturbance {
    fn of(all: &[f64]) -> Self {
        Self {
            mean: all.iter().sum::<f64>() / all.len().max(1) as f64,
            max: all.iter().copied().fold(0.0, f64::max),
        }
    }
}

/// Adding each component to the image without it, and taking each away.
pub fn disturbances(image: &Image, way: Way, max_layers: usize) -> (Disturbance, Disturbance) {
    let whole = way.plan(image, max_layers, None);
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for (name, component) in image {
        let mut less = image.clone();
        less.remove(name);
        let without = way.plan(&less, max_layers, None);
        let with = match way {
            Way::Following(_) => way.plan(image, max_layers, Some(&without)),
            _ => whole.clone(),
        };
        let extra = cost(&without, &with).bytes.saturating_sub(component.bytes);
        added.push(percent(extra, bytes(image)));
        let after = match way {
            Way::Following(_) => way.plan(&less, max_layers, Some(&whole)),
            _ => without,
        };
        removed.push(percent(cost(&whole, &after).bytes, bytes(&less)));
    }
    (Disturbance::of(&added), Disturbance::of(&removed))
}

/// Eight images of one house, by how much they have in common.
pub struct Family {
    pub name: &'static str,
    pub images: Vec<Image>,
}

/// What eight images of one house may have in common, made from one image.
pub fn families(image: &Image) -> [Family; 3] {
    let family = |name, images: fn(&Image) -> Vec<Image>| Family {
        name,
        images: images(image),
    };
    [
        family("own program", programs),
        family("one package more", services),
        family("half", halves),
    ]
}

/// Each has all packages, and a program of no package that is a hundredth as large.
fn programs(image: &Image) -> Vec<Image> {
    let program = |number| {
        let component = Component {
            version: "1".into(),
            bytes: bytes(image) / 100,
            needs: Vec::new(),
        };
        (format!("/srv/program-{number}"), component)
    };
    let images = (0..8).map(|number| image.clone().into_iter().chain([program(number)]));
    images.map(Iterator::collect).collect()
}

/// All have the smaller half of what nothing else needs, by what it needs, and each one of the
/// eight largest; with it comes what it needs.
fn services(image: &Image) -> Vec<Image> {
    let mut tops = tops(image);
    tops.sort_by_cached_key(|top| bytes(&closure(image, vec![top.clone()])));
    let common = tops.get(..tops.len() / 2).unwrap_or_default();
    let own = tops.iter().rev().take(8);
    let images = own.map(|top| closure(image, [common, std::slice::from_ref(top)].concat()));
    images.collect()
}

/// Half of what nothing else needs is in all of them, the other half is dealt out, and each has
/// what its parts need.
fn halves(image: &Image) -> Vec<Image> {
    let is_of = |at: usize, sibling: usize| at.is_multiple_of(2) || (at / 2) % 8 == sibling;
    let tops = tops(image);
    (0..8)
        .map(|sibling| {
            let own = tops.iter().enumerate();
            let own = own.filter(|(at, _)| is_of(*at, sibling));
            closure(image, own.map(|(_, name)| name.clone()).collect())
        })
        .collect()
}

/// What nothing else needs.
fn tops(image: &Image) -> Vec<String> {
    let needs = |(name, component): (&String, &Component)| {
        let others = component.needs.iter().filter(|other| *other != name);
        others.cloned().collect::<Vec<_>>()
    };
    let needed: BTreeSet<String> = image.iter().flat_map(needs).collect();
    let tops = image.keys().filter(|name| !needed.contains(*name));
    tops.cloned().collect()
}

fn closure(image: &Image, mut open: Vec<String>) -> Image {
    let mut found = Image::new();
    while let Some(name) = open.pop() {
        if let Some(component) = image.get(&name)
            && found.insert(name, component.clone()).is_none()
        {
            open.extend(component.needs.iter().cloned());
        }
    }
    found
}

/// Bytes that all layers of the siblings take together, as a multiple of what all their
/// components take.
pub fn sibling_ratio(siblings: &[Image], plans: &[LayerPlan]) -> f64 {
    let stored: BTreeMap<Layer, u64> = plans.iter().flat_map(layers).collect();
    let ideal: BTreeMap<(&String, &String), u64> = siblings
        .iter()
        .flatten()
        .map(|(name, c)| ((name, &c.version), c.bytes))
        .collect();
    stored.values().sum::<u64>() as f64 / ideal.values().sum::<u64>() as f64
}

/// The siblings, each planned for itself.
pub fn apart(siblings: &[Image], way: Way, max_layers: usize) -> f64 {
    let plans = siblings
        .iter()
        .map(|image| way.plan(image, max_layers, None));
    sibling_ratio(siblings, &plans.collect::<Vec<_>>())
}

/// The siblings, planned together.
pub fn together(siblings: &[Image], max_layers: usize) -> f64 {
    let graphs: Vec<Graph> = siblings.iter().map(graph_of).collect();
    let pins = Pins::default();
    let limits = Limits {
        max_layers,
        ..Limits::default()
    };
    let ships = graphs.iter().zip(siblings);
    let ships = ships.map(|(graph, image)| (items(graph, image), limits, &pins));
    sibling_ratio(siblings, &fleet(ships.collect()).expect("there is room"))
}

fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}
