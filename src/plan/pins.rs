//! Components that are asked to share a layer, whatever the strategy.

use globset::{GlobBuilder, GlobMatcher};

use super::items::{Group, Items};
use super::{LayerKind, PlanError};
use crate::graph::NodeId;

/// Pinned layers, in the order in which they were asked for, the lowest first.
///
/// ```
/// use plywood::plan::Pins;
///
/// let mut pins = Pins::default();
/// pins.add_flag("runtime=glibc*")?;
/// pins.add_flag("runtime=/nix/store/*-gcc-*-lib")?;
/// # Ok::<(), plywood::plan::PlanError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Pins {
    pins: Vec<Pin>,
}

#[derive(Clone, Debug)]
struct Pin {
    name: String,
    matches: Vec<Pattern>,
    except: Vec<Pattern>,
    /// Above the layers that the strategy deals out, not below.
    high: bool,
    /// No error if nothing matches.
    optional: bool,
}

/// A glob, and who asked for it.
#[derive(Clone, Debug)]
struct Pattern {
    glob: GlobMatcher,
    origin: String,
}

/// What pins leave over.
pub(super) struct Pinned {
    pub(super) low: Vec<Group>,
    pub(super) high: Vec<Group>,
    pub(super) others: Vec<NodeId>,
}

impl Pins {
    /// Adds `NAME=GLOB`; globs of the same name share a layer. A glob with `/` is held
    /// against paths (`*` stops at `/`, `**` does not), one without against names, and
    /// against the last parts of paths.
    ///
    /// # Errors
    /// [`PlanError::Pin`] for anything but that form.
    pub fn add_flag(&mut self, text: &str) -> Result<(), PlanError> {
        let origin = format!("--layer {text}");
        let Some((name, glob)) = text.split_once('=') else {
            return Err(pin_error(&origin, "expected NAME=GLOB".into()));
        };
        check_name(&origin, name)?;
        let pattern = Pattern::new(glob, &origin)?;
        match self.pins.iter_mut().find(|pin| pin.name == name) {
            Some(pin) => pin.matches.push(pattern),
            None => self.pins.push(Pin {
                name: name.to_owned(),
                matches: vec![pattern],
                except: Vec::new(),
                high: false,
                optional: false,
            }),
        }
        Ok(())
    }

    /// Who asked for the pin of this number.
    pub(super) fn origin_of(&self, number: usize) -> Option<String> {
        let first = self.pins.get(number)?.matches.first()?;
        Some(first.origin.clone())
    }

    /// Takes the components that match; the first pin that matches gets a component.
    pub(super) fn apply(&self, items: &Items<'_>) -> Result<Pinned, PlanError> {
        let mut others: Vec<NodeId> = items.graph.nodes().collect();
        let (mut low, mut high) = (Vec::new(), Vec::new());
        for pin in &self.pins {
            pin.check_matches(items)?;
            let (mut nodes, left): (Vec<NodeId>, Vec<NodeId>) =
                others.into_iter().partition(|node| pin.wants(items, *node));
            others = left;
            items.sort_by_name(&mut nodes);
            if let Some(group) = Group::of_all(LayerKind::Pinned, nodes) {
                let group = Group {
                    name: Some(pin.name.clone()),
                    ..group
                };
                let place = if pin.high { &mut high } else { &mut low };
                place.push(group);
            }
        }
        Ok(Pinned { low, high, others })
    }
}

impl Pin {
    fn wants(&self, items: &Items<'_>, node: NodeId) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|p| p.matches(items, node));
        any(&self.matches) && !any(&self.except)
    }

    /// Every glob must be good for something: one that is not is probably out of date.
    fn check_matches(&self, items: &Items<'_>) -> Result<(), PlanError> {
        let idle = |p: &&Pattern| !items.graph.nodes().any(|node| p.matches(items, node));
        match self.matches.iter().find(idle) {
            Some(pattern) if !self.optional => Err(PlanError::Unmatched {
                origin: pattern.origin.clone(),
                glob: pattern.glob.glob().to_string(),
            }),
            _ => Ok(()),
        }
    }
}

