//! Reads a journal from any process, also while a run writes to it. Never writes to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use rustc_hash::FxHashMap;

use super::codec::{Record, Records};
use super::db::{self, RunKey, checksum};
use super::error::JournalError;
use super::record::{ConnectionInfo, Intent, Outcome};
use super::states::{Place, States};
use crate::mail::Timestamp;

/// What one half of the cache of groups may hold, in bytes: rows near each other were mostly written near each other.
const CACHED_BYTES: usize = 8 << 20;
/// The most connections that are remembered.
const CACHED_CONNECTIONS: usize = 4_096;

/// A journal opened for reading.
#[derive(Debug)]
pub struct Reader {
    db: Connection,
    path: PathBuf,
    run: RunKey,
    /// Set when the file as a whole is not sound.
    damage: Option<String>,
}

/// One transmission of a row, or what was said of it without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Missing where the row came to its outcome without being sent.
    pub intent: Option<Intent>,
    /// Missing while it is under way, or in doubt.
    pub outcome: Option<Outcome>,
    /// The connection that the one or the other names.
    pub connection: Option<ConnectionInfo>,
}

impl Reader {
    /// Opens the journal at `path`.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        if !path.exists() {
            return Err(JournalError::Missing(path.to_owned()));
        }
        let opened = open_with(path, open_read_only);
        // In a directory that can't be written to, SQLite can't make the index of the WAL. Where there is no WAL,
        // nothing writes, and the file stands for itself.
        let opened = match opened {
            Err(JournalError::Sqlite { .. } | JournalError::ReadOnly { .. }) if !wal_of(path).exists() => {
                open_with(path, open_immutable)
            }
            opened => opened,
        };
        match opened {
            Ok((db, run)) => Ok(Self { db, path: path.to_owned(), run, damage: None }),
            Err(JournalError::Damaged { path: at, why }) => match open_with(path, open_truncated) {
                Ok((db, run)) => Ok(Self { db, path: at, run, damage: Some(why) }),
                Err(_) => Err(JournalError::Damaged { path: at, why }),
            },
            Err(error) => Err(error),
        }
    }

    /// The run that the journal belongs to.
    pub fn run(&self) -> &RunKey {
        &self.run
    }

    /// The state of every row. Where the journal is damaged, what can be read is read, and the states say so.
    pub fn states(&self) -> Result<States, JournalError> {
        let mut states = States::empty(self.run.clone());
        self.catch_up(&mut states)?;
        Ok(states)
    }

    /// Brings `states` up to date with what was written since.
    pub fn catch_up(&self, states: &mut States) -> Result<(), JournalError> {
        db::compare(&self.path, &states.run, &self.run)?;
        states.catch_up(&self.db);
        if let Some(why) = &self.damage {
            states.damaged(why.clone());
        }
        Ok(())
    }

    /// A cursor for the details of rows; cheapest in row order.
    pub fn details(&self) -> Details<'_> {
        Details::new(&self.db, &self.path)
    }

    /// All that the journal says of one row, in its order. Reads the whole journal.
    pub fn attempts(&self, row: u32) -> Result<Vec<Attempt>, JournalError> {
        let sqlite = |error| JournalError::sqlite(&self.path, "read", error);
        let mut select = self
            .db
            .prepare("SELECT seq, checksum, records FROM journal_group ORDER BY seq")
            .map_err(sqlite)?;
        let mut groups = select.query([]).map_err(sqlite)?;
        let mut attempts: Vec<Attempt> = Vec::new();
        while let Some(line) = groups.next().map_err(sqlite)? {
            let number = line.get::<_, i64>(0).map_err(sqlite)? as u64;
            let records = line.get_ref(2).map_err(sqlite)?.as_blob().unwrap_or_default();
            if line.get::<_, i64>(1).map_err(sqlite)? != checksum(number, records) {
                continue;
            }
            for raw in Records::new(records).map_while(Result::ok) {
                if raw.head().is_ok_and(|head| head.row == row)
                    && let Ok(record) = raw.record()
                {
                    add(&mut attempts, record);
                }
            }
        }
        let mut details = self.details();
        for attempt in &mut attempts {
            let intent = attempt.intent.as_ref().map(|intent| intent.connection);
            if let Some(number) = attempt.outcome.as_ref().and_then(|outcome| outcome.connection).or(intent) {
                attempt.connection = details.connection(number)?.map(|info| ConnectionInfo::clone(&info));
            }
        }
        Ok(attempts)
    }
}

