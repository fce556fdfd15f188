//! The disk that files of data are written to: the machine's, which a test can have fail (DEBUG DISK-FAULT).

use std::fs::File;

use persistence::disk::{FaultDisk, FaultFile, OsDisk};

/// The disk.
pub type ServerDisk = FaultDisk<OsDisk>;

/// A file on it that is written to.
pub type ServerFile = FaultFile<File>;
