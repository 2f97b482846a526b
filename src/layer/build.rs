//! [`build_layers`]: all layers of an image at once, on one pool of workers.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::blob::{BlobStore, BlobWriter, DiffId, Hasher};
use crate::tree::{Listing, TreeError};

use super::codec::Packer;
use super::queue::{Course, Packed, Queue, Task};
use super::stream::TarStream;
use super::{Codec, LayerBlob, LayerError};

/// One layer that is to be made.
pub struct LayerJob<'a> {
    /// Where it comes from.
    pub source: Box<dyn LayerSource + 'a>,
    /// Its size in bytes as far as it is known before listing: the largest start first.
    pub expected: u64,
}

/// Where a layer comes from; asked by one worker at a time, in this order.
pub trait LayerSource: Send {
    /// Looks for it among those made before.
    fn known(&mut self) -> Option<LayerBlob> {
        None
    }

    /// Lists its entries, if it was not known; asked once.
    ///
    /// # Errors
    /// [`TreeError`] for what cannot be listed.
    fn list(&mut self) -> Result<Listing, TreeError>;

    /// Is told of it when it was made anew.
    fn made(&mut self, blob: &LayerBlob) {
        let _ = blob;
    }
}

/// A layer that is always made.
impl<F: FnMut() -> Result<Listing, TreeError> + Send> LayerSource for F {
    fn list(&mut self) -> Result<Listing, TreeError> {
        self()
    }
}

/// Who is told how a build goes on; called from all workers.
pub trait Progress: Sync {
    /// A layer of so many bytes (uncompressed) has been listed.
    fn listed(&self, bytes: u64);
    /// So many more bytes (uncompressed) are under way to the blob.
    fn advance(&self, bytes: u64);
    /// Something was left out of the image, in words.
    fn warn(&self, text: &str);
    /// Whether the build is to stop.
    fn cancelled(&self) -> bool;
}

/// Nobody is told anything.
pub struct Silent;

impl Progress for Silent {
    fn listed(&self, _: u64) {}
    fn advance(&self, _: u64) {}
    fn warn(&self, _: &str) {}
    fn cancelled(&self) -> bool {
        false
    }
}

/// Makes all layers with `threads` workers and returns them in the order of `jobs`.
///
/// Bytes depend on the listings and the codec only. Memory is bounded by about
/// 16 MiB a worker beside the listings, whatever the size of files and layers.
///
/// # Errors
/// The first failure of the lowest layer that failed; blobs finished by then stay
/// in the store, and nothing refers to them.
pub fn build_layers(
    jobs: Vec<LayerJob>,
    codec: Codec,
    store: &dyn BlobStore,
    threads: usize,
    progress: &dyn Progress,
) -> Result<Vec<LayerBlob>, LayerError> {
    let threads = threads.max(1);
    let expected: Vec<u64> = jobs.iter().map(|job| job.expected).collect();
    let shop = Shop {
        cold: AtomicBool::new(false),
        queue: Mutex::new(Queue::new(codec, store, &expected, threads)),
        turned: Condvar::new(),
        sources: jobs.into_iter().map(|job| Mutex::new(job.source)).collect(),
        progress,
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|n| format!("layers-{n}"));
    let pool = pool.build().map_err(|fault| LayerError::Threads {
        threads,
        fault: fault.to_string(),
    })?;
    pool.broadcast(|_| shop.work(codec));
    shop.queue
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .into_result()
}

/// So many pieces of a layer are asked for before they are wanted.
const AHEAD: u64 = 2;

/// What all workers share.
struct Shop<'a> {
    /// Whether sources are not in memory, as far as has been seen.
    cold: AtomicBool,
    queue: Mutex<Queue<'a>>,
    turned: Condvar,
    sources: Vec<Mutex<Box<dyn LayerSource + 'a>>>,
    progress: &'a dyn Progress,
}

impl<'a> Shop<'a> {
    fn lock(&self) -> MutexGuard<'_, Queue<'a>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes tasks until the build is over.
    fn work(&self, codec: Codec) {
        let mut packer = match Packer::new(codec) {
            Ok(packer) => packer,
            Err(fault) => {
                return self
                    .lock()
                    .fail(0, LayerError::Compress { layer: 0, fault });
            }
        };
        while let Some(task) = self.take() {
            let layer = layer_of(&task);
            // Nobody unwinds through a lock; what a panic leaves behind is thrown away with the build.
            let done = catch_unwind(AssertUnwindSafe(|| self.carry_out(task, &mut packer)));
            let done = done.unwrap_or_else(|panic| {
                Err(LayerError::Panicked {
                    layer,
                    fault: message(&*panic),
                })
            });
            if let Err(error) = done {
                self.lock().fail(layer, error);
            }
            self.turned.notify_all();
        }
    }

