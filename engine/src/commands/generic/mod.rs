//! Commands on keys of any type. <https://redis.io/docs/latest/commands/?group=generic>

pub mod expire;
pub mod keys;
pub mod object;
pub mod scan;
pub mod sort;
