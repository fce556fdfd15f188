//! Real servers under the dashboard, and the programs and bars around a session: pager, editor, progress.

use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::server::{Server, find};
use crate::{CLEAR, FakeServer, Terminal, home};

const CLI: &str = env!("CARGO_BIN_EXE_redis-cli-rs");

/// Redis, and ours where it is built beside the client.
fn servers() -> Vec<PathBuf> {
    let ours = Path::new(CLI).with_file_name("redis-server-rs");
    find("REDIS_SERVER", "redis-server").into_iter().chain(ours.is_file().then_some(ours)).collect()
}

#[test]
fn the_dashboard_of_real_servers() {
    for program in servers() {
        let home = home("dashboard-real");
        let server = Server::start(&program, &home.join("server"), &[]);
        let mut fill = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        let lines = "CONFIG SET slowlog-log-slower-than 0\r\nCLIENT SETNAME filler\r\nSETRANGE big:one 300000 x\r\nGET big:one\r\n";
        fill.write_all(lines.as_bytes()).unwrap();
        let filler = thread::spawn(move || {
            while fill.write_all(b"GET nosuch\r\n").is_ok() {
                thread::sleep(Duration::from_millis(50));
            }
        });
        let mut terminal = Terminal::start(server.port, &home, &["--tui", "-i", "0.3"]);
        terminal.resize(40, 120);
        let parts = [
            " master  up ",
            "clients 2 ",
            "operations ",
            "memory ",
            "db0:keys=1",
            "hits 1  misses ",
            "K  big:one",
            " ms  GET nosuch",
            "filler",
        ];
        let complete = |text: &str| parts.iter().all(|part| text.contains(part));
        terminal.wait_drawn(complete).unwrap_or_else(|last| panic!("{}:\n{last}", program.display()));
        assert!(!terminal.ever_showed("RANDOMKEY"), "the slow log without the dashboard's own questions");
        terminal.press("q");
        assert_eq!(terminal.ends(), 0);
        terminal.wait_drawn(|text| !text.contains("big keys")).expect("the screen before comes back");

        let mut terminal = Terminal::start(server.port, &home, &["--tui", "-i", "0.3"]);
        terminal.wait_drawn(|text| text.contains("big keys")).unwrap();
        drop(server);
        assert_eq!(terminal.ends(), 1);
        let said =
            |text: &str| ["Server closed the connection", "Connection reset"].iter().any(|told| text.contains(told));
        terminal.wait_drawn(said).unwrap();
        filler.join().unwrap();
        std::fs::remove_dir_all(&home).unwrap();
    }
}

#[test]
fn a_long_reply_is_paged() {
    let (server, home) = (FakeServer::default(), home("pager"));
    let script = home.join("pager");
    std::fs::write(&script, "cat >$HOME/paged; echo read by the pager").unwrap();
    let pager = format!("sh {}", script.display());
    let mut terminal = Terminal::start_with(server.start(), &home, &[CLI], &[("PAGER", &pager), ("NO_COLOR", "1")]);
    terminal.see("", "PORT>");
    terminal.see("KEYS *\r", "read by the pager\n127.0.0.1:PORT>");
    let paged = std::fs::read_to_string(home.join("paged")).unwrap();
    assert!(paged.starts_with(" 1) \"key 1\"\n") && paged.ends_with("60) \"key 60\"\n"), "{paged:?}");
    std::fs::remove_file(home.join("paged")).unwrap();
    terminal.see(":set nopager\r", "PORT>");
    terminal.see(&format!("{CLEAR}KEYS *\r"), "60) \"key 60\"\n127.0.0.1:PORT>");
    terminal.see(&format!(":set pager\r{CLEAR}LRANGE k 0 1\r"), "2) \"two\"");
    assert!(!home.join("paged").exists(), "neither without a pager nor for what fits the screen");
    std::fs::remove_dir_all(&home).unwrap();
}

#[test]
fn a_line_is_edited_elsewhere() {
    let (server, home) = (FakeServer::default(), home("elsewhere"));
    let script = home.join("editor");
    std::fs::write(&script, "cp \"$1\" $HOME/before; printf 'SET k\\n\"a b\"\\n' >\"$1\"").unwrap();
    let editor = format!("sh {}", script.display());
    let mut terminal = Terminal::start_with(server.start(), &home, &[CLI], &[("EDITOR", &editor)]);
    terminal.see("", "PORT>");
    terminal.see("SET k \x18\x05", "\"a b\"");
    assert_eq!(std::fs::read_to_string(home.join("before")).unwrap().trim_end(), "SET k");
    terminal.see("\r", "OK");
    terminal.see(&format!("{CLEAR}GET k\r"), "\"a b\"");
    std::fs::write(&script, "exit 1").unwrap();
    terminal.see(&format!("{CLEAR}GET k\x18\x05"), "GET k");
    terminal.see("\r", "\"a b\"");
    std::fs::remove_dir_all(&home).unwrap();
}

#[test]
fn long_jobs_show_how_far_they_are() {
    let (server, home) = (FakeServer::default(), home("progress"));
    let port = server.start();
    let file = home.join("dump.rdb");
    let set = "*3\\r\\n$3\\r\\nSET\\r\\n$1\\r\\na\\r\\n$1\\r\\n1\\r\\n";
    let cases = [
        (format!("(printf '{set}'; sleep 1; printf '{set}') | {CLI} -p {port} --pipe"), "27 bytes, ", "replies: 2"),
        (format!("{CLI} -p {port} --rdb {}", file.display()), "]  50% 5 bytes, ", "finished with success"),
        (format!("{CLI} -p {port} --scan >/dev/null"), "2 keys, ", ""),
    ];
    for (line, shown, end) in &cases {
        let mut terminal = Terminal::start_with(port, &home, &["sh", "-c", line], &[]);
        terminal.wait_drawn(|text| text.contains(shown)).unwrap_or_else(|last| panic!("{line}:\n{last}"));
        assert_eq!(terminal.ends(), 0, "{line}");
        let last = terminal.see("", end);
        assert!(!last.contains(shown), "{line}:\n{last}");
        // Somebody who pipes standard error away, or wants it plain, sees none of it.
        let mut terminal = Terminal::start_with(port, &home, &["sh", "-c", &line.replace(" -p ", " --plain -p ")], &[]);
        assert_eq!(terminal.ends(), 0, "{line}");
        thread::sleep(Duration::from_millis(100));
        assert!(!terminal.ever_showed(shown), "{line}");
    }
    std::fs::remove_dir_all(&home).unwrap();
}
