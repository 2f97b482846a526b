//! Promises, chapter by chapter of the image specification, and our own.

mod kit;

mod cli;
mod layout;
mod rooms;
