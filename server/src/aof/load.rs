//! Replaying the files at the start, and for DEBUG LOADAOF.
//!
//! Commands go through the one door, in the name of a client that nobody sees. Nothing expires meanwhile: what a command
//! met when it ran is what it meets again.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use engine::command::Flags;
use engine::error::CommandError;
use persistence::aof::manifest::{FileInfo, FileType};
use persistence::aof::reader::{Batch, Item, ReadError, Reader};
use resp::writer::Writer;
use smallvec::SmallVec;

use super::{old_file, shown};
use crate::config::parse::error_text;
use crate::exec::{Origin, Run, is_bare_container};
use crate::net::socket::Socket;
use crate::server::Server;
use crate::session::{Client, ClientId};
use crate::snapshot::{LoadTarget, Loading, wait_for_test};

/// What an RDB file begins with.
const RDB_MAGIC: &[u8] = b"REDIS";

/// Commands whose keys are fetched together.
const PREFETCH_AHEAD: usize = 16;

type Argv<'a> = SmallVec<[&'a [u8]; 16]>;

/// Called now and then, to look after the clients.
pub type Turn<'t> = &'t mut dyn FnMut(&mut Server);

/// Why loading failed: the last line for the log.
#[derive(Debug)]
pub struct LoadFailed(pub String);

impl fmt::Display for LoadFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a file held.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Loaded {
    Whole,
    /// Its end was cut off.
    Truncated,
}

impl Server {
    /// Moves a file from before the times of manifests into the folder, if there is one and it is what counts.
    ///
    /// # Errors
    /// For the log.
    fn adopt_old_aof(&mut self) -> Result<(), String> {
        let old = old_file(&self.config).to_owned();
        let Ok(meta) = std::fs::metadata(&old) else { return Ok(()) };
        let (name, folder_name) = (self.config.appendfilename.clone(), self.config.appenddirname.clone());
        let folder = self.aof_folder()?;
        let manifest = folder.manifest();
        // A manifest that names nothing but the old file: the move was interrupted before the file had its new place.
        let interrupted = manifest.incrs.is_empty()
            && manifest.history.is_empty()
            && manifest.base.as_ref().is_some_and(|base| base.name == name.as_bytes())
            && !folder.path(name.as_bytes()).exists();
        if !meta.is_file() || (folder.is_saved() && !interrupted) {
            return Ok(());
        }
        folder.adopt(&old).map_err(|error| {
            format!(
                "Error trying to move the old AOF file {} into dir {}: {}",
                name.to_lossy(),
                folder_name.to_lossy(),
                error_text(&error)
            )
        })?;
        tracing::info!(
            "Successfully migrated an old-style AOF file ({}) into the AOF directory ({}).",
            name.to_lossy(),
            folder_name.to_lossy()
        );
        Ok(())
    }

