//! Bytes of a capture, a socket or a file become observations, rows and lines: a file or folder for each kind of source.

pub mod asterisk_cdr;
