//! RDB and AOF.
