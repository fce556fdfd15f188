//! Where things lie: the workspace, its target folder, our binaries, and the tools of the machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{Error, fail, process};

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}

/// The folder for build results and for everything that tasks download or log.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// The folder `target/NAME`, created.
pub(crate) fn scratch(name: &str) -> Result<PathBuf, Error> {
    let dir = target().join(name);
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// The program `name` as found on the `PATH`, if it is there.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The program `name`, or an error that tells which package brings it.
pub(crate) fn need(name: &str, package: &str) -> Result<PathBuf, Error> {
    match tool(name) {
        Some(path) => Ok(path),
        None => fail!("{name} is missing; install it (Debian and Ubuntu: apt-get install {package})"),
    }
}

/// How our binaries are built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Profile {
    /// `cargo build`: assertions on.
    Dev,
    /// `cargo build --release`.
    Release,
}

/// Our binaries, built and ready to start.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    /// `redis-server-rs`.
    pub(crate) server: PathBuf,
    /// `redis-cli-rs`.
    pub(crate) cli: PathBuf,
    /// `redis-benchmark-rs`.
    pub(crate) benchmark: PathBuf,
}

/// Builds the server, the command line client and the load generator.
pub(crate) fn build(profile: Profile) -> Result<Binaries, Error> {
    let mut cargo = cargo();
    cargo.args([
        "build",
        "--quiet",
        "--bin",
        "redis-server-rs",
        "--bin",
        "redis-cli-rs",
        "--bin",
        "redis-benchmark-rs",
    ]);
    let folder = match profile {
        Profile::Dev => "debug",
        Profile::Release => {
            cargo.arg("--release");
            "release"
        }
    };
    println!("building redis-server-rs, redis-cli-rs and redis-benchmark-rs ({folder})");
    if !process::run(&mut cargo, Duration::from_secs(40 * 60))?.success() {
        fail!("the build failed");
    }
    let dir = target().join(folder);
    Ok(Binaries {
        server: dir.join("redis-server-rs"),
        cli: dir.join("redis-cli-rs"),
        benchmark: dir.join("redis-benchmark-rs"),
    })
}

/// The cargo that started us, in the workspace's root.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// How many processors there are.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}
