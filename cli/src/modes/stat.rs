//! `--stat`: a line of INFO's most telling figures each second, until interrupted.

use std::process::ExitCode;
use std::time::Duration;

use crate::modes::failed;
use crate::session::Session;

/// Lines between two headings.
const HEADING_EVERY: usize = 20;

const HEADING: &str = "------- data ------ --------------------- load -------------------- - child -\n\
                       keys       mem      clients blocked requests            connections          \n";

pub(crate) async fn run(mut session: Session) -> ExitCode {
    let interval = match session.options.interval {
        Duration::ZERO => Duration::from_secs(1),
        interval => interval,
    };
    let mut requests_before = None;
    for line in 0.. {
        let Some(connection) = session.connection().await else { return ExitCode::FAILURE };
        let info = match connection.ask(&["INFO"]).await {
            Ok(reply) if reply.is_error() => {
                eprintln!("ERROR: {}", String::from_utf8_lossy(reply.as_bytes().unwrap_or_default()));
                return ExitCode::FAILURE;
            }
            Ok(reply) => String::from_utf8_lossy(reply.as_bytes().unwrap_or_default()).into_owned(),
            Err(error) => return failed(&error),
        };
        if line % HEADING_EVERY == 0 {
            session.write(HEADING.as_bytes());
        }
        let requests = number(&info, "total_commands_processed");
        session.write(figures(&info, requests_before.unwrap_or(requests)).as_bytes());
        requests_before = Some(requests);
        tokio::time::sleep(interval).await;
    }
    ExitCode::SUCCESS
}

pub(crate) fn field<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim_end)
}

pub(crate) fn number(info: &str, name: &str) -> i64 {
    field(info, name).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Keys of all databases.
fn keys(info: &str) -> i64 {
    info.lines()
        .filter_map(|line| {
            let (db, figures) = line.strip_prefix("db")?.split_once(":keys=")?;
            db.parse::<u32>().ok()?;
            figures.split(',').next()?.parse::<i64>().ok()
        })
        .sum()
}

fn figures(info: &str, requests_before: i64) -> String {
    let requests = number(info, "total_commands_processed");
    let child = match () {
        () if number(info, "loading") == 1 => "LOAD",
        () if number(info, "rdb_bgsave_in_progress") == 1 => "SAVE",
        () if number(info, "aof_rewrite_in_progress") == 1 => "AOF",
        () => "",
    };
    let line = format!(
        "{:<11}{:<9}{:<8}{:<8}{:<20}{:<12}{child}\n",
        keys(info),
        human(number(info, "used_memory")),
        number(info, "connected_clients"),
        number(info, "blocked_clients"),
        format!("{requests} (+{})", requests - requests_before),
        number(info, "total_connections_received"),
    );
    line
}

/// `1.67M`
pub(crate) fn human(bytes: i64) -> String {
    let mut value = bytes as f64;
    if value < 1024.0 {
        return format!("{bytes}B");
    }
    for unit in ["K", "M", "G", "T", "P"] {
        value /= 1024.0;
        if value < 1024.0 {
            return format!("{value:.2}{unit}");
        }
    }
    format!("{value:.2}P")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line() {
        let info = "# Clients\r\nconnected_clients:1\r\nblocked_clients:0\r\nused_memory:1751121\r\n\
                    total_connections_received:86\r\ntotal_commands_processed:375\r\nrdb_bgsave_in_progress:1\r\n\
                    db0:keys=30,expires=0\r\ndb9:keys=4,expires=0\r\n";
        assert_eq!(figures(info, 374), "34         1.67M    1       0       375 (+1)            86          SAVE\n");
        assert_eq!(human(1023), "1023B");
        assert_eq!(human(1 << 30), "1.00G");
        assert_eq!(figures("", 0), "0          0B       0       0       0 (+0)              0           \n");
    }
}