/// An outcome belongs to the intent before it, if that has none yet.
fn add(attempts: &mut Vec<Attempt>, record: Record) {
    match record {
        Record::Intent(intent) => {
            attempts.push(Attempt { intent: Some(intent), outcome: None, connection: None })
        }
        Record::Outcome(outcome) => match attempts.last_mut() {
            Some(attempt) if attempt.outcome.is_none() => attempt.outcome = Some(outcome),
            Some(_) | None => {
                attempts.push(Attempt { intent: None, outcome: Some(outcome), connection: None })
            }
        },
    }
}

fn open_with(
    path: &Path,
    open: fn(&Path) -> rusqlite::Result<Connection>,
) -> Result<(Connection, RunKey), JournalError> {
    let db = open(path).map_err(|error| JournalError::sqlite(path, "open", error))?;
    let run = db::identify(&db, path)?;
    Ok((db, run))
}

fn open_read_only(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// Opens a file that nothing writes to, without locks.
fn open_immutable(path: &Path) -> rusqlite::Result<Connection> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name =
        percent_encoding::utf8_percent_encode(&path.to_string_lossy(), percent_encoding::NON_ALPHANUMERIC)
            .to_string();
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("file:{name}?immutable=1"), flags)
}

/// Opens a file that is shorter than its header says: SQLite reads what there is of it only in this mode.
fn open_truncated(path: &Path) -> rusqlite::Result<Connection> {
    let db = open_read_only(path)?;
    db.pragma_update(None, "writable_schema", true)?;
    Ok(db)
}

fn wal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// A cursor over the details of rows. Holds a bounded part of the journal in memory.
#[derive(Debug)]
pub struct Details<'a> {
    db: &'a Connection,
    path: &'a Path,
    /// Groups that were used lately, and those before them.
    young: FxHashMap<u64, Group>,
    old: FxHashMap<u64, Group>,
    young_bytes: usize,
    connections: FxHashMap<u32, Arc<ConnectionInfo>>,
}

/// The bytes of a group, and where each record starts.
#[derive(Debug)]
struct Group {
    records: Vec<u8>,
    starts: Vec<u32>,
}

impl<'a> Details<'a> {
    pub(super) fn new(db: &'a Connection, path: &'a Path) -> Self {
        Self {
            db,
            path,
            young: FxHashMap::default(),
            old: FxHashMap::default(),
            young_bytes: 0,
            connections: FxHashMap::default(),
        }
    }

    /// The last outcome of a row.
    pub fn outcome(&mut self, states: &States, row: u32) -> Result<Option<Outcome>, JournalError> {
        let Some(place) = states.last_place(row) else { return Ok(None) };
        match self.record(place)? {
            Record::Outcome(outcome) => Ok(Some(outcome)),
            Record::Intent(_) => Err(self.moved(place)),
        }
    }

    /// The intent of a row that has no outcome yet.
    pub fn open_intent(&mut self, states: &States, row: u32) -> Result<Option<Intent>, JournalError> {
        let Some(place) = states.open_place(row) else { return Ok(None) };
        match self.record(place)? {
            Record::Intent(intent) => Ok(Some(intent)),
            Record::Outcome(_) => Err(self.moved(place)),
        }
    }

