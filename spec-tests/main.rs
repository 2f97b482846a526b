//! Promises, chapter by chapter of the image specification, and our own.

mod layout;
