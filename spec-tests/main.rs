//! Promises, chapter by chapter of the image specification, and our own.

// A test that cannot go on has failed.
#![allow(clippy::unwrap_used, clippy::expect_used)]
// What these warn of is no danger in a test.
#![allow(
    clippy::cast_precision_loss,
    clippy::large_stack_arrays,
    clippy::maybe_infinite_iter,
    clippy::too_many_lines
)]

mod images;
mod kit;
mod tarball;

mod artifact;
mod base;
mod cache;
mod cli;
mod contents;
mod copy;
mod crash;
mod determinism;
mod endings;
mod hostile;
mod hostile_layouts;
mod inside;
mod inspect;
mod layers;
mod layout;
mod layout_ops;
mod properties;
mod races;
mod readers;
mod readme;
mod rebuild;
mod replays;
mod rooms;
mod shown;
mod split;
mod trees;
mod verify;