    /// Loads the append-only file as the manifest on the disk names it. Returns whether there was one.
    ///
    /// # Errors
    /// [`LoadFailed`]; what was loaded until then stays.
    pub fn load_aof(&mut self, turn: Turn<'_>) -> Result<bool, LoadFailed> {
        self.aof.folder = None;
        self.aof_folder().map_err(LoadFailed)?;
        self.adopt_old_aof().map_err(LoadFailed)?;
        let folder = self.aof_folder().map_err(LoadFailed)?;
        let files: Vec<FileInfo> = folder.manifest().files().cloned().collect();
        if files.is_empty() {
            return Ok(false);
        }
        let paths: Vec<_> = files.iter().map(|file| folder.path(&file.name)).collect();
        let mut total = 0;
        for (file, path) in files.iter().zip(&paths) {
            total += std::fs::metadata(path)
                .map_err(|error| {
                    let name = shown(&file.name);
                    LoadFailed(format!("Unable to obtain the AOF file {name} length. stat: {}", error_text(&error)))
                })?
                .len();
        }
        let id = self.begin_replay(total)?;
        let start = self.clock.stamp();
        let mut result = Ok(());
        for (index, (file, path)) in files.iter().zip(&paths).enumerate() {
            let (name, begun) = (shown(&file.name), self.clock.stamp());
            match self.load_aof_file(id, path, &name, turn) {
                Err(failed) => result = Err(failed),
                Ok(loaded) => {
                    let seconds = self.clock.micros(begun, self.clock.stamp()) as f64 / 1e6;
                    let kind = if file.file_type == FileType::Base { "base" } else { "incr" };
                    if loaded == Loaded::Truncated && index + 1 < files.len() {
                        result = Err(LoadFailed("Fatal error: the truncated file is not the last file".to_owned()));
                    } else if std::fs::metadata(path).is_ok_and(|meta| meta.len() > 0) {
                        tracing::info!("DB loaded from {kind} file {name}: {seconds:.3} seconds");
                    }
                }
            }
            if result.is_err() || self.stop.is_some() {
                break;
            }
        }
        self.end_replay(id);
        result?;
        let seconds = self.clock.micros(start, self.clock.stamp()) as f64 / 1e6;
        if self.stop.is_none() {
            tracing::info!("DB loaded from append only file: {seconds:.3} seconds");
        }
        let folder = self.aof_folder().map_err(LoadFailed)?;
        let size = Server::aof_files_len(folder);
        // The history of the data goes on where the last increment ended.
        let last = folder.manifest().incrs.last().cloned();
        let base_size = match folder.manifest().base.is_some() {
            true => paths.first().and_then(|path| std::fs::metadata(path).ok()).map_or(0, |meta| meta.len()),
            false => 0,
        };
        self.aof.size = size;
        self.aof.base_size = base_size;
        if let Some(last) = last
            && let Some(offset) = last.end_offset.or_else(|| {
                let len = std::fs::metadata(paths.last()?).ok()?.len();
                last.start_offset.map(|start| start + len)
            })
        {
            self.propagation.offset = self.propagation.offset.max(offset);
            self.aof.syncer.note_synced(self.propagation.offset);
        }
        Ok(true)
    }

    /// From now on commands are replayed: nothing expires, nothing is propagated, noticed or counted.
    fn begin_replay(&mut self, total_bytes: u64) -> Result<ClientId, LoadFailed> {
        let socket = Socket::detached().map_err(|error| LoadFailed(format!("Can't load: {}", error_text(&error))))?;
        let now = self.clock.now();
        let id = self.clients.reserve();
        let mut client = Client::new(id, socket, now);
        client.authenticated = true;
        client.in_batch = true;
        self.clients.insert_hidden(client);
        self.loading = Some(Loading { started: now, total_bytes, loaded_bytes: 0, used_memory: 0 });
        self.replaying = true;
        self.engine.effects.interest = engine::effects::Interest::default();
        for db in &mut self.engine.dbs {
            db.begin(now);
            db.replay(true);
        }
        Ok(id)
    }

    fn end_replay(&mut self, id: ClientId) {
        self.clients.running(id).in_batch = false;
        self.clients.remove(id);
        self.loading = None;
        self.replaying = false;
        // What the last command caused is not what the caller's causes.
        self.engine.effects.begin(0);
        for db in &mut self.engine.dbs {
            db.replay(false);
        }
        self.refresh_interest();
    }

    fn load_aof_file(
        &mut self,
        id: ClientId,
        path: &std::path::Path,
        name: &str,
        turn: Turn<'_>,
    ) -> Result<Loaded, LoadFailed> {
        let failed = |error: io::Error| {
            LoadFailed(format!("Unrecoverable error reading the append only file {name}: {}", error_text(&error)))
        };
        let mut file = File::open(path).map_err(|error| {
            LoadFailed(format!(
                "Fatal error: can't open the append log file {name} for reading: {}",
                error_text(&error)
            ))
        })?;
        let mut magic = [0; RDB_MAGIC.len()];
        let is_rdb = match file.read_exact(&mut magic) {
            Ok(()) => magic == RDB_MAGIC,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
            Err(error) => return Err(failed(error)),
        };
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        // Each file begins with what nobody has selected.
        self.clients.running(id).db = 0;
        let loaded = if is_rdb {
            tracing::info!("Reading RDB base file on AOF loading...");
            let target = LoadTarget { merge: false, keeps_expired: true };
            let len = file.metadata().map_err(failed)?.len();
            let outcome = self.load_snapshot(&mut file, Some(len), target, turn);
            if self.stop.is_some() {
                return Ok(Loaded::Whole);
            }
            let outcome = outcome.map_err(|error| {
                tracing::warn!("Error reading the RDB preamble of the AOF file {name}, AOF loading aborted: {error}");
                LoadFailed(format!("Error reading the RDB preamble of the AOF file {name}, AOF loading aborted"))
            })?;
            let rest_at = file.stream_position().map_err(failed)? - outcome.rest.len() as u64;
            if rest_at < len {
                tracing::info!("Reading the remaining AOF tail...");
            }
            let tail = io::Cursor::new(outcome.rest).chain(file);
            self.replay_commands(id, tail, rest_at, name, turn)
        } else {
            self.replay_commands(id, file, 0, name, turn)
        };
        match loaded {
            Ok(()) => Ok(Loaded::Whole),
            Err(Broken::Fatal(failed)) => Err(failed),
            Err(Broken::Truncated(offset)) => self.cut_aof_tail(path, name, offset),
        }
    }

