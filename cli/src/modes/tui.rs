//! `--tui`: a dashboard that is drawn anew each second, until q, Escape or Ctrl-C.
//!
//! [`Figures`] is what the server said, [`Dashboard`] what came together since the start; drawing needs neither a server nor a
//! terminal.

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph, Sparkline};
use resp::Value;

use crate::connection::{Connection, Error, encode};
use crate::modes::failed;
use crate::modes::stat::{field, human, number};
use crate::print::text;
use crate::session::Session;

/// Seconds of history behind the curves.
const HISTORY: usize = 300;

/// Keys that are looked at each second for the biggest, and how many of those are shown.
const KEYS_SAMPLED: usize = 16;
const BIG_KEYS: usize = 8;

/// Entries of the slow log, and clients, that are shown.
const ROWS: usize = 8;

/// Entries of the slow log that are asked for: some may be the dashboard's own.
const SLOW_ENTRIES: usize = 128;

/// What the server said in one round.
#[derive(Debug, Default)]
struct Figures {
    info: String,
    slow: Vec<String>,
    clients: Vec<String>,
    /// Keys and their bytes.
    keys: Vec<(Vec<u8>, u64)>,
    ping: Duration,
}

/// What is shown.
#[derive(Debug, Default)]
struct Dashboard {
    server: String,
    now: Figures,
    operations: VecDeque<u64>,
    memory: VecDeque<u64>,
    pings_us: VecDeque<u64>,
    big: Vec<(Vec<u8>, u64)>,
}

pub(crate) async fn run(mut session: Session) -> ExitCode {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        eprintln!("--tui needs a terminal");
        return ExitCode::FAILURE;
    }
    let period = match session.options.interval {
        Duration::ZERO => Duration::from_secs(1),
        interval => interval,
    };
    let server = session.server_name();
    let Some(connection) = session.connection().await else { return ExitCode::FAILURE };
    let mut dashboard = Dashboard { server, ..Dashboard::default() };
    // The first round before anything is drawn: an error belongs on an ordinary screen.
    match ask(connection).await {
        Ok(figures) => dashboard.take(figures),
        Err(error) => return failed(&error),
    }
    let mut terminal = ratatui::init();
    let result = watch(connection, &mut dashboard, &mut terminal, period).await;
    ratatui::restore();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

async fn watch(
    connection: &mut Connection,
    dashboard: &mut Dashboard,
    terminal: &mut ratatui::DefaultTerminal,
    period: Duration,
) -> Result<(), Error> {
    loop {
        let next = Instant::now() + period;
        while let Some(left) = next.checked_duration_since(Instant::now()) {
            terminal.draw(|frame| draw(frame, dashboard))?;
            if !event::poll(left)? {
                break;
            }
            // A resize only has to be drawn.
            if let Event::Key(key) = event::read()? {
                let interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                if interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                    return Ok(());
                }
            }
        }
        let figures = ask(connection).await?;
        dashboard.take(figures);
    }
}

/// One round of questions. What the server refuses stays empty; without INFO there is nothing to show.
async fn ask(connection: &mut Connection) -> Result<Figures, Error> {
    let started = Instant::now();
    connection.ask(&["PING"]).await?;
    let ping = started.elapsed();
    let info = match connection.ask(&["INFO"]).await? {
        Value::Error(text) => return Err(Error::Reply(String::from_utf8_lossy(&text).into_owned())),
        reply => string(&reply),
    };
    let slow = connection.ask(&["SLOWLOG", "GET", &SLOW_ENTRIES.to_string()]).await?;
    let clients = connection.ask(&["CLIENT", "LIST"]).await?;
    let id = connection.ask(&["CLIENT", "ID"]).await?.as_i64();
    let clients = if clients.is_error() { String::new() } else { string(&clients) };
    let own = id.and_then(|id| clients.lines().find(|line| line.starts_with(&format!("id={id} "))));
    let own = own.and_then(|line| client_field(line, "addr"));
    let foreign = |entry: &&Value| own.is_none() || items(entry).get(4).and_then(Value::as_str) != own;
    Ok(Figures {
        info,
        slow: items(&slow).iter().filter(foreign).filter_map(slow_entry).take(ROWS).collect(),
        clients: clients.lines().filter_map(client).take(ROWS).collect(),
        keys: sample(connection).await?,
        ping,
    })
}

