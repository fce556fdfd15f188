//! INFO: a list of sections, each made from plain data that the server fills in.
//!
//! [`Selection`] tells which sections a request wants, so that the server gathers only what is costly and asked for;
//! [`render`] turns a [`Snapshot`] into text. Field names, their order and the order of sections are Redis'; tools
//! read them. What has no feature behind it yet has its true neutral value: zero, none, `ok`.

pub mod sections;
pub mod system;

use std::fmt::Write as _;

pub use sections::Snapshot;

/// The sections, in the order in which they are shown.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Section {
    Server,
    Clients,
    Memory,
    Persistence,
    Threads,
    Stats,
    Replication,
    Cpu,
    Modules,
    Commandstats,
    Errorstats,
    Latencystats,
    Cluster,
    Keyspace,
    Keysizes,
    Debug,
}

/// Which requests a section belongs to, besides those that name it.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Part {
    /// `default` and wider.
    Default,
    /// `all` and wider.
    All,
    /// None.
    Named,
}

impl Section {
    const LIST: [(Section, &'static str, Part); 16] = [
        (Section::Server, "server", Part::Default),
        (Section::Clients, "clients", Part::Default),
        (Section::Memory, "memory", Part::Default),
        (Section::Persistence, "persistence", Part::Default),
        (Section::Threads, "threads", Part::Default),
        (Section::Stats, "stats", Part::Default),
        (Section::Replication, "replication", Part::Default),
        (Section::Cpu, "cpu", Part::Default),
        (Section::Modules, "modules", Part::Default),
        (Section::Commandstats, "commandstats", Part::All),
        (Section::Errorstats, "errorstats", Part::Default),
        (Section::Latencystats, "latencystats", Part::All),
        (Section::Cluster, "cluster", Part::Default),
        (Section::Keyspace, "keyspace", Part::Default),
        (Section::Keysizes, "keysizes", Part::Default),
        (Section::Debug, "debug", Part::Named),
    ];
}

/// The sections that a request asks for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Selection(u32);

impl Selection {
    /// Reads the words behind INFO. Unknown ones ask for nothing; none at all ask for the default.
    #[must_use]
    pub fn parse(words: &[&[u8]]) -> Selection {
        if words.is_empty() {
            return Selection::parse(&[b"default"]);
        }
        let mut selection = Selection(0);
        for word in words {
            for (section, name, part) in Section::LIST {
                let wanted = match word.to_ascii_lowercase().as_slice() {
                    b"default" => part == Part::Default,
                    b"all" | b"everything" => part != Part::Named,
                    word => word == name.as_bytes(),
                };
                selection.0 |= u32::from(wanted) << section as u32;
            }
        }
        selection
    }

    /// Whether a section is wanted.
    #[must_use]
    pub fn contains(self, section: Section) -> bool {
        self.0 & (1 << section as u32) != 0
    }
}

/// The text of the sections that are wanted. Lines end in CR LF; an empty line stands between sections.
#[must_use]
pub fn render(snapshot: &Snapshot, selection: Selection) -> String {
    let mut out = String::with_capacity(8 << 10);
    for (section, _, _) in Section::LIST {
        if !selection.contains(section) {
            continue;
        }
        if !out.is_empty() {
            out.push_str("\r\n");
        }
        let (title, lines): (&str, &dyn sections::Lines) = match section {
            Section::Server => ("Server", &snapshot.server),
            Section::Clients => ("Clients", &snapshot.clients),
            Section::Memory => ("Memory", &snapshot.memory),
            Section::Persistence => ("Persistence", &snapshot.persistence),
            Section::Threads => ("Threads", &snapshot.threads),
            Section::Stats => ("Stats", &snapshot.stats),
            Section::Replication => ("Replication", &snapshot.replication),
            Section::Cpu => ("CPU", &snapshot.cpu),
            Section::Modules => ("Modules", &snapshot.modules),
            Section::Commandstats => ("Commandstats", &snapshot.commandstats),
            Section::Errorstats => ("Errorstats", &snapshot.errorstats),
            Section::Latencystats => ("Latencystats", &snapshot.latencystats),
            Section::Cluster => ("Cluster", &snapshot.cluster),
            Section::Keyspace => ("Keyspace", &snapshot.keyspace),
            Section::Keysizes => ("Keysizes", &snapshot.keysizes),
            Section::Debug => ("Debug", &snapshot.debug),
        };
        write!(out, "# {title}\r\n").expect("writing to a string never fails");
        lines.lines(&mut out);
    }
    out
}

/// A number of bytes for people: at most two decimals, in units of 1024.
#[must_use]
pub fn human(bytes: u64) -> String {
    let units = ["K", "M", "G", "T", "P"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let power = ((bytes.ilog2() / 10) as usize).min(units.len());
    format!("{:.2}{}", bytes as f64 / (1u64 << (10 * power)) as f64, units[power - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(words: &[&str]) -> String {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let text = render(&Snapshot::default(), Selection::parse(&words));
        let titles: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# ")).collect();
        titles.join(" ")
    }

    #[test]
    fn requests_name_sections() {
        let default = "Server Clients Memory Persistence Threads Stats Replication CPU Modules Errorstats Cluster Keyspace Keysizes";
        let all = "Server Clients Memory Persistence Threads Stats Replication CPU Modules Commandstats Errorstats Latencystats Cluster Keyspace Keysizes";
        assert_eq!(titles(&[]), default);
        assert_eq!(titles(&["default"]), default);
        assert_eq!(titles(&["all"]), all);
        assert_eq!(titles(&["EVERYTHING"]), all);
        assert_eq!(titles(&["server", "xyz"]), "Server");
        assert_eq!(titles(&["cpu", "CPU", "Server"]), "Server CPU");
        assert_eq!(titles(&["xyz"]), "");
        assert_eq!(titles(&["sentinel"]), "");
        assert_eq!(titles(&["all", "debug"]), format!("{all} Debug"));
        assert_eq!(titles(&["default", "commandstats"]), default.replace("Errorstats", "Commandstats Errorstats"));
    }

    #[test]
    fn sections_are_separated_and_lines_end_as_on_the_wire() {
        let text = render(&Snapshot::default(), Selection::parse(&[b"cluster", b"modules"]));
        assert_eq!(text, "# Modules\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n");
        let all = render(&Snapshot::default(), Selection::parse(&[b"all", b"debug"]));
        assert!(all.split("\r\n").all(|line| !line.contains(['\r', '\n'])));
    }

    /// The fields of Redis 8.0.6, in its order. Names only: facts that tools depend on.
    #[test]
    fn fields_are_those_of_redis_in_its_order() {
        let text = render(&Snapshot::default(), Selection::parse(&[b"everything", b"debug"]));
        let names: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, _)| name)
            .filter(|name| !name.contains("redis_server_rs"))
            .collect();
        let expected: Vec<&str> = include_str!("fields.txt").split_whitespace().collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn sizes_for_people() {
        for (bytes, text) in [
            (0, "0B"),
            (192, "192B"),
            (1023, "1023B"),
            (1024, "1.00K"),
            (693_048, "676.80K"),
            (8_658_944, "8.26M"),
            (25_276_510_208, "23.54G"),
            (1 << 40, "1.00T"),
            (u64::MAX, "16384.00P"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }
}