    /// Cuts off a tail that is not whole, if that is allowed.
    fn cut_aof_tail(&mut self, path: &std::path::Path, name: &str, offset: u64) -> Result<Loaded, LoadFailed> {
        if !self.config.aof_load_truncated {
            return Err(LoadFailed(format!(
                "Unexpected end of file reading the append only file {name}. You can: 1) Make a backup of your AOF file, then use ./redis-check-aof --fix <filename.manifest>. 2) Alternatively you can set the 'aof-load-truncated' configuration option to yes and restart the server."
            )));
        }
        tracing::warn!("!!! Warning: short read while loading the AOF file {name}!!!");
        tracing::warn!("!!! Truncating the AOF {name} at offset {offset} !!!");
        let cut = File::options().write(true).open(path).and_then(|file| {
            file.set_len(offset)?;
            file.sync_all()
        });
        if let Err(error) = cut {
            return Err(LoadFailed(format!("Error truncating the AOF file {name}: {}", error_text(&error))));
        }
        tracing::warn!("AOF {name} loaded anyway because aof-load-truncated is enabled");
        Ok(Loaded::Truncated)
    }

    fn replay_commands(
        &mut self,
        id: ClientId,
        source: impl Read,
        offset: u64,
        name: &str,
        turn: Turn<'_>,
    ) -> Result<(), Broken> {
        let mut reader = Reader::new(source, offset);
        if self.config.aof_checksum {
            reader.verify_checksums();
        }
        let mut replay = Replay { id, name, last: None, out: Vec::new(), whole: offset, commands: 0 };
        let (interval, mut next_turn) = (self.config.loading_process_events_interval_bytes, offset);
        let end = loop {
            let before = reader.offset();
            match reader.batch() {
                Ok(batch) if batch.is_empty() => break None,
                Ok(batch) => replay.batch(self, &batch)?,
                Err(error) => break Some(error),
            }
            let at = reader.offset();
            if let Some(loading) = &mut self.loading {
                loading.loaded_bytes += at - before;
            }
            if at >= next_turn {
                next_turn = at + interval;
                turn(self);
                if self.stop.is_some() {
                    return Ok(());
                }
            }
        };
        let open = self.clients.running(id).transaction.take().is_some();
        match end {
            None | Some(ReadError::Truncated) if open => {
                tracing::warn!("Revert incomplete MULTI/EXEC transaction in AOF file {name}");
                Err(Broken::Truncated(replay.whole))
            }
            None => Ok(()),
            Some(ReadError::Truncated) => Err(Broken::Truncated(reader.offset())),
            Some(ReadError::Format(malformed)) => {
                tracing::warn!("The append only file {name} can't be understood {malformed}");
                Err(Broken::Fatal(LoadFailed(format!(
                    "Bad file format reading the append only file {name}: make a backup of your AOF file, then use ./redis-check-aof --fix <filename.manifest>"
                ))))
            }
            Some(ReadError::Io(error)) => Err(Broken::Fatal(LoadFailed(format!(
                "Unrecoverable error reading the append only file {name}: {}",
                error_text(&error)
            )))),
        }
    }

    /// Says that a command that went well once did not this time.
    pub(crate) fn note_replay_error(&self, command: usize, error: &CommandError) {
        let name = &self.registry.get(command).full_name;
        tracing::warn!(
            "== CRITICAL == This server is sending an error to its AOF-loading-client: '-{error}' after processing the command '{name}'"
        );
    }