    /// The next task; `None` when the build is over.
    fn take(&self) -> Option<Task<'a>> {
        let mut queue = self.lock();
        loop {
            if self.progress.cancelled() {
                queue.fail(0, LayerError::Cancelled);
                self.turned.notify_all();
            }
            if queue.over() {
                return None;
            }
            if let Some(task) = queue.next() {
                return Some(task);
            }
            // Woken now and then even if nothing turns, to see whether the build is to stop.
            let woken = self.turned.wait_timeout(queue, Duration::from_millis(100));
            queue = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn carry_out(&self, task: Task<'a>, packer: &mut Packer) -> Result<(), LayerError> {
        match task {
            Task::List(layer) => self.list(layer, packer),
            Task::Fill(layer, piece, course) => self.fill(layer, piece, &course, packer),
            Task::Hash(layer, hasher, raw) => {
                self.hash(layer, hasher, raw);
                Ok(())
            }
            Task::Write(layer, writer, packed) => self.write(layer, writer, packed),
            Task::Finish(layer, writer, hasher) => self.finish(layer, writer, hasher),
        }
    }

    fn list(&self, layer: usize, packer: &Packer) -> Result<(), LayerError> {
        let mut source = self.source(layer);
        if let Some(blob) = source.known() {
            self.progress.listed(blob.tar_size);
            self.progress.advance(blob.tar_size);
            self.lock().known(layer, blob);
            return Ok(());
        }
        let stream = TarStream::new(source.list()?);
        drop(source);
        stream
            .warnings()
            .iter()
            .for_each(|text| self.progress.warn(text));
        self.progress.listed(stream.size());
        // Only where a compressor makes lengths unknown must pieces be written in order.
        let writer = match packer {
            Packer::None => Some(self.store().create()?),
            _ => None,
        };
        self.lock().listed(layer, stream, writer);
        Ok(())
    }

    fn source(&self, layer: usize) -> MutexGuard<'_, Box<dyn LayerSource + 'a>> {
        let source = self.sources[layer].lock();
        source.unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self) -> &'a dyn BlobStore {
        self.lock().store
    }

    fn fill(
        &self,
        layer: usize,
        piece: u64,
        course: &Course,
        packer: &mut Packer,
    ) -> Result<(), LayerError> {
        let (whole, mut raw) = {
            let mut queue = self.lock();
            (queue.codec.piece() as u64, queue.raw_buffer())
        };
        let start = piece * whole;
        let len = (course.stream.size() - start).min(whole) as usize;
        // Every byte is written below; old content is only kept from being cleared twice.
        raw.resize(len, 0);
        self.announce(start, whole, course);
        if course.stream.fill(start, &mut raw)? {
            self.cold.store(true, Ordering::Relaxed);
        }
        if let Some(ahead) = &course.ahead {
            // At once, while the bytes are in this core's cache.
            ahead.put(&raw, start)?;
        }
        self.progress.advance(len as u64);
        let raw = Arc::new(raw);
        self.lock().filled(layer, piece, &raw);
        if matches!(packer, Packer::None) {
            return Ok(());
        }
        self.turned.notify_one();
        let mut packed = self.lock().packed_buffer();
        packer
            .pack(&raw, &mut packed)
            .map_err(|fault| LayerError::Compress { layer, fault })?;
        let mut queue = self.lock();
        queue.packed(layer, piece, packed);
        queue.reclaim(raw);
        Ok(())
    }

    /// Once a disk had to be waited for, it is asked for all files of a piece at once,
    /// and of the pieces after it, which it can sort: many requests in its queue are
    /// what makes it fast, and no more threads are needed for that.
    fn announce(&self, start: u64, whole: u64, course: &Course) {
        if !self.cold.load(Ordering::Relaxed) {
            return;
        }
        let end = start + (1 + AHEAD) * whole;
        let asked = course.announced.fetch_max(end, Ordering::Relaxed);
        if asked < end {
            course.stream.announce(start.max(asked)..end);
        }
    }

    fn hash(&self, layer: usize, mut hasher: Hasher, raw: Arc<Vec<u8>>) {
        hasher.update(&raw);
        let mut queue = self.lock();
        queue.reclaim(raw);
        queue.hashed(layer, hasher);
    }

    fn write(
        &self,
        layer: usize,
        writer: Option<Box<dyn BlobWriter + 'a>>,
        packed: Packed,
    ) -> Result<(), LayerError> {
        let mut writer = match writer {
            Some(writer) => writer,
            None => self.store().create()?,
        };
        match &packed {
            Packed::Placed(bytes) => writer.follow(bytes),
            packed => writer.write(packed.bytes())?,
        }
        self.lock().written(layer, writer, packed);
        Ok(())
    }

    fn finish(
        &self,
        layer: usize,
        writer: Box<dyn BlobWriter + 'a>,
        hasher: Option<Hasher>,
    ) -> Result<(), LayerError> {
        let (codec, tar_size) = {
            let queue = self.lock();
            (queue.codec, queue.tar_size(layer))
        };
        let descriptor = writer.finish(codec.media_type())?;
        // An uncompressed layer is hashed once: its digest is its diff ID.
        let diff_id = DiffId(hasher.map_or_else(|| descriptor.digest.clone(), Hasher::finish));
        let blob = LayerBlob {
            descriptor,
            diff_id,
            tar_size,
            cached: false,
        };
        self.source(layer).made(&blob);
        self.lock().finished(layer, blob);
        Ok(())
    }
}

fn layer_of(task: &Task) -> usize {
    match *task {
        Task::List(layer)
        | Task::Fill(layer, ..)
        | Task::Hash(layer, ..)
        | Task::Write(layer, ..)
        | Task::Finish(layer, ..) => layer,
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}
