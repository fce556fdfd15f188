//! RDB files of real servers, and our own.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tests::{Client, TestServer};

/// Files in `golden/rdb`, and the digest that Redis 8.0.6 gives for what is in them. They were written by servers of the
/// version in their names: every type in every encoding of that version, expiring keys, two databases.
const GOLDEN: &[(&str, &str)] = &[
    ("types-7.0.15", "d658ec6df2226603cd02bdae405f9acc38b96af5"),
    ("types-8.0.6", "d658ec6df2226603cd02bdae405f9acc38b96af5"),
    ("streams-7.0.15", "909326df347fbcac755ffde2e2650730126c2218"),
    ("streams-8.0.6", "909326df347fbcac755ffde2e2650730126c2218"),
    ("fields-8.0.6", "bc43c4098a982340b8f6c9f382a69bf7306d4a80"),
];

/// A folder for a server's files; it goes away with this value.
struct Folder(PathBuf);

impl Folder {
    fn with(file: Option<&Path>) -> Folder {
        let name = file.and_then(|file| file.file_stem()).map_or("empty".into(), |name| name.to_string_lossy());
        let folder = std::env::temp_dir().join(format!("rsrs-rdb-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        if let Some(file) = file {
            std::fs::copy(file, folder.join("dump.rdb")).expect("the file is there");
        }
        Folder(folder)
    }

    fn server(&self, args: &[&str]) -> TestServer {
        let dir = self.0.to_string_lossy();
        TestServer::with(
            &[&["--dir", &dir, "--dbfilename", "dump.rdb", "--enable-debug-command", "yes"], args].concat(),
        )
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn digest(client: &mut Client) -> String {
    client.call(&["DEBUG", "DIGEST"]).to_string()
}

#[test]
fn golden_files_load_and_are_saved_again() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/rdb");
    for (name, expected) in GOLDEN {
        let folder = Folder::with(Some(&golden.join(format!("{name}.rdb"))));
        let expected = format!("+{expected}");
        {
            let server = folder.server(&[]);
            let mut client = server.client();
            assert_eq!(digest(&mut client), expected, "{name}");
            assert_eq!(client.call(&["DEBUG", "RELOAD"]).to_string(), "+OK");
            assert_eq!(digest(&mut client), expected, "{name} after a reload");
        }
        let server = folder.server(&[
            "--rdbcompression",
            "no",
            "--list-max-listpack-size",
            "3",
            "--hash-max-listpack-entries",
            "1",
        ]);
        assert_eq!(digest(&mut server.client()), expected, "{name}, saved by us, with other limits");
    }
}

#[test]
fn a_child_saves_what_was_there_when_it_began() {
    let folder = Folder::with(None);
    let server = folder.server(&["--rdb-key-save-delay", "2000"]);
    let mut client = server.client();
    client.call(&["DEBUG", "POPULATE", "200"]);
    let before = digest(&mut client);
    assert_eq!(client.call(&["BGSAVE"]).to_string(), "+Background saving started");
    assert_eq!(client.call(&["BGSAVE"]).to_string(), "-ERR Background save already in progress");
    assert_eq!(client.call(&["SAVE"]).to_string(), "-ERR Background save already in progress");
    for i in 0..200 {
        client.call(&["SET", &format!("key:{i}"), "later"]);
    }
    let start = Instant::now();
    while client.info("rdb_bgsave_in_progress") == 1 {
        assert!(start.elapsed() < Duration::from_secs(20), "the child does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(client.info("rdb_changes_since_last_save"), 200);
    assert_eq!(client.call(&["DEBUG", "RELOAD", "NOSAVE"]).to_string(), "+OK");
    assert_eq!(digest(&mut client), before);
}