    /// Forgets what a replayed command caused besides its change of the data.
    pub(crate) fn drop_effects(&mut self) {
        let effects = &mut self.engine.effects;
        effects.free_later.clear();
        effects.free_dbs.clear();
    }
}

enum Broken {
    /// The file ends too early; it is whole up to here.
    Truncated(u64),
    Fatal(LoadFailed),
}

/// A file that is being replayed.
struct Replay<'n> {
    id: ClientId,
    name: &'n str,
    /// The last command: its name as it was written, and its id.
    last: Option<(Vec<u8>, usize)>,
    /// Where replies go.
    out: Vec<u8>,
    /// Where the last command ends that is not part of an open transaction.
    whole: u64,
    commands: u64,
}

impl Replay<'_> {
    fn batch(&mut self, server: &mut Server, batch: &Batch<'_>) -> Result<(), Broken> {
        for (index, (item, end)) in batch.items().enumerate() {
            if index % PREFETCH_AHEAD == 0 {
                self.prefetch(server, batch, index);
            }
            if let Item::Command(words) = item {
                let argv: Argv<'_> = words.collect();
                self.command(server, &argv)?;
            }
            if server.clients.running(self.id).transaction.is_none() {
                self.whole = end;
            }
        }
        Ok(())
    }

    fn prefetch(&self, server: &mut Server, batch: &Batch<'_>, from: usize) {
        let db = server.clients.running(self.id).db as usize;
        let db = &server.engine.dbs[db];
        let hashes: SmallVec<[u64; PREFETCH_AHEAD]> = batch
            .items()
            .skip(from)
            .take(PREFETCH_AHEAD)
            .filter_map(|(item, _)| match item {
                Item::Command(mut words) => words.nth(1).map(engine::ds::hash::hash),
                Item::Annotation(_) => None,
            })
            .collect();
        hashes.iter().for_each(|&hash| db.prefetch_bucket(hash));
        hashes.iter().for_each(|&hash| db.prefetch_entry(hash));
    }

    fn command(&mut self, server: &mut Server, argv: &[&[u8]]) -> Result<(), Broken> {
        let command = match &self.last {
            Some((name, command)) if name == argv[0] => *command,
            _ => self.resolve(server, argv)?,
        };
        let entry = server.registry.get(command);
        let (run, flags) = (entry.command.run, entry.command.flags);
        if !entry.command.arity.accepts(argv.len()) || (!entry.subcommands.is_empty() && is_bare_container(entry)) {
            return Err(Broken::Fatal(LoadFailed(format!(
                "Wrong number of arguments for '{}' reading the append only file {}",
                entry.full_name, self.name
            ))));
        }
        let client = server.clients.running(self.id);
        self.out.clear();
        match run {
            _ if client.transaction.is_some() && !flags.contains(Flags::RUNS_IN_MULTI) => {
                server.queue(self.id, command, argv);
            }
            // What needs no server goes without a detour.
            Run::Data(run) => {
                let (db, now) = (client.db as usize, server.clock.now());
                let out = Writer::new(&mut self.out, resp::Protocol::Resp2);
                if let Err(error) = server.engine.run(run, argv, db, now, false, out) {
                    server.note_replay_error(command, &error);
                }
                server.drop_effects();
            }
            Run::Host(_) => {
                server.execute(self.id, Origin::Loading, command, argv, &mut self.out);
            }
        }
        let delay = server.config.key_load_delay;
        if delay != 0 {
            self.commands += 1;
            wait_for_test(delay, self.commands);
        }
        Ok(())
    }

    /// Finds a command that is not the same as the last one.
    #[cold]
    fn resolve(&mut self, server: &Server, argv: &[&[u8]]) -> Result<usize, Broken> {
        let entry = server.registry.find(argv[0]).filter(|entry| entry.parent.is_none());
        let entry = match entry {
            Some(entry) if !entry.subcommands.is_empty() && argv.len() > 1 => {
                server.registry.find_subcommand(entry, argv[1])
            }
            Some(entry) => {
                self.last = Some((argv[0].to_vec(), entry.id));
                Some(entry)
            }
            None => None,
        };
        entry.map(|entry| entry.id).ok_or_else(|| {
            let text = String::from_utf8_lossy(argv[0]);
            Broken::Fatal(LoadFailed(format!("Unknown command '{text}' reading the append only file {}", self.name)))
        })
    }
}
