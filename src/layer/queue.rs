//! What is to be done next: the order in which the pieces of all layers are made.
//!
//! Pure bookkeeping under one lock. Per layer, two chains are serial: the hash of
//! the tar and the writing of the blob; filling and compressing pieces is not. The
//! layer with most left to do goes first, and only as many pieces are under way as
//! the budget of buffers allows. A piece under way never waits for one that is not,
//! so the budget cannot lock up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::blob::{Ahead, Algorithm, BlobStore, BlobWriter, Hasher};

use super::stream::TarStream;
use super::{Codec, LayerBlob, LayerError};

/// A stretch of work that one worker does without the lock.
pub(super) enum Task<'s> {
    /// List layer `.0`.
    List(usize),
    /// Make piece `.1` of layer `.0`.
    Fill(usize, u64, Arc<Course>),
    /// Add the next piece to the hash of the tar.
    Hash(usize, Hasher, Arc<Vec<u8>>),
    /// Write the next piece to the blob; the writer is made on first use.
    Write(usize, Option<Box<dyn BlobWriter + 's>>, Packed),
    /// Name the blob.
    Finish(usize, Box<dyn BlobWriter + 's>, Option<Hasher>),
}

/// Where the pieces of a layer come from and, if order does not matter, where they go.
pub(super) struct Course {
    pub stream: TarStream,
    /// Up to where files have been asked for.
    pub announced: AtomicU64,
    pub ahead: Option<Box<dyn Ahead>>,
}

/// A piece as it will be stored.
pub(super) enum Packed {
    /// The tar itself.
    Plain(Arc<Vec<u8>>),
    /// The tar itself, in its place already and wanted only for its digest.
    Placed(Arc<Vec<u8>>),
    /// Compressed.
    Own(Vec<u8>),
}

impl Packed {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) | Self::Placed(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

#[derive(Default)]
struct Layer<'s> {
    course: Option<Arc<Course>>,
    pieces: u64,
    /// Next piece to be filled.
    filling: u64,
    hashed: u64,
    written: u64,
    raw: BTreeMap<u64, Arc<Vec<u8>>>,
    packed: BTreeMap<u64, Packed>,
    /// Here unless a worker has it.
    hasher: Option<Hasher>,
    writer: Option<Box<dyn BlobWriter + 's>>,
    writing: bool,
    done: Option<LayerBlob>,
}

impl Layer<'_> {
    fn left(&self) -> u64 {
        self.pieces - self.filling
    }

    fn active(&self) -> bool {
        self.filling > 0 && self.done.is_none()
    }
}

/// How many pieces may be under way: one a worker and a few to even out, 4 MiB each,
/// twice when compressed. Small ones are more, but not so many that caches overflow.
fn budget(codec: Codec, threads: usize) -> usize {
    (threads + 3) * (Codec::PIECE / codec.piece()).min(4)
}

/// The state of a whole build.
pub(super) struct Queue<'s> {
    pub codec: Codec,
    pub store: &'s dyn BlobStore,
    layers: Vec<Layer<'s>>,
    /// Layers not listed yet, the largest last.
    unlisted: Vec<usize>,
    listing: usize,
    in_flight: usize,
    limit: usize,
    threads: usize,
    /// Buffers to be used again. Those of compressed pieces are apart, because so much
    /// of them is never touched and takes no memory.
    free_raw: Vec<Vec<u8>>,
    free_packed: Vec<Vec<u8>>,
    failed: Option<(usize, LayerError)>,
}

impl<'s> Queue<'s> {
    /// `expected` is the size of each layer as far as it is known before listing.
    pub(super) fn new(
        codec: Codec,
        store: &'s dyn BlobStore,
        expected: &[u64],
        threads: usize,
    ) -> Self {
        let mut unlisted: Vec<_> = (0..expected.len()).collect();
        unlisted.sort_by_key(|&layer| (expected[layer], std::cmp::Reverse(layer)));
        Self {
            codec,
            store,
            layers: expected.iter().map(|_| Layer::default()).collect(),
            unlisted,
            listing: 0,
            in_flight: 0,
            limit: budget(codec, threads),
            threads,
            free_raw: Vec::new(),
            free_packed: Vec::new(),
            failed: None,
        }
    }

    /// Whether nothing is left to do, by success or failure.
    pub(super) fn over(&self) -> bool {
        self.failed.is_some() || self.layers.iter().all(|layer| layer.done.is_some())
    }

