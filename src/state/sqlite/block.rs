//! A block as `state.db` keeps it.
//!
//! | column | |
//! |---|---|
//! | `id` | never used twice |
//! | `account`, `campaign`, `process` | whose it is |
//! | `change` | the account's count of changes at the last write; readers ask for newer rows |
//! | `pace` | `even` or `burst` |
//! | `per_hour`, `per_slot` | the limits that the campaign named |
//! | `boot` | the boot's id, 32 hexadecimal digits |
//! | `from_us`, `until_us`, `line_start_us` | microseconds on that boot's monotonic clock |
//! | `wall_us` | where the wall clock placed `from_us`, microseconds since 1970 |
//! | `reserved`, `count` | messages granted, and those of them that count (less what was given back) |
//! | `waiting` | the priority of a holder that wanted more; 0 otherwise, and from version 0.1.0 |

use rusqlite::types::Type;
use rusqlite::{Error, Row, Transaction, params};

use crate::campaign::Pace;
use crate::mail::Timestamp;
use crate::pacing::{Agreement, BlockId, BlockRecord, BootId, Holder, Reading, Uptime};

pub(super) const TABLE: &str = "
CREATE TABLE IF NOT EXISTS capacity_block (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    account       TEXT NOT NULL,
    campaign      TEXT NOT NULL,
    process       TEXT NOT NULL,
    change        INTEGER NOT NULL,
    pace          TEXT NOT NULL,
    per_hour      INTEGER NOT NULL,
    per_slot      INTEGER NOT NULL,
    boot          TEXT NOT NULL,
    from_us       INTEGER NOT NULL,
    until_us      INTEGER NOT NULL,
    line_start_us INTEGER NOT NULL,
    wall_us       INTEGER NOT NULL,
    reserved      INTEGER NOT NULL,
    count         INTEGER NOT NULL,
    waiting       INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS capacity_block_change ON capacity_block (account, change);
";

/// Whether the table has the columns of this version.
pub(super) const IS_WHOLE: &str =
    "SELECT count(*) FROM pragma_table_info('capacity_block') WHERE name = 'waiting'";

/// Adds what version 0.1.0 did not have; it goes on working with the table.
pub(super) const COMPLETE: &str = "ALTER TABLE capacity_block ADD COLUMN waiting INTEGER NOT NULL DEFAULT 0";

pub(super) const SELECT: &str = "
SELECT id, campaign, process, pace, per_hour, per_slot, boot, from_us, until_us, line_start_us, wall_us, reserved, count,
    waiting
FROM capacity_block WHERE account = ?1 AND change > ?2 ORDER BY change, id";

const INSERT: &str = "
INSERT INTO capacity_block (account, change, campaign, process, pace, per_hour, per_slot, boot, from_us, until_us,
    line_start_us, wall_us, reserved, count, waiting)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";

/// The limits of an account's blocks, at the change ?2.
pub(super) const SET_LIMITS: &str = "
UPDATE capacity_block SET per_hour = ?3, per_slot = ?4, change = ?2
WHERE account = ?1 AND (per_hour <> ?3 OR per_slot <> ?4)";

/// Blocks that are older than ?5 microseconds: ?2 is the boot, ?3 its clock and ?4 the wall clock.
pub(super) const PRUNE: &str = "
DELETE FROM capacity_block WHERE account = ?1 AND CASE
    WHEN boot = ?2 THEN ?3 - until_us
    ELSE max(?3, ?4 - wall_us - (until_us - from_us))
END > ?5";

/// The longest interval that is plausible, in microseconds.
const LONGEST_MICROS: i64 = 20_000_000;

/// Writes down a block of `account` as part of its change number `change`. Returns the block's id.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    account: &str,
    change: i64,
    record: &BlockRecord,
    at: &Reading,
) -> rusqlite::Result<i64> {
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let pace = match record.pace {
        Pace::Even => "even",
        Pace::Burst => "burst",
    };
    transaction.prepare_cached(INSERT)?.insert(params![
        account,
        change,
        record.holder.campaign,
        record.holder.process,
        pace,
        signed(record.agreement.per_hour),
        signed(record.agreement.per_slot),
        at.boot.to_string(),
        record.from.0,
        record.until.0,
        record.line_start.0,
        at.wall_of(record.from).0,
        signed(record.reserved),
        signed(record.count),
        record.waiting,
    ])
}