    /// The starts of a row's attempts between its first and its last, of which `last` is the number.
    pub fn between(&self, states: &States, row: u32, last: u16) -> Vec<Timestamp> {
        states.between(row).filter(|(attempt, _)| *attempt < last).map(|(_, at)| at).collect()
    }

    /// What is known of a connection.
    pub fn connection(&mut self, number: u32) -> Result<Option<Arc<ConnectionInfo>>, JournalError> {
        if let Some(info) = self.connections.get(&number) {
            return Ok(Some(Arc::clone(info)));
        }
        let info = self
            .db
            .prepare_cached(
                "SELECT remote_host, remote_ip, local_ip, tls, opened_at FROM connection WHERE number = ?1",
            )
            .and_then(|mut select| {
                select
                    .query_row([number], |line| {
                        let ip = |text: Option<String>| text.and_then(|text| text.parse().ok());
                        Ok(ConnectionInfo {
                            remote_host: line.get(0)?,
                            remote_ip: ip(line.get(1)?),
                            local_ip: ip(line.get(2)?),
                            tls: line.get(3)?,
                            opened_at: Timestamp(line.get(4)?),
                        })
                    })
                    .optional()
            })
            .map_err(|error| JournalError::sqlite(self.path, "read", error))?;
        let Some(info) = info.map(Arc::new) else { return Ok(None) };
        if self.connections.len() >= CACHED_CONNECTIONS {
            self.connections.clear();
        }
        self.connections.insert(number, Arc::clone(&info));
        Ok(Some(info))
    }

    fn record(&mut self, place: Place) -> Result<Record, JournalError> {
        if !self.young.contains_key(&place.group) {
            let group = match self.old.remove(&place.group) {
                Some(group) => group,
                None => self.load(place.group)?,
            };
            self.young_bytes += group.records.len();
            self.young.insert(place.group, group);
            if self.young_bytes > CACHED_BYTES {
                self.young_bytes = 0;
                self.old = std::mem::take(&mut self.young);
            }
        }
        let group = self.young.get(&place.group).or_else(|| self.old.get(&place.group));
        group.and_then(|group| group.record(place.index)).ok_or_else(|| self.moved(place))
    }

    fn load(&self, number: u64) -> Result<Group, JournalError> {
        let read = |query| {
            let mut select = self.db.prepare_cached(query)?;
            select.query_row([number as i64], |line| line.get(0)).optional()
        };
        let found = match read("SELECT records FROM journal_group WHERE seq = ?1") {
            // It was seen, so it is there: damage misled the search by its number, and looking through all of them finds it.
            Ok(None) => read("SELECT records FROM journal_group WHERE +seq = ?1"),
            other => other,
        };
        let records: Option<Vec<u8>> =
            found.map_err(|error| JournalError::sqlite(self.path, "read", error))?;
        let records = records.ok_or_else(|| self.moved(Place { group: number, index: 0 }))?;
        let starts = Records::new(&records).map_while(Result::ok).map(|raw| raw.start()).collect();
        Ok(Group { records, starts })
    }

    /// The states name a record that isn't there: the file was changed under us.
    fn moved(&self, place: Place) -> JournalError {
        let why = format!("record {} of group {} has changed while it was read", place.index, place.group);
        JournalError::Damaged { path: self.path.to_owned(), why }
    }
}

impl Group {
    fn record(&self, index: u16) -> Option<Record> {
        let start = *self.starts.get(usize::from(index))? as usize;
        Records::new(self.records.get(start..)?).next()?.ok()?.record().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::tests::Dir;

    #[test]
    fn a_file_without_a_wal_is_read_without_locks_whatever_its_name() {
        let dir = Dir::new(3);
        drop(dir.create());
        let folder = dir.folder.path().join("50% off? #1");
        fs::create_dir(&folder).unwrap();
        fs::rename(dir.path(), folder.join("journal.db")).unwrap();
        let (_, run) = open_with(&folder.join("journal.db"), open_immutable).unwrap();
        assert_eq!(run, dir.key);
    }
}