    /// The next thing to do; `None` while others must finish theirs first.
    pub(super) fn next(&mut self) -> Option<Task<'s>> {
        self.serial().or_else(|| self.ahead())
    }

    /// Work that others may wait for.
    fn serial(&mut self) -> Option<Task<'s>> {
        let both = self.codec != Codec::None;
        for (number, layer) in self
            .layers
            .iter_mut()
            .enumerate()
            .filter(|(_, layer)| layer.active())
        {
            let whole = layer.written == layer.pieces && (!both || layer.hashed == layer.pieces);
            if whole
                && !layer.writing
                && let Some(writer) = layer.writer.take()
            {
                return Some(Task::Finish(number, writer, layer.hasher.take()));
            }
            if !layer.writing
                && let Some(packed) = layer.packed.remove(&layer.written)
            {
                layer.writing = true;
                return Some(Task::Write(number, layer.writer.take(), packed));
            }
            if layer.hasher.is_some()
                && layer.raw.contains_key(&layer.hashed)
                && let (Some(hasher), Some(raw)) =
                    (layer.hasher.take(), layer.raw.remove(&layer.hashed))
            {
                return Some(Task::Hash(number, hasher, raw));
            }
        }
        None
    }

    /// Listing or filling, whichever is scarcer.
    fn ahead(&mut self) -> Option<Task<'s>> {
        let ready = self
            .layers
            .iter()
            .filter(|l| l.course.is_some() && l.filling == 0)
            .count();
        if ready + self.listing <= self.threads
            && let Some(layer) = self.unlisted.pop()
        {
            self.listing += 1;
            return Some(Task::List(layer));
        }
        self.fill()
    }

    fn fill(&mut self) -> Option<Task<'s>> {
        if self.in_flight >= self.limit {
            return None;
        }
        let active = self.layers.iter().filter(|layer| layer.active()).count();
        let open = |layer: &Layer| layer.left() > 0 && (layer.active() || active <= self.threads);
        let most = self
            .layers
            .iter()
            .enumerate()
            .filter(|(_, layer)| open(layer));
        // Of equally long layers the lower goes first.
        let (number, _) =
            most.max_by_key(|(number, layer)| (layer.left(), std::cmp::Reverse(*number)))?;
        let layer = &mut self.layers[number];
        let course = Arc::clone(layer.course.as_ref()?);
        self.in_flight += 1;
        layer.filling += 1;
        Some(Task::Fill(number, layer.filling - 1, course))
    }

    pub(super) fn raw_buffer(&mut self) -> Vec<u8> {
        self.free_raw.pop().unwrap_or_default()
    }

    pub(super) fn packed_buffer(&mut self) -> Vec<u8> {
        self.free_packed.pop().unwrap_or_default()
    }

    pub(super) fn listed(
        &mut self,
        number: usize,
        stream: TarStream,
        writer: Option<Box<dyn BlobWriter + 's>>,
    ) {
        self.listing -= 1;
        let layer = &mut self.layers[number];
        layer.pieces = stream.size().div_ceil(self.codec.piece() as u64);
        let ahead = writer.as_ref().and_then(|writer| writer.ahead());
        layer.course = Some(Arc::new(Course {
            stream,
            announced: AtomicU64::new(0),
            ahead,
        }));
        layer.writer = writer;
        layer.hasher = (self.codec != Codec::None).then(|| Hasher::new(Algorithm::Sha256));
    }

    /// The tar of a piece is there: it can be hashed, or written if nothing compresses it.
    pub(super) fn filled(&mut self, number: usize, piece: u64, raw: &Arc<Vec<u8>>) {
        let layer = &mut self.layers[number];
        let placed = layer.course.as_ref().is_some_and(|c| c.ahead.is_some());
        let raw = Arc::clone(raw);
        if self.codec != Codec::None {
            layer.raw.insert(piece, raw);
        } else if placed {
            layer.packed.insert(piece, Packed::Placed(raw));
        } else {
            layer.packed.insert(piece, Packed::Plain(raw));
        }
    }

    pub(super) fn packed(&mut self, number: usize, piece: u64, packed: Vec<u8>) {
        self.layers[number]
            .packed
            .insert(piece, Packed::Own(packed));
    }

    pub(super) fn hashed(&mut self, number: usize, hasher: Hasher) {
        let layer = &mut self.layers[number];
        layer.hasher = Some(hasher);
        layer.hashed += 1;
        self.recount();
    }

    pub(super) fn written(
        &mut self,
        number: usize,
        writer: Box<dyn BlobWriter + 's>,
        packed: Packed,
    ) {
        let layer = &mut self.layers[number];
        layer.writer = Some(writer);
        layer.writing = false;
        layer.written += 1;
        match packed {
            Packed::Own(buffer) => self.free_packed.push(buffer),
            Packed::Plain(shared) | Packed::Placed(shared) => self.reclaim(shared),
        }
        self.recount();
    }

    /// Takes a buffer back if nobody else wants it any more.
    pub(super) fn reclaim(&mut self, shared: Arc<Vec<u8>>) {
        if let Ok(buffer) = Arc::try_unwrap(shared) {
            self.free_raw.push(buffer);
        }
    }

    /// Pieces that have passed both chains are off the budget.
    fn recount(&mut self) {
        let both = self.codec != Codec::None;
        let passed = |l: &Layer| {
            if both {
                l.hashed.min(l.written)
            } else {
                l.written
            }
        };
        self.in_flight = self
            .layers
            .iter()
            .map(|l| (l.filling - passed(l)) as usize)
            .sum();
    }

    pub(super) fn tar_size(&self, number: usize) -> u64 {
        self.layers[number]
            .course
            .as_ref()
            .map_or(0, |course| course.stream.size())
    }

    /// A layer that need not be made.
    pub(super) fn known(&mut self, number: usize, blob: LayerBlob) {
        self.listing -= 1;
        self.layers[number].done = Some(blob);
    }

    pub(super) fn finished(&mut self, number: usize, blob: LayerBlob) {
        let layer = &mut self.layers[number];
        layer.done = Some(blob);
        layer.course = None;
    }

    /// Of several failures the one of the lowest layer is told.
    pub(super) fn fail(&mut self, number: usize, error: LayerError) {
        if self
            .failed
            .as_ref()
            .is_none_or(|(first, _)| number < *first)
        {
            self.failed = Some((number, error));
        }
    }

    pub(super) fn into_result(self) -> Result<Vec<LayerBlob>, LayerError> {
        match self.failed {
            Some((_, error)) => Err(error),
            None => Ok(self
                .layers
                .into_iter()
                .filter_map(|layer| layer.done)
                .collect()),
        }
    }
}
