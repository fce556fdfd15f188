//! Black-box tests: what a client sees. Each module is a subject.

mod aof;
mod connections;
mod crash;
mod disk_faults;
mod payloads;
mod pipelines;
mod process;
mod protocol;
mod rdb;
mod scripts;
mod sessions;
