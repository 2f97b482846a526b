//! Promises, chapter by chapter of the image specification, and our own.

mod kit;

mod cli;
mod determinism;
mod hostile;
mod layout;
mod rooms;
mod trees;