/// A row of [`SELECT`], placed on the clock of `at`.
pub(super) fn read(row: &Row, at: &Reading) -> Result<BlockRecord, Error> {
    let count = |column: usize| -> Result<u64, Error> {
        let value: i64 = row.get(column)?;
        u64::try_from(value).map_err(|_| Error::IntegralValueOutOfRange(column, value))
    };
    let wrong = |column: usize, problem: &str| {
        Error::FromSqlConversionFailure(column, Type::Text, problem.to_owned().into())
    };
    let pace = match row.get_ref(3)?.as_str()? {
        "even" => Pace::Even,
        "burst" => Pace::Burst,
        _ => return Err(wrong(3, "an unknown pace")),
    };
    let boot = BootId::parse(row.get_ref(6)?.as_str()?).ok_or_else(|| wrong(6, "not a boot id"))?;
    let (from, until, line_start): (i64, i64, i64) = (row.get(7)?, row.get(8)?, row.get(9)?);
    let length = until.checked_sub(from).filter(|length| (0..=LONGEST_MICROS).contains(length));
    let length = length.ok_or_else(|| wrong(8, "the block ends before it begins, or lasts too long"))?;
    let shift = shift(at, boot, until, Timestamp(row.get::<_, i64>(10)?.saturating_add(length)));
    let placed = |moment: i64| Uptime(moment.saturating_add(shift));
    let (reserved, counted) = (count(11)?, count(12)?);
    if counted > reserved {
        return Err(wrong(12, "more is used than was reserved"));
    }
    Ok(BlockRecord {
        id: BlockId(count(0)?),
        holder: Holder {
            campaign: row.get::<_, String>(1)?.into(),
            process: row.get::<_, String>(2)?.into(),
        },
        pace,
        agreement: Agreement { per_hour: count(4)?, per_slot: count(5)? },
        line_start: placed(line_start),
        from: placed(from),
        until: placed(until),
        reserved,
        count: counted,
        waiting: u8::try_from(count(13)?).unwrap_or(0),
    })
}

/// What to add to the times of a block from `boot` to place it on the clock of `at`.
///
/// Within a boot the monotonic clock decides. A block of another boot is as old as the wall clock
/// says, and at least as old as this boot. Where boots have no ids, only the wall clock is left.
fn shift(at: &Reading, boot: BootId, until: i64, wall_until: Timestamp) -> i64 {
    if boot == at.boot && boot != BootId::UNKNOWN {
        return 0;
    }
    let by_wall = at.wall.0.saturating_sub(wall_until.0);
    let known = boot != BootId::UNKNOWN && at.boot != BootId::UNKNOWN;
    let age = if known { by_wall.max(at.uptime.0) } else { by_wall };
    at.uptime.0.saturating_sub(age).saturating_sub(until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_another_boot_is_as_old_as_the_wall_says_and_at_least_as_this_boot() {
        let at = |boot, uptime, wall| Reading {
            now: Timestamp(wall),
            wall: Timestamp(wall),
            boot: BootId(boot),
            uptime: Uptime(uptime),
        };
        let age = |at: Reading, boot| {
            // Ended at 500 of its boot, and at 10,000 on the wall.
            at.uptime.0 - (500 + shift(&at, BootId(boot), 500, Timestamp(10_000)))
        };
        assert_eq!(age(at(1, 800, 99_999), 1), 300);
        assert_eq!(age(at(2, 30, 10_700), 1), 700);
        assert_eq!(age(at(2, 30, 4_000), 1), 30, "the wall was set back");
        assert_eq!(age(at(0, 30_000, 10_700), 0), 700, "no boot ids");
    }
}