impl Pattern {
    fn new(glob: &str, origin: &str) -> Result<Self, PlanError> {
        if glob.is_empty() {
            return Err(pin_error(origin, "an empty glob".into()));
        }
        let built = GlobBuilder::new(glob)
            .literal_separator(true)
            .backslash_escape(true)
            .build();
        let built = built.map_err(|error| pin_error(origin, error.to_string()))?;
        Ok(Self {
            glob: built.compile_matcher(),
            origin: origin.to_owned(),
        })
    }

    fn matches(&self, items: &Items<'_>, node: NodeId) -> bool {
        let path = items.graph.path(node);
        if self.glob.glob().glob().contains('/') {
            return self.glob.is_match(path);
        }
        let base = path.rsplit('/').next().unwrap_or(path);
        self.glob.is_match(items.name(node)) || self.glob.is_match(base)
    }
}

fn check_name(origin: &str, name: &str) -> Result<(), PlanError> {
    if name.is_empty() {
        return Err(pin_error(origin, "the layer needs a name".into()));
    }
    Ok(())
}

fn pin_error(origin: &str, reason: String) -> PlanError {
    PlanError::Pin {
        origin: origin.to_owned(),
        reason,
    }
}

#[cfg(feature = "cli")]
mod file {
    //! `--layers-file`: pinned layers under version control.

    use serde::Deserialize;
    use toml::Spanned;

    use super::{Pattern, Pin, Pins, check_name, pin_error};
    use crate::plan::PlanError;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default)]
        layer: Vec<Layer>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Layer {
        name: Spanned<String>,
        #[serde(rename = "match")]
        matches: Vec<Spanned<String>>,
        #[serde(default)]
        except: Vec<Spanned<String>>,
        #[serde(default)]
        top: bool,
        #[serde(default)]
        optional: bool,
    }

    impl Pins {
        /// Adds the layers of a TOML file, which error texts call `origin`:
        ///
        /// ```toml
        /// [[layer]]                    # in order, the lowest first
        /// name = "runtime"
        /// match = ["glibc", "/nix/store/*-gcc-*-lib"]
        /// except = ["*-doc"]           # not these
        /// top = false                  # true: above all layers that are dealt out
        /// optional = false             # true: may match nothing
        /// ```
        ///
        /// # Errors
        /// [`PlanError::Pin`] naming file and line.
        pub fn add_file(&mut self, text: &str, origin: &str) -> Result<(), PlanError> {
            let line = |at: usize| {
                let before = text.as_bytes().get(..at).unwrap_or_default();
                format!("{origin}, line {}", before.split(|b| *b == b'\n').count())
            };
            let file: File = toml::from_str(text).map_err(|error| {
                let origin = error
                    .span()
                    .map_or(origin.to_owned(), |span| line(span.start));
                pin_error(&origin, error.message().replace('\n', "; "))
            })?;
            let patterns = |globs: Vec<Spanned<String>>| -> Result<Vec<Pattern>, PlanError> {
                let pattern = |glob: Spanned<String>| {
                    let at = line(glob.span().start);
                    Pattern::new(glob.get_ref(), &at)
                };
                globs.into_iter().map(pattern).collect()
            };
            for Layer {
                name,
                matches,
                except,
                top,
                optional,
            } in file.layer
            {
                let at = line(name.span().start);
                let name = name.into_inner();
                check_name(&at, &name)?;
                if self.pins.iter().any(|pin| pin.name == name) {
                    return Err(pin_error(&at, format!("a second layer `{name}`")));
                }
                let (matches, except) = (patterns(matches)?, patterns(except)?);
                if matches.is_empty() {
                    return Err(pin_error(
                        &at,
                        format!("nothing for the layer `{name}` to match"),
                    ));
                }
                self.pins.push(Pin {
                    name,
                    matches,
                    except,
                    high: top,
                    optional,
                });
            }
            Ok(())
        }
    }
}