/// Random keys and the bytes that they take.
async fn sample(connection: &mut Connection) -> Result<Vec<(Vec<u8>, u64)>, Error> {
    let mut request = Vec::new();
    (0..KEYS_SAMPLED).for_each(|_| encode(&mut request, &["RANDOMKEY"]));
    connection.send_raw(&request).await?;
    let mut keys = Vec::new();
    for _ in 0..KEYS_SAMPLED {
        let reply = connection.reply().await?;
        keys.extend(text(&reply).filter(|_| !reply.is_error()).map(<[u8]>::to_vec));
    }
    keys.sort();
    keys.dedup();
    request.clear();
    keys.iter().for_each(|key| encode(&mut request, &[b"MEMORY", &b"USAGE"[..], key]));
    connection.send_raw(&request).await?;
    let mut sized = Vec::new();
    for key in keys {
        let bytes = connection.reply().await?.as_i64().unwrap_or(0);
        sized.push((key, u64::try_from(bytes).unwrap_or(0)));
    }
    Ok(sized)
}

fn string(value: &Value) -> String {
    String::from_utf8_lossy(text(value).unwrap_or_default()).into_owned()
}

fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        _ => &[],
    }
}

/// `12.3 ms  KEYS *`
fn slow_entry(entry: &Value) -> Option<String> {
    let [_, _, Value::Integer(us), Value::Array(words), ..] = items(entry) else { return None };
    let words = words.iter().map(string).collect::<Vec<_>>().join(" ");
    Some(format!("{:>9.1} ms  {words}", *us as f64 / 1000.0))
}

/// A field of a line of CLIENT LIST.
fn client_field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
}

/// The telling fields of a line of CLIENT LIST.
fn client(line: &str) -> Option<String> {
    let get = |name: &str| client_field(line, name);
    let name = get("name").unwrap_or_default();
    Some(format!("{:<22} {:<12} {:<14} idle {}s", get("addr")?, name, get("cmd")?, get("idle")?))
}

impl Dashboard {
    fn take(&mut self, figures: Figures) {
        let positive = |name: &str| u64::try_from(number(&figures.info, name)).unwrap_or(0);
        let curves = [
            (&mut self.operations, positive("instantaneous_ops_per_sec")),
            (&mut self.memory, positive("used_memory")),
            (&mut self.pings_us, u64::try_from(figures.ping.as_micros()).unwrap_or(u64::MAX)),
        ];
        for (curve, value) in curves {
            if curve.len() == HISTORY {
                curve.pop_front();
            }
            curve.push_back(value);
        }
        for (key, bytes) in &figures.keys {
            self.big.retain(|(known, _)| known != key);
            self.big.push((key.clone(), *bytes));
        }
        self.big.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        self.big.truncate(BIG_KEYS);
        self.now = figures;
    }

    fn summary(&self) -> String {
        let get = |name: &str| field(&self.now.info, name).unwrap_or("?");
        format!(
            "{}  Redis {}  {}  up {} s  clients {} (blocked {})  q leaves",
            self.server,
            get("redis_version"),
            get("role"),
            get("uptime_in_seconds"),
            get("connected_clients"),
            get("blocked_clients"),
        )
    }

    /// Databases, and how well keys are found.
    fn keyspace(&self) -> Vec<String> {
        let info = &self.now.info;
        let databases = info.lines().filter(|line| {
            line.strip_prefix("db")
                .and_then(|rest| rest.split_once(":keys="))
                .is_some_and(|(db, _)| db.parse::<u32>().is_ok())
        });
        let mut rows: Vec<String> = databases.map(|line| line.trim_end().replace(',', "  ")).collect();
        let (hits, misses) = (number(info, "keyspace_hits"), number(info, "keyspace_misses"));
        rows.push(format!(
            "hits {hits}  misses {misses}  expired {}  evicted {}",
            number(info, "expired_keys"),
            number(info, "evicted_keys")
        ));
        rows
    }
}

