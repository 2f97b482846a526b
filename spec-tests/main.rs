//! Promises, chapter by chapter of the image specification, and our own.

mod images;
mod kit;
mod tarball;

mod cli;
mod determinism;
mod hostile;
mod layout;
mod rooms;
mod trees;
mod verify;
