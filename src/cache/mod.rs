//! Plan-item key → layer already known.
