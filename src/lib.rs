#![doc = include_str!("../ARCHITECTURE.md")]

pub mod blob;
pub mod build;
pub mod cache;
pub mod check;
mod error;
mod fault;
pub mod graph;
pub mod image;
mod json;
pub mod layer;
pub mod layout;
pub mod plan;
pub mod rank;
pub mod source;
pub mod target;
pub mod tree;

pub use build::{BuildRequest, Outcome, Planned, build, plan};
pub use error::{Error, ErrorKind};