/// A time for a title: what is below a millisecond is as good as nothing.
fn shown_ping(ping: Duration) -> String {
    match ping.as_millis() {
        0 => "under 1 ms".to_owned(),
        ms => format!("{ms} ms"),
    }
}

fn draw(frame: &mut Frame<'_>, dashboard: &Dashboard) {
    let [head, curves, middle, bottom] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(6),
        Constraint::Min(5),
        Constraint::Length(ROWS as u16 + 2),
    ])
    .areas(frame.area());
    frame.render_widget(Line::from(dashboard.summary()).bold(), head);
    let thirds = Layout::horizontal([Constraint::Ratio(1, 3); 3]);
    let [operations, memory, latency]: [Rect; 3] = thirds.areas(curves);
    let last = |curve: &VecDeque<u64>| curve.back().copied().unwrap_or(0);
    let bytes = i64::try_from(last(&dashboard.memory)).unwrap_or(i64::MAX);
    let titles = [
        (format!("operations {}/s", last(&dashboard.operations)), &dashboard.operations, operations, Color::Green),
        (format!("memory {}", human(bytes)), &dashboard.memory, memory, Color::Yellow),
        (format!("latency {}", shown_ping(dashboard.now.ping)), &dashboard.pings_us, latency, Color::Cyan),
    ];
    for (title, curve, area, color) in titles {
        let width = usize::from(area.width.saturating_sub(2));
        let data: Vec<u64> = curve.iter().skip(curve.len().saturating_sub(width)).copied().collect();
        let block = Block::bordered().title(title);
        frame.render_widget(Sparkline::default().data(data).style(Style::new().fg(color)).block(block), area);
    }
    let halves = Layout::horizontal([Constraint::Ratio(1, 2); 2]);
    let [keyspace, big]: [Rect; 2] = halves.areas(middle);
    rows(frame, keyspace, "keyspace", dashboard.keyspace());
    let keys = dashboard.big.iter().map(|(key, bytes)| {
        let bytes = human(i64::try_from(*bytes).unwrap_or(i64::MAX));
        format!("{bytes:>9}  {}", String::from_utf8_lossy(key))
    });
    rows(frame, big, "big keys, of those sampled", keys.collect());
    let [slow, clients]: [Rect; 2] = halves.areas(bottom);
    rows(frame, slow, "slow log", dashboard.now.slow.clone());
    rows(frame, clients, "clients", dashboard.now.clients.clone());
}

fn rows(frame: &mut Frame<'_>, area: Rect, title: &str, rows: Vec<String>) {
    let lines: Vec<Line<'_>> = rows.into_iter().map(Line::from).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(title.to_owned())), area);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_come_together() {
        let mut dashboard = Dashboard::default();
        for round in 0..400 {
            let keys = vec![(format!("k{}", round % 20).into_bytes(), round)];
            let info = format!("instantaneous_ops_per_sec:{round}\r\ndb0:keys=5,expires=1\r\n");
            dashboard.take(Figures { info, keys, ..Figures::default() });
        }
        assert_eq!((dashboard.operations.len(), dashboard.operations[HISTORY - 1]), (HISTORY, 399));
        assert_eq!((dashboard.big.len(), &dashboard.big[0]), (BIG_KEYS, &(b"k19".to_vec(), 399)));
        assert_eq!(dashboard.keyspace(), ["db0:keys=5  expires=1", "hits 0  misses 0  expired 0  evicted 0"]);
    }

    #[test]
    fn strange_replies_are_left_out() {
        assert_eq!(slow_entry(&Value::Integer(1)), None);
        assert_eq!(client("id=3"), None);
        let entry = Value::Array(vec![
            Value::Integer(1),
            Value::Integer(2),
            Value::Integer(12_345),
            Value::Array(vec![Value::bulk("KEYS"), Value::bulk("*")]),
        ]);
        assert_eq!(slow_entry(&entry).as_deref(), Some("     12.3 ms  KEYS *"));
    }
}
